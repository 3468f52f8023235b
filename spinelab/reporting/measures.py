"""What a metric's name in the case tables means to a reader: its title, its place, and which way round it is read."""

from __future__ import annotations

import re

TITLES = {
    "dice": "Dice",
    "jaccard": "Jaccard",
    "hd95": "HD95",
    "assd": "ASSD",
    "nsd": "Normalised surface Dice",
    "sensitivity": "Sensitivity",
    "ppv": "Positive predictive value",
    "specificity": "Specificity",
    "sa": "Segmentation accuracy (SA)",
    "sa_pixels": "Segmentation accuracy (SA), by pixels",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "miou": "Mean IoU",
    "lesion_sensitivity": "Lesion-wise sensitivity",
    "lesion_precision": "Lesion-wise precision",
    "lesion_f1": "Lesion-wise F1",
    "absolute_volume_difference": "Absolute volume difference, relative",
    "hd": "HD",
    "asd": "ASD",
    "false_positive_volume": "False-positive volume",
    "ece": "Expected calibration error (ECE)",
    "ece_foreground": "ECE of the foreground",
    "brier": "Brier score",
    "brier_foreground": "Brier score of the foreground",
    "specificity_roi": "Specificity in the truth's box",
    "accuracy_roi": "Accuracy in the truth's box",
    "balanced_accuracy_roi": "Balanced accuracy in the truth's box",
}
"""Known metrics in the order in which they are shown; others follow."""
MAIN = ("dice", "jaccard", "hd95", "assd", "nsd", "sensitivity", "ppv", "specificity", "sa", "lesion_f1")
"""What papers report: shown first, with a figure of every person and with paired comparisons."""
SIZES = ("truth_volume", "predicted_volume", "volume_difference", "foreground_roi", "lesions_true", "lesions_predicted")
"""Measured for each case, but neither more nor less of them is better: no table ranks them."""
ERRORS = ("ece", "ece_foreground", "brier", "brier_foreground", "absolute_volume_difference")
"""Without a unit, but the better the lower."""
COUNTS = ("lesions_found",)
"""With a unit, but the better the higher."""


def base(metric: str) -> str:
    """The metric without its unit, its tolerance or its definition: "hd95_maximum (mm)" -> "hd95"."""
    name = metric.split(" (")[0]
    return re.sub(r"^(nsd|hd95)_.*", r"\1", name)


def title(metric: str) -> str:
    """What a reader calls it, with everything that sets it apart from its kind."""
    name, _, unit = metric.partition(" (")
    known = TITLES.get(base(metric), name.replace("_", " ").capitalize())
    if tolerance := re.fullmatch(r"nsd_([\d.e+-]+)(mm|px)", name):
        return f"{known} at {tolerance[1]} {tolerance[2]}"
    definition = f", {name.removeprefix('hd95_')}" if name.startswith("hd95_") else ""
    return f"{known}{definition} ({unit}" if unit else f"{known}{definition}"


def place(metric: str) -> tuple[int, str]:
    """Sorts metrics as readers expect them."""
    order = list(TITLES)
    return (order.index(base(metric)) if base(metric) in TITLES else len(order), metric)


def is_main(metric: str) -> bool:
    """Whether it is among those that papers report."""
    return base(metric) in MAIN


def is_ranked(metric: str) -> bool:
    """Whether one value is better than another."""
    return base(metric) not in SIZES


def lower_is_better(metric: str, unit: str) -> bool:
    """As for distances, volumes and counts of errors; ratios are the better the higher, but for `ERRORS`."""
    return base(metric) in ERRORS or (unit != "1" and base(metric) not in COUNTS)
