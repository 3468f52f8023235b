"""Run folders as training leaves them, made without training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image, ImageDraw

CLASSES = ("cord", "vertebra", "lesion")
MODELS = {"U-Net": 0.90, "U-Net++": 0.88, "Attention U-Net": 0.92, "FCN-8s": 0.70}
PERSONS = tuple(f"p{i}" for i in range(1, 6))

Writer = Callable[..., Path]


def case_rows(identity: dict[str, object], level: float, persons: tuple[str, ...]) -> list[dict[str, object]]:
    """Two volumes a person; p4 has no lesion, and the lesion of p5 is missed."""
    rng = np.random.default_rng(int(level * 1000) + int(str(identity["seed"])))
    rows: list[dict[str, object]] = []
    for person in persons:
        for visit in ("a", "b"):
            for name in CLASSES:
                state = {("p4", "lesion"): "absent", ("p5", "lesion"): "missed"}.get((person, name), "present")
                dice = float(np.clip(rng.normal(level, 0.03), 0, 1)) if state == "present" else 0.0
                scores: dict[str, float | None] = {"dice": dice, "jaccard": dice / (2 - dice), "sensitivity": dice}
                scores |= {"specificity": 0.99, "ppv": dice if state == "present" else None}
                place = {"person": person, "site": "", "case": f"{person}-{visit}", "class": name, "state": state}
                for metric, value in scores.items():
                    value = None if state == "absent" and metric != "specificity" else value
                    rows.append(identity | place | {"metric": metric, "value": value, "unit": "1"})
    return rows


def draw_panel(file: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (960, 320))
    for i in range(3):
        noise = Image.fromarray(rng.integers(20, 70, (80, 80), dtype=np.uint8)).resize((316, 320))
        picture.paste(noise.convert("RGB"), (i * 322, 0))
        if i:
            box = [i * 322 + 120, 60 + 4 * seed * (i - 1), i * 322 + 190, 260]
            ImageDraw.Draw(picture).ellipse(box, outline="#E69F00", width=4)
    picture.save(file)


def writer_into(top: Path) -> Writer:
    """Writes a finished run under ``runs/``; keyword arguments change what is in it."""

    def write(
        model: str = "U-Net", *, level: float = 0.9, seed: int = 0, fold: int = 0, persons: tuple[str, ...] = PERSONS,
        dataset: str = "phantom", split_hash: str = "abc123", epochs: int = 20, panels: bool = False,
        rows: list[dict[str, object]] | None = None, protocol: str = "holdout",
        settings: dict[str, object] | None = None,
    ) -> Path:  # fmt: skip
        name = f"{dataset}-{model}-{fold}-{seed}" + ("" if split_hash == "abc123" else f"-{split_hash}")
        folder = top / "runs" / dataset / name.replace(" ", "_")
        (folder / "panels").mkdir(parents=True)
        identity: dict[str, object] = {"run": name, "model": model, "dataset": dataset, "protocol": protocol}
        identity |= {"fold": fold, "seed": seed, "split_hash": split_hash}
        cases = pd.DataFrame(case_rows(identity, level, persons) if rows is None else [identity | r for r in rows])
        cases.to_parquet(folder / "cases.parquet")
        config = {"name": model, "data": {"name": dataset}, "seed": seed, "trainer": {"max_epochs": epochs}}
        config |= {"model": {"_target_": f"models.{model}"}} | (settings or {})
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        split = {"protocol": protocol, "seed": seed, "fold": fold, "hash": split_hash, "test": list(persons)}
        (folder / "split.json").write_text(json.dumps(split | {"train": ["t1", "t2", "t3"], "val": ["v1"]}))
        facts = {"parameters": int(level * 3e7), "seconds": 750.0, "commit": "0123456789abcdef"}
        (folder / "environment.json").write_text(json.dumps(facts | {"processor": "test machine", "cores": 2}))
        epoch = np.arange(epochs)
        curve = {"epoch": epoch, "seconds": 12.0 * epoch, "val/dice": level * (1 - np.exp(-epoch / (2 + 9 * level)))}
        pd.DataFrame(curve).to_csv(folder / "metrics.csv", index=False)
        for i, case in enumerate(sorted(set(cases["case"])) if panels else ()):
            draw_panel(folder / "panels" / f"{case}.png", i)
        return folder

    return write


@pytest.fixture
def write_run(tmp_path: Path) -> Writer:
    return writer_into(tmp_path)


@pytest.fixture(scope="session")
def four_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four models, two seeds each, five persons, three classes, panels; not to be changed by a test."""
    top = tmp_path_factory.mktemp("four")
    write_run = writer_into(top)
    for model, level in MODELS.items():
        for seed in (0, 1):
            write_run(model, level=level, seed=seed, panels=seed == 0)
    return top / "runs"
