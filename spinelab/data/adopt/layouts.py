"""The layouts that a file or a naming rule gives away: SPIDER, Decathlon, nnU-Net, manifest, DICOM."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

from spinelab.data.adopt.found import Found, Missed
from spinelab.data.adopt.persons import guess
from spinelab.data.adopt.tree import Tree, bare, shorten
from spinelab.data.sources.description import channels, label_map, raw_names, read_description
from spinelab.data.sources.spider import CONTRASTS, SERIES, spider_labels
from spinelab.data.sources.tables import read_table
from spinelab.errors import SpinelabError

TABLES = (".csv", ".tsv", ".parquet")


def spider(tree: Tree) -> Found | Missed:
    """``images/<number>_<contrast>.mha`` and masks of the same name."""
    images = [file for file in tree.volumes if file.parts[0] == "images" and file.suffix == ".mha"]
    series = [match for file in images if len(file.parts) == 2 and (match := SERIES.fullmatch(file.stem))]
    if not series or len(series) < len(images):
        share = len(series) / len(images) if images else 0.0
        return Missed("spider", "files images/<number>_<t1|t2|t2_SPACE>.mha", share / 2)
    counts = Counter(match[2] for match in series)
    present = [name for name in CONTRASTS if counts[name]]
    told = ", ".join(f"{counts[name]} {name}" for name in present)
    masks = {file.name for file in tree.volumes if file.parts[0] == "masks"}
    without = [file.name for file in images if file.name not in masks]
    return Found(
        "spider",
        "images/<number>_<contrast>.mha, masks of the same names",
        "spinelab.data.sources.spider.SpiderSource",
        {"contrasts": present},
        {"contrasts": f"{told}; each series is a case of its own, all of a person stay on one side of a split"},
        names=spider_labels(),
        own_labels=True,
        person="by the number that file names begin with",
        notes=(f"{len(without)} images have no mask: {shorten(without)}",) if without else (),
    )


def nnunet(tree: Tree) -> Found | Missed:
    """``dataset.json`` and images ``imagesTr/<case>_<channel>``."""
    images = [file for file in tree.files if file.parts[0] == "imagesTr" and re.search(r"_\d{4}\.", file.name)]
    if not tree.has("dataset.json") or not images:
        lacks = "imagesTr/<case>_0000... and dataset.json"
        return Missed("nnunet", lacks, 0.5 * bool(images) + 0.2 * tree.has("dataset.json"))
    found = _described(tree, "nnunet")
    if isinstance(found, Missed):
        return found
    names, labels = found
    cases = sorted({re.sub(r"_\d{4}$", "", bare(file)) for file in images})
    persons = guess(cases, "(.+)")
    contrasts = f"channels: {', '.join(names)}; set channels={len(names)}" if len(names) > 1 else f"channel: {names[0]}"
    return Found(
        "nnunet",
        "dataset.json and imagesTr/<case>_<four digits>",
        "spinelab.data.sources.nnunet.NnunetSource",
        {"person": persons.pattern},
        {"person": persons.reason},
        names=labels,
        own_labels=True,
        regions=label_map(tree.root / "dataset.json").regions,
        person=persons.reason,
        notes=(contrasts, *_splits(tree)),
    )


def decathlon(tree: Tree) -> Found | Missed:
    """``dataset.json`` with a list of training pairs."""
    if not tree.has("dataset.json"):
        return Missed("decathlon", "dataset.json")
    found = _described(tree, "decathlon")
    if isinstance(found, Missed):
        return found
    names, labels = found
    training = read_description(tree.root / "dataset.json").get("training")
    if not isinstance(training, list) or not training:
        return Missed("decathlon", "a list `training` of image and label in dataset.json", 0.5)
    if len(names) > 1:
        lacks = f"one channel a file: its images hold {len(names)}; convert with nnUNetv2_convert_MSD_dataset"
        return Missed("decathlon", lacks, 0.9)
    images = [str(entry.get("image", "")) for entry in training if isinstance(entry, dict)]
    persons = guess([bare(PurePosixPath(image)) for image in images], "(.+)")
    return Found(
        "decathlon",
        f"dataset.json with {len(images)} training pairs",
        "spinelab.data.sources.decathlon.DecathlonSource",
        {"person": persons.pattern},
        {"person": persons.reason},
        names=labels,
        own_labels=True,
        regions=label_map(tree.root / "dataset.json").regions,
        person=persons.reason,
        notes=(f"channel: {names[0]}",),
    )


def manifest(tree: Tree) -> Found | Missed:
    """A table in the root with the columns person and image."""
    near = Missed("manifest", "a table in the folder with the columns person, image and mask")
    for file in (file for file in tree.files if len(file.parts) == 1 and file.suffix.lower() in TABLES):
        try:
            table = read_table(tree.root / file)
        except SpinelabError:
            continue
        rows = list(table.values())
        columns = list(rows[0])
        images = [name for name in columns if name == "image" or name.startswith("image_")]
        if "person" in columns and images:
            return _manifest(file.name, rows, columns, images)
        if {"person", *images} & set(columns):
            near = Missed("manifest", f"the columns person and image in {file}; it has {', '.join(columns)}", 0.5)
    return near


def _manifest(name: str, rows: list[dict[str, str]], columns: list[str], images: list[str]) -> Found:
    overlays = tuple(column for column in columns if column.startswith("mask_"))
    masks = ("",) if "mask" in columns else ()
    notes = [f"channels: {', '.join(images)}; set channels={len(images)}"] if len(images) > 1 else []
    notes += [f"columns not looked at: {', '.join(overlays)} (see overlays)"] if overlays else []
    return Found(
        "manifest",
        f"the columns of {name}: {', '.join(columns)}",
        "spinelab.data.sources.manifest.ManifestSource",
        {"table": name},
        {"table": f"{len(rows)} rows"},
        masks=masks,
        person="by the column person",
        notes=tuple(notes),
    )


def _described(tree: Tree, kind: str) -> tuple[list[str], dict[int, str]] | Missed:
    """Channels and labels of a ``dataset.json``."""
    file = tree.root / "dataset.json"
    try:
        return channels(read_description(file), file), raw_names(file)
    except SpinelabError as error:
        return Missed(kind, f"a dataset.json that can be used: {error.found}", 0.8)


def _splits(tree: Tree) -> tuple[str, ...]:
    found = [file for file in tree.files if file.name in ("splits_final.json", "splits_final.pkl")]
    return (f"nnU-Net's own folds are in {found[0]}: protocol=nnunet takes them",) if found else ()
