"""a table of the review re-run under one protocol, and printed beside what was measured

usage: spinelab reproduce [TABLE|all] [budget=NAME] [data=NAME,...] [table=true] [hydra/launcher=...] [key=value ...]

Examples:
  spinelab reproduce                            the tables, what they compare, and what each budget costs
  spinelab reproduce table3                     its first budget: smoke, minutes
  spinelab reproduce table6 budget=cpu hydra/launcher=cores
  spinelab reproduce table6 budget=cpu data=phantom  on one of its data sets
  spinelab reproduce table3 budget=cpu table=true   from the runs that are done; trains nothing
  spinelab reproduce table3 protocol=holdout    one split of 70/15/15 instead of folds

A table is a study (experiments/TABLE.yaml): what is done is skipped, what was interrupted goes on. Each measured cell
then stands beside the printed one, with how far that can be trusted (experiments/published.yaml), under
runs/TABLE/BUDGET/reproduction: a page with figures and a typical case, a picture, Markdown, LaTeX and CSV. all also
writes all tables into one page, runs/reproduction.html. All rows get the same split, budget, augmentation, selection
rule and scoring; a table whose rows differ in them is refused; techniques without a network have no budget of epochs.
Tables 1 and 2 are settings: experiment=review. With other key=value it is about other runs, so that table=true needs
the same ones. For your own data, copy a study to ./experiments and name your data set there.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from spinelab.commands._arguments import flag
from spinelab.commands.study import planned, run
from spinelab.config import compose_config, parse_overrides, resolved
from spinelab.errors import ConfigError, SpinelabError, near
from spinelab.reporting.published import PublishedTable, read_published
from spinelab.sweeps.study import Plan
from spinelab.sweeps.study_file import read_study, study_folders

if TYPE_CHECKING:
    from spinelab.reporting.beside_text import Page


def main(arguments: Sequence[str]) -> int:
    """Run a table of the review, or tell about it."""
    words = [argument for argument in arguments if "=" not in argument]
    if len(words) > 1:
        raise ConfigError(f"which table: {', '.join(words)}?", "give one name, or all")
    tables = read_published(published_file())
    if not words:
        print(overview(tables))
        return 0
    chosen = list(tables) if words == ["all"] else [words[0] if words[0] in tables else f"table{words[0]}"]
    if chosen[0] not in tables:
        raise ConfigError(f"there is no table {words[0]!r}", near(words[0], (*tables, "all")))
    given = [argument for argument in arguments if "=" in argument]
    if words != ["all"]:
        return reproduce(tables[chosen[0]], given).failed
    told = [part for name in chosen if (part := _reproduced(tables[name], given))]
    print(f"all tables: {_overview_page(told, given).resolve()}")
    return int(len(told) < len(chosen) or any(part.failed for part in told))


def _reproduced(paper: PublishedTable, given: Sequence[str]) -> Reproduced | None:
    """One of all tables; None if it cannot be run, which is told and does not stop the others."""
    try:
        return reproduce(paper, given)
    except SpinelabError as error:
        print(f"{paper.name}: {error}", file=sys.stderr)
        return None


@dataclass(frozen=True)
class Reproduced:
    """A table after its runs: its page and the folder that this lies in, if it is one of runs; 1 if a job failed."""

    page: Page
    folder: Path | None
    failed: int = 0


def reproduce(paper: PublishedTable, given: Sequence[str]) -> Reproduced:
    """Run what is missing of one table, then print and write it."""
    only_table = [text.partition("=")[2] for text in given if text.startswith("table=")]
    if study_of(paper.name) is None:
        print(described(paper))
        return Reproduced(printed_only(paper), None)
    plan, launch = planned(str(study_of(paper.name)), [text for text in given if not text.startswith("table=")])
    print(f"{plan.study.title}\n{plan.study.question}\nbudget {plan.budget.name}: {plan.budget.cost}", flush=True)
    failed = 0
    if not (only_table and flag(only_table[-1])):
        check_plan(plan)
        failed = run(plan, launch)
    return replace(written(paper, plan), failed=failed)


def published_file() -> Path:
    """The review's numbers: the user's own ./experiments/published.yaml, or the project's."""
    found = [folder / "published.yaml" for folder in study_folders()]
    return next((file for file in found if file.is_file()), found[-1])


def study_of(name: str) -> Path | None:
    """The study of a table, the user's own first; None if there is none."""
    files = [folder / f"{name}.yaml" for folder in study_folders()]
    return next((file for file in files if file.is_file()), None)


def check_plan(plan: Plan) -> None:
    """Refuse a study whose rows are not given the same terms, before anything runs.

    Raises:
        ConfigError: With the rows and what they differ in.
    """
    from spinelab.reporting.alike import check_alike

    jobs = plan.jobs()
    for data in plan.budget.data:
        configs = {job.row: job.config for job in jobs if job.data == data}
        try:
            check_alike(configs)
        except ConfigError as error:
            raise ConfigError(error.found, error.remedy, plan.study.file) from None


def written(paper: PublishedTable, plan: Plan) -> Reproduced:
    """Write the page from the runs that are done, and print its Markdown and where it lies."""
    from spinelab.reporting.beside import RowRuns, lay_beside
    from spinelab.reporting.beside_page import write_reproduction
    from spinelab.reporting.beside_text import Page

    jobs = plan.jobs(check=False)
    sheets = []
    for data in plan.budget.data:
        rows = {}
        for row in plan.budget.rows:
            own = [job for job in jobs if (job.data, job.row) == (data, row)]
            done = tuple(job.run.folder for job in own if job.state().name == "done")
            rows[row] = RowRuns(done, len(own), " ".join(_own_overrides(plan, row)))
        sheets.append(lay_beside(paper, data, rows))
    page = Page(paper, plan.budget.name, plan.budget.cost, tuple(sheets), command(plan))
    file = write_reproduction(page, plan.folder / "reproduction")
    folder = file.parent.resolve()
    print(f"\n{file.read_text(encoding='utf-8')}\nwritten to {folder}\npage: {folder / 'page.html'}")
    return Reproduced(page, folder)


def _own_overrides(plan: Plan, row: str) -> list[str]:
    """What makes a row, less what the budget or the command line sets otherwise."""
    otherwise = {override.key_or_group for override in parse_overrides([*plan.budget.overrides, *plan.extra])}
    return [str(own.input_line) for own in parse_overrides(plan.study.rows[row]) if own.key_or_group not in otherwise]


def command(plan: Plan) -> str:
    """What a shell is told to make a table again."""
    top = [] if plan.top == Path("runs") else [f"paths.runs={plan.top}"]
    usual = plan.study.budget(plan.budget.name).data
    data = [] if plan.budget.data == usual else [f"data={','.join(plan.budget.data)}"]
    words = [plan.study.name, f"budget={plan.budget.name}", *data, *plan.extra, *top]
    return shlex.join(["spinelab", "reproduce", *words])


def _overview_page(told: Sequence[Reproduced], given: Sequence[str]) -> Path:
    """One page with all tables, in the folder of all runs."""
    from spinelab.reporting.beside_page import write_overview

    top = [text.partition("=")[2] for text in given if text.startswith("paths.runs=")]
    file = Path(top[-1] if top else "runs") / "reproduction.html"
    return write_overview([(part.page, part.folder) for part in told], file)


def printed_only(paper: PublishedTable) -> Page:
    """A table that nothing is run for, as a page: each cell, and what spinelab sets in its place or why it has none."""
    from spinelab.reporting.beside import Line, Sheet
    from spinelab.reporting.beside_text import Page

    config = _preset(paper)
    lines = [
        Line(cell.row, cell.metric, cell, {}, f"{cell.setting} is {_selected(config, cell.setting)}" if
             cell.setting and config else paper.not_yet_run.get(cell.row, ""))
        for cell in paper.cells
    ]  # fmt: skip
    return Page(paper, "", "", (Sheet("", (), tuple(lines)),))


def overview(tables: dict[str, PublishedTable]) -> str:
    """The tables, what each compares, which rows can be run, and what each budget costs."""
    parts = []
    for paper in tables.values():
        lines = [f"{paper.name}  {paper.title}: {paper.compares}"]
        if (file := study_of(paper.name)) is not None:
            study = read_study(file)
            lines += [f"  budget={name:<7} {budget.cost}" for name, budget in study.budgets.items()]
            missing = [row for row in paper.rows if row not in study.rows and row not in paper.same]
            lines += [f"  not yet run: {', '.join(missing)}"] if missing else []
        else:
            lines.append("  settings: experiment=review" if _settings(paper) else "  printed only: no study of it yet")
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, "spinelab reproduce TABLE [budget=NAME] runs one; spinelab reproduce --help explains."])


def described(paper: PublishedTable) -> str:
    """A table that nothing is run for: what is printed, how far it can be trusted, and why nothing is measured."""
    from spinelab.reporting.published import TRUST

    config = _preset(paper)
    lines = [f"{paper.title}: {paper.compares}", ""]
    for cell in paper.cells:
        own = f"; {cell.setting} is {_selected(config, cell.setting)}" if cell.setting and config else ""
        why = "" if _settings(paper) or not paper.not_yet_run else f"; not yet run: {paper.not_yet_run.get(cell.row)}"
        note = f"; {cell.note}" if cell.note else ""
        lines.append(f"{cell.row}, {cell.metric}: {cell.printed} ({cell.trust}: {TRUST[cell.trust]}{note}){own}{why}")
    return "\n".join([*lines, "", paper.caveat])


def _settings(paper: PublishedTable) -> bool:
    """Whether it tells of settings (Tables 1 and 2), not of scores."""
    return paper.name in ("table1", "table2")


def _preset(paper: PublishedTable) -> dict[str, object]:
    """The preset that a table of settings is held against; empty for a table of scores."""
    return resolved(compose_config(["experiment=review"])) if _settings(paper) else {}


def _selected(config: dict[str, object], dotted: str) -> object:
    value: object = config
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
