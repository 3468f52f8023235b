"""What can be wrong with a file before its pixels are looked at."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from spinelab.data.doctor.finding import Finding, error, warning
from spinelab.data.volumes.formats import COPY_AGAIN, NIFTI, is_dicom
from spinelab.data.volumes.io import RawVolume, read_raw, read_raw_mask
from spinelab.types import Case, Files


def check_files(files: Files, what: str) -> Iterator[Finding]:
    """Files that are not there or are empty. `what` is ``image`` or ``mask``."""
    for file in files:
        if not file.exists():
            yield _missing(file, what)
        elif not file.is_file():
            yield error("unreadable", file, f"the {what} is not a file", "put the file in this place")
        elif file.stat().st_size == 0:
            yield error("truncated", file, "the file is empty", COPY_AGAIN)


def _missing(file: Path, what: str) -> Finding:
    if file.is_symlink():
        found, remedy = f"the {what} is a link to {file.readlink()}, which is not there", "fetch or restore its target"
    else:
        found = f"the {what} is missing"
        remedy = f"add it, leave its {'scan' if what == 'mask' else 'case'} out, or correct the pattern in data.source"
    return error(f"missing-{what}", file, found, remedy)


def check_root(root: Path, cases: Iterable[Case]) -> Iterator[Finding]:
    """Files of the cases that leave the root, by name or through a link, and names that only their case tells apart."""
    listed = sorted({file for case in cases for file in files_of(case)})
    inside = root.resolve()
    if outside := [file for file in listed if not file.resolve().is_relative_to(inside)]:
        found = f"{len(outside)} files lie outside the data set's folder, such as {outside[0].resolve()}"
        consequence, remedy = "copies of the folder are incomplete", "move them below the root"
        yield warning("leaves-root", outside[0], found, consequence, remedy)
    yield from _collisions(listed)


def _collisions(listed: list[Path]) -> Iterator[Finding]:
    same: dict[str, list[Path]] = defaultdict(list)
    for file in listed:
        same[str(file).casefold()].append(file)
    for first, *others in (group for group in same.values() if len(group) > 1):
        yield warning(
            "name-collision",
            first,
            f"differs from {', '.join(other.name for other in others)} in upper and lower case only",
            "on Windows and macOS one of the files replaces the other",
            "rename one of them",
        )


def extra_masks(cases: Iterable[Case]) -> Iterator[Finding]:
    """Files that lie and are called like masks, and belong to no listed image."""
    cases = list(cases)
    images = {file for case in cases for files in case.images for file in files}
    used: set[Path] = set()
    endings: dict[Path, Counter[str]] = defaultdict(Counter)
    for case in cases:
        stems = sorted({_stem(file) for files in case.images for file in files}, key=len, reverse=True)
        for file in (file for mask in case.masks for file in mask.files):
            used.add(file)
            if stem := next((stem for stem in stems if file.name.startswith(stem)), None):
                endings[file.parent][file.name[len(stem) :]] += 1
    for folder, known in sorted(endings.items()):
        if folder in {file.parent for file in images} and any(ending[0] != "_" for ending in known):
            continue  # scans and masks lie side by side and end alike
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            if file.name.endswith(tuple(known)) and file not in used | images and not file.name.startswith("."):
                yield warning(
                    "extra-mask",
                    file,
                    "the mask belongs to no listed image",
                    "if its scan was meant to be used, it is left out",
                    "look for a misspelt name; remove the mask if there is no scan",
                )


def files_of(case: Case) -> Iterator[Path]:
    """All files of a case."""
    for files in (*case.images, *(mask.files for mask in case.masks)):
        yield from files


def _stem(file: Path) -> str:
    return file.name.split(".nii")[0] if file.name.lower().endswith(NIFTI) else file.stem


def read_as_is(files: Files, *, mask: bool, image: RawVolume | None = None) -> RawVolume:
    """Voxels as they are in the file, however wrong their values; palette pictures of masks as the numbers behind.

    Args:
        files: One volume, one file a slice, or a DICOM series.
        mask: Whether it is a mask.
        image: The scan of a mask; a DICOM-SEG is brought onto its grid.

    Raises:
        DataError: They cannot be read, or have no three axes.
    """
    if mask and is_dicom(files[0]):
        return read_raw_mask(files, image)
    return read_raw(files, colours_as_labels=mask)
