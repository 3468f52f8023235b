"""What the phantom is worth: trained on it alone, tested on SPIDER; and fine-tuned on a few real persons.

    SPINELAB_DATA=... python experiments/phantom_to_spider.py --out runs/transfer

1. U-Net (resnet18 from random weights) on the phantom, once as it is and once with contrast randomisation.
2. Both tested on the SPIDER test persons without having seen a real scan.
3. The better of them fine-tuned on 1, 2 and 5 SPIDER persons, against training from scratch on the same persons with
   the same number of steps. There is no validation side: the last epoch is scored, so nothing is selected on SPIDER
   except which of the two phantom networks is fine-tuned.

Prints one table and writes it to OUT/table.md. A finished run is not trained again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from spinelab import build
from spinelab.commands.evaluate import evaluate
from spinelab.commands.train import train
from spinelab.config import compose_config
from spinelab.files import write_atomically
from spinelab.reporting.statistics import person_values, summarise
from spinelab.run import Run

COUNTS = (1, 2, 5)
COMMON = ["model=unet", "encoder=resnet18", "trainer=cpu", "loader.batch_size=4", "callbacks.panels=null"]


def trained(overrides: list[str], out: Path) -> Run:
    """A finished run."""
    config = compose_config([*COMMON, f"paths.runs={out}", *overrides])
    train(config)
    return Run.of(config)


def splits(out: Path, seed: int) -> dict[int, Path]:
    """Split files: the first 1, 2, 5 of a shuffled pool train, everybody outside the pool is tested."""
    cases = build.cases(compose_config(["data=spider_t2space"]))
    order = np.random.default_rng(seed).permutation(sorted({case.person for case in cases})).tolist()
    pool, test = order[: max(COUNTS)], order[max(COUNTS) :]
    files = {}
    for count in COUNTS:
        sides = {"train": pool[:count], "val": [], "test": test, "unused": pool[count:]}
        files[count] = write_atomically(out / "splits" / f"train-{count}.json", json.dumps(sides, indent=1))
    return files


def main() -> None:
    """Train, test, fine-tune, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--persons", type=int, default=40, help="phantom persons")
    parser.add_argument("--phantom-epochs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=200, help="steps on SPIDER, the same for every number of persons")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files = splits(options.out, options.seed)
    test = json.loads(files[1].read_text())["test"]
    rows: dict[str, pd.DataFrame] = {}
    phantom: dict[str, Run] = {}
    for name, augmentation in (("phantom", "default"), ("phantom, random contrast", "contrast_random")):
        budget = [f"data.generate.persons={options.persons}", f"trainer.max_epochs={options.phantom_epochs}"]
        phantom[name] = trained(["data=phantom_spider", f"augmentation={augmentation}", *budget], options.out)
        table = evaluate(phantom[name], ["data=spider_t2space"], "all", predictions=False)
        rows[f"{name}: no real person"] = table[table["person"].isin(test)]
    best = max(phantom, key=lambda name: mean_dice(rows[f"{name}: no real person"]))
    for count, file in files.items():
        real = ["data=spider_t2space", "protocol=file", f"protocol.path={file}", "trainer.max_epochs=-1"]
        real += [f"+trainer.max_steps={options.steps}", "optimizer.lr=3e-4"]
        people = f"{count} real person{'s' if count > 1 else ''}"
        for name, start in (("scratch", []), (f"{best}, then fine-tuned", [f"init={phantom[best].folder}"])):
            rows[f"{name}: {people}"] = pd.read_parquet(trained([*real, *start], options.out).cases)
    text = markdown(rows)
    write_atomically(options.out / "table.md", text)
    print(text)


def mean_dice(cases: pd.DataFrame) -> float:
    """Mean over persons of the mean over classes."""
    return summarise(person_values(cases, "dice", None)).mean


def markdown(rows: dict[str, pd.DataFrame]) -> str:
    """One line a way of training: mean Dice over the test persons, its 95 % interval, n."""
    classes = ["vertebra", "disc", "canal"]
    lines = ["| trained on | vertebra | disc | canal | mean |", "|---|---:|---:|---:|---:|"]
    for name, cases in rows.items():
        cells = [summarise(person_values(cases, "dice", cls)) for cls in (*classes, None)]
        lines.append(
            f"| {name} | " + " | ".join(f"{c.mean:.3f} [{c.low:.3f}, {c.high:.3f}] n={c.n}" for c in cells) + " |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
