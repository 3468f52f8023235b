"""The whole way of the data beside its peers, in one table: reading, fetching, augmenting and preparing slices.

Run it on a quiet machine with two cores: `python experiments/benchmarks/data.py`. Each row takes turns of a peer and
spinelab in this one process; the modules beside this file say what each peer is and what was made equal.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from rich.console import Console
from rich.table import Table


def preparing(folder: Path, rounds: int = 5) -> tuple[float, float]:
    """Peer: gunzip, reorient, resample (0.7 to 0.5 mm) and normalise through scikit-image, order 3, of the volume."""
    import preparation

    path = folder / "scan.nii.gz"
    preparation.write_scan(path)
    spacing = preparation.FINE
    ways = {
        "peer": lambda: preparation.peer(path, spacing, by_slice=False),
        "ours": lambda: preparation.ours(path, spacing),
    }
    seconds = preparation.medians(ways, rounds)
    return seconds["peer"], seconds["ours"]


def measured() -> list[tuple[str, float | None, float, float]]:
    """What, the smallest ratio aimed at, seconds of the peer and of ours.

    Rows without an aim have memory in place of the cache, which shows what would be possible, or vary the row above.
    """
    import augmentation  # not above: the second process imports this file anew, as it does the light `spinelab`,
    import cache  # and would load torch, MONAI and more than a user's

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cases = cache.scans(folder)
        slices = cache.prepared(folder / "cache", cases)
        resampled = cache.prepared(folder / "cache", cases, spacing_mm=(0.75, 0.75))
        memory, floats = cache.in_memory(slices), cache.in_memory(resampled)
        few, many = (cache.processes(folder, cases, turns) for turns in (4, 14))
        return [
            ("read a slice: memcpy", 1 / 1.15, *cache.memcpy(slices)),
            ("read a slice, int16: blosc2, its defaults", 15, *cache.blosc2(slices, folder, as_nnunet=False)),
            ("... memory in place of ours", None, *cache.blosc2(slices, folder, as_nnunet=False, ours=memory)),
            ("read a slice, float32: blosc2, as nnU-Net sets it", 15, *cache.blosc2(resampled, folder, as_nnunet=True)),
            ("... memory in place of ours", None, *cache.blosc2(resampled, folder, as_nnunet=True, ours=floats)),
            ("read a slice: MONAI CacheDataset", 20, *cache.monai(slices, cases)),
            ("read a slice: nibabel, .nii.gz of 12 slices", 2000, *cache.naive(slices, cases)),
            ("... memory in place of ours", None, *cache.naive(slices, cases, memory)),
            ("read a slice: nibabel, .nii.gz of 120 slices", 2000, *cache.thick(folder)),
            ("fetch a batch of 8: copy of ready arrays", 1 / 2, *augmentation.batch_copy_against_fetch()),
            ("augment a slice: albumentations", 4, *augmentation.albumentations_against_ours()),
            ("augment a slice: MONAI", 10, *augmentation.monai_against_ours()),
            ("prepare a scan: scikit-image", 5, *preparing(folder)),
            ("prepare 128 scans: one process, ours two", 1.7, few[2], few[1]),
            ("... one process on one core", None, *few[:2]),
            ("... 448 scans (SPIDER has 447)", None, many[2], many[1]),
            ("... 448 scans, one process on one core", None, *many[:2]),
        ]


def main() -> None:
    """Measure everything and print peer, ours, ratio and what was aimed at."""
    warnings.filterwarnings("ignore")
    table = Table(title="ms, medians", title_justify="left")
    for column in ("what: peer", "peer", "ours", "peer / ours", "aim"):
        table.add_column(column, justify="left" if column == "what: peer" else "right")
    for what, aim, peer, ours in measured():
        ratio = peer / ours
        words = "" if aim is None else f"{aim:.2f}" if ratio >= aim else f"{aim:.2f}: not met"
        table.add_row(what, f"{1000 * peer:.3f}", f"{1000 * ours:.3f}", f"{ratio:.2f}", words)
    Console().print(table)


if __name__ == "__main__":
    main()
