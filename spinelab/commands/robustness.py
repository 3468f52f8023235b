"""degrade the test scans of finished runs step by step, and see how each architecture bears it

usage: spinelab robustness run=FOLDER[,FOLDER...] [effect=noise,resolution,bias_field] [out=FOLDER]

Examples:
  spinelab robustness run=runs/robustness/cpu          all runs of a study (experiments/robustness.yaml) or a sweep
  spinelab robustness run=runs/phantom/unet-s0-f0-1a2b3c4d,runs/phantom/fcn-s0-f0-5e6f7a8b effect=noise out=noise

Each run predicts its own test persons on the scans as they are, which has to give its own scores, and on the same scans
made worse before any preprocessing, four steps an effect:
  noise        Rician, standard deviation 0.02, 0.05, 0.1, 0.2 of the scan's range (1st to 99th percentile)
  resolution   pixels 1.5, 2, 3, 4 times as large within the slices, brought back to the scan's grid
  bias_field   a smooth field with mean 1 that departs from it by up to 0.2, 0.4, 0.6, 0.8
Every run sees the same worse scans. What was predicted stays in the run's folder (evaluations/robustness) and is not
predicted again, so that an interrupted command goes on. Writes index.html (curves), table.md, table.csv and
robustness.parquet (one row a run, effect, level, case, class and metric) to out= (default: "robustness" in the first
folder). Folders are runs, hold runs, or are patterns that match them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from spinelab.commands._arguments import options
from spinelab.errors import ConfigError, RunError, near
from spinelab.reporting.results import Results, read_runs
from spinelab.reporting.robustness import UNTOUCHED, write_robustness
from spinelab.run import Run, write_table

if TYPE_CHECKING:
    from torch import nn

    from spinelab.types import Case

METRICS = ("dice", "jaccard", "sensitivity", "ppv")
TOLERANCE = 0.01
"""Dice by which a prediction on another machine may differ from the run's own scores."""


@dataclass(frozen=True)
class Prediction:
    """One scan to predict: a case at a level of an effect; `UNTOUCHED` at level 0 is the scan as it is."""

    case: Case
    effect: str
    level: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells it from the others of a run."""
        return self.case.name, self.effect, self.level


def main(arguments: Sequence[str]) -> int:
    """Degrade, predict, score, and print the table and the page's path."""
    given = options(arguments, ("run", "effect", "out"), required=("run",))
    effects = _effects(given.get("effect"))
    paths = list(filter(None, given["run"].split(",")))
    out = Path(given["out"]) if "out" in given else None
    page = robustness(read_runs(paths), effects, out or _home(given["run"], paths))
    print((page.parent / "table.md").read_text(encoding="utf-8"))
    print(f"page: {page.resolve()}")
    return 0


def robustness(results: Results, effects: Sequence[str], out: Path) -> Path:
    """Predict what is missing, then write table and page; returns the page.

    Args:
        results: Finished runs.
        effects: Some of `degradation.LEVELS`.
        out: Folder for the table and the page.

    Raises:
        RunError: A run's data or weights are gone, or do not give its own scores any more.
    """
    from spinelab.tasks.degradation import LEVELS

    runs = [Run.open(run.folder) for run in results.runs]
    planned = [_missing(run, effects) for run in runs]
    wanted, missing = (sum(counts) for counts in zip(*[(len(all_), len(left)) for all_, left in planned], strict=True))
    print(f"{len(runs)} run(s), {wanted} predictions, {wanted - missing} of them are there", flush=True)
    _predict(list(zip(runs, [left for _, left in planned], strict=True)))
    scores = {run.folder: _scored(run) for run in runs}
    return write_robustness(results, scores, {effect: LEVELS[effect] for effect in effects}, out)


def tested_cases(run: Run) -> list[Case]:
    """The cases of a run's own test persons.

    Raises:
        DataError: The data set cannot be listed.
        RunError: It holds none of these persons.
    """
    from spinelab import build
    from spinelab.data.splits import Split

    persons = Split.load(run.split).test
    found = [case for case in build.cases(run.config()) if case.person in persons]
    if not found:
        raise RunError("the run's test persons are not in its data set", "bring the data back", run.folder)
    return found


def _effects(text: str | None) -> tuple[str, ...]:
    from spinelab.tasks.degradation import LEVELS

    chosen = tuple(dict.fromkeys(text.split(","))) if text else tuple(LEVELS)
    for effect in chosen:
        if effect not in LEVELS:
            raise ConfigError(f"there is no effect {effect!r}", near(effect, tuple(LEVELS)))
    return chosen


def _home(text: str, paths: Sequence[Path | str]) -> Path:
    """The first folder that was named; the one that holds the first run where that is a pattern."""
    first = Path(text.split(",")[0])
    return (first if first.is_dir() else read_runs(paths).runs[0].folder.parent) / "robustness"


def _file(run: Run) -> Path:
    from spinelab.tasks.degradation import VERSION

    return run.folder / "evaluations" / "robustness" / f"scores-v{VERSION}.parquet"


def _scored(run: Run) -> pd.DataFrame:
    return pd.read_parquet(_file(run)) if _file(run).is_file() else pd.DataFrame()


def _missing(run: Run, effects: Sequence[str]) -> tuple[list[Prediction], list[Prediction]]:
    """All predictions of a run, and those that are not scored yet; of each case the untouched scan comes first."""
    from spinelab.tasks.degradation import LEVELS

    steps = [(effect, level) for effect in effects for level in range(1, len(LEVELS[effect]))]
    wanted = [Prediction(case, *step) for case in tested_cases(run) for step in [(UNTOUCHED, 0), *steps]]
    known = _scored(run)
    there = set(zip(known["case"], known["effect"], known["level"], strict=True)) if len(known) else set()
    return wanted, [prediction for prediction in wanted if prediction.key not in there]


def _predict(planned: Sequence[tuple[Run, Sequence[Prediction]]]) -> None:
    """Predict and score what is missing; each score is on disk before the next scan is predicted."""
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task("predicting", total=sum(len(missing) for _, missing in planned))
        for run, missing in planned:
            for _ in _score(run, missing):
                progress.advance(task)


def _score(run: Run, missing: Sequence[Prediction]) -> Iterator[None]:
    from spinelab.commands._members import members_of, trained_network

    if not missing:
        return
    network, own, table = trained_network(members_of([run])), pd.read_parquet(run.cases), _scored(run)
    for prediction in missing:
        rows = pd.DataFrame(_rows(network, run, prediction)).astype({"value": float})
        if prediction.effect == UNTOUCHED:
            require_own_scores(rows, own, run)
        table = pd.concat([table, rows], ignore_index=True) if len(table) else rows
        write_table(_file(run), table)
        yield


def _rows(network: nn.Module, run: Run, prediction: Prediction) -> list[dict[str, Any]]:
    """Tidy rows of one prediction: effect, level, person, site, case, and those of `overlap_rows`."""
    from spinelab import build
    from spinelab.tasks.degradation import degraded_case
    from spinelab.tasks.evaluation import evaluate_case, overlap_rows

    config = run.config()
    labels, preprocessing = build.labels(config), build.preprocessing(config)
    with tempfile.TemporaryDirectory() as folder:
        case = prediction.case
        if prediction.effect != UNTOUCHED:
            case = degraded_case(case, prediction.effect, prediction.level, preprocessing.plane, Path(folder))
        scored = evaluate_case(network, case, labels, preprocessing)
    who = {"effect": prediction.effect, "level": prediction.level}
    who |= {"person": case.person, "site": case.site, "case": case.name}
    return [who | row for row in overlap_rows(scored, labels) if row["metric"] in METRICS]


def require_own_scores(rows: pd.DataFrame, own: pd.DataFrame, run: Run) -> None:
    """Refuse a run whose data or weights are not those any more that its own table was made from.

    Raises:
        RunError: Dice on the untouched scan is another than in ``cases.parquet``.
    """
    both = rows[rows["metric"] == "dice"].merge(own, on=["case", "class", "metric"], suffixes=("", "_own"))
    value, before = (both[name].astype(float) for name in ("value", "value_own"))
    off = both[~((value - before).abs() <= TOLERANCE) & ~(value.isna() & before.isna())]
    if len(off) or both.empty:
        told = "has no score in the run's own table"
        if len(off):
            row = off.iloc[0]
            told = f"{row['class']} has Dice {row['value']}, in the run's own table {row['value_own']}"
        remedy = "its data or weights have changed since it was trained: bring them back, or train it again"
        raise RunError(f"untouched, {rows['case'].iloc[0]}: {told}", remedy, run.folder)
