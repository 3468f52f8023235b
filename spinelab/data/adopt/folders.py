"""Any folder of images and masks: which file belongs to which, said as patterns."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from spinelab.data.adopt.found import Found, Missed
from spinelab.data.adopt.persons import Persons, guess
from spinelab.data.adopt.tree import (
    Tree,
    bare,
    common_end,
    common_start,
    extension,
    is_mask_word,
    says_mask,
    shorten,
    split_words,
)

MOST_NAMED = 200
"""Files that a pattern spells out one by one at most."""

Images = list[PurePosixPath]


class _Pairs(NamedTuple):
    """The image of each mask, by the pattern that leads from one to the other."""

    by_template: dict[str, set[PurePosixPath]]
    unmatched: list[PurePosixPath]


def folder(tree: Tree) -> Found | Missed:
    """Volumes or pictures, with masks that names or folders give away."""
    files = tree.volumes or tree.pictures
    if not files:
        return Missed("folder", "NIfTI, MetaImage, NRRD or picture files")
    images = [file for file in files if not says_mask(file)]
    masks = [file for file in files if says_mask(file)]
    if not images:
        return Missed("folder", f"images: all {len(files)} files are named as masks", 0.4)
    pairs = _pair(images, masks)
    templates, chosen = _choose(pairs, images)
    glob = _glob(tree, chosen)
    if glob is None:
        return Missed("folder", f"a pattern that tells images from masks, in {shorten(chosen)}", 0.5)
    persons = _persons(chosen)
    arguments: dict[str, object] = {"image": glob, "person": persons.pattern}
    comments = {"image": f"{len(chosen)} files", "person": persons.reason}
    if not tree.volumes and (order := _slice_order(chosen)):
        arguments["slice"] = order
    if tree.volumes and (volume := _volume(chosen)):
        arguments["volume"] = volume
    left = [file for file in images if file not in set(chosen)]
    notes = [f"left out, without such a mask: {shorten(left)}"] if left and templates else []
    notes += [f"masks of no image: {shorten(pairs.unmatched)}"] if pairs.unmatched else []
    others = [other for other in pairs.by_template if other not in {t for joined in templates for t in joined}]
    notes += [f"other masks: {shorten(sorted(others))}"] if others and templates else []
    return Found(
        "folder",
        f"{len(images)} images and {len(masks)} masks, told apart by their names",
        "spinelab.data.sources.folder.FolderSource",
        arguments,
        comments,
        masks=tuple(_alternatives(joined) for joined in templates),
        person=persons.reason,
        notes=tuple(notes),
    )


def _pair(images: Images, masks: Images) -> _Pairs:
    found: dict[str, set[PurePosixPath]] = defaultdict(set)
    unmatched = []
    places = _places(images)
    for mask in masks:
        best = max(_candidates(mask, places), key=lambda pair: pair[0], default=None)
        if best is None:
            unmatched.append(mask)
        else:
            found[best[2]].add(best[1])
    return _Pairs(found, unmatched)


def _places(images: Images) -> dict[str, Images]:
    """Images by their bare name, and by their folder."""
    places: dict[str, Images] = defaultdict(list)
    for image in images:
        places[f"name:{bare(image)}"].append(image)
        places[f"folder:{image.parent}"].append(image)
    return places


def _candidates(mask: PurePosixPath, places: Mapping[str, Images]) -> Iterator[tuple[int, PurePosixPath, str]]:
    """Images that a mask may belong to: how well it fits, the image, the pattern."""
    name, end = bare(mask), extension(mask)
    words = split_words(name)
    for length in range(len(name), 0, -1):
        if length < len(name) and name[length] not in "_-. ":
            continue
        tail = name[length:]
        for image in places.get(f"name:{name[:length]}", ()):
            written = "{name}" if not tail and end == extension(image) else f"{{stem}}{tail}{end}"
            if image.parent == mask.parent:
                yield 100 + length, image, f"{{folder}}/{written}"
            elif image.parent.name == mask.parent.name and len(mask.parts) > 2:
                yield 50 + length, image, f"{'/'.join(mask.parts[:-2])}/{{person}}/{written}"
            elif len(_others(places, name[:length])) == 1:
                yield length, image, f"{mask.parent.as_posix()}/{written}"
    alone = places.get(f"folder:{mask.parent}", [])
    if len(alone) == 1 and any(is_mask_word(word) for word in words):
        yield 1, alone[0], f"{{folder}}/{mask.name}"


def _others(places: Mapping[str, Images], name: str) -> Images:
    return places.get(f"name:{name}", [])


def _choose(pairs: _Pairs, images: Images) -> tuple[list[list[str]], Images]:
    """The usual mask (with other spellings of it), further masks that all its images have too, and these images."""
    if not pairs.by_template:
        return [], images
    kinds = _kinds(pairs.by_template)
    first = max(kinds, key=lambda kind: len(kinds[kind]))  # the earliest of equals
    rest = [kind for kind in kinds if kind != first and kinds[first] <= kinds[kind]]
    return [list(first), *map(list, rest)], [image for image in images if image in kinds[first]]


def _kinds(by_template: Mapping[str, set[PurePosixPath]]) -> dict[tuple[str, ...], set[PurePosixPath]]:
    """Patterns that are spellings of one kind of mask, and never lead from one image to two, with their images."""
    groups: dict[tuple[str, str], tuple[list[str], set[PurePosixPath]]] = {}
    alone: dict[tuple[str, ...], set[PurePosixPath]] = {}
    for template in sorted(by_template, key=lambda template: (-len(by_template[template]), template)):
        spellings, covered = groups.setdefault(_core(template), ([], set()))
        if covered & by_template[template]:
            alone[(template,)] = by_template[template]
        else:
            spellings.append(template)
            covered |= by_template[template]
    return {tuple(spellings): covered for spellings, covered in groups.values()} | alone


def _core(template: str) -> tuple[str, str]:
    """What a pattern says beside who drew the mask: ``_seg`` and ``_seg-manual`` are the same mask."""
    place, _, name = template.rpartition("/")
    words = [word for word in split_words(name) if word not in ("manual", "final", "corrected", "nii", "gz")]
    return place, "_".join(words)


def _alternatives(templates: Sequence[str]) -> str:
    """``{folder}/{stem}_seg.nii.gz`` and ``..._seg-manual.nii.gz`` as one pattern."""
    if len(templates) == 1:
        return templates[0]
    start = common_start([template.replace("{stem}", "\0") for template in templates])
    ends = [template.replace("{stem}", "\0")[len(start) :] for template in templates]
    tail = common_end(ends)
    tail = tail[tail.index(".") :] if "." in tail else ""
    middles = [end.removesuffix(tail) for end in ends]
    return f"{start}{{{','.join(middles)}}}{tail}".replace("\0", "{stem}")


def _glob(tree: Tree, chosen: Images) -> str | None:
    """A pattern that matches the chosen files and no others."""
    wanted = {str(file) for file in chosen}
    for pattern in _patterns(chosen):
        found = {path.relative_to(tree.root).as_posix() for path in tree.root.glob(pattern)}
        if {path for path in found if not PurePosixPath(path).name.startswith(".")} == wanted:
            return pattern
    ends = {extension(file) for file in chosen}
    if len(chosen) > MOST_NAMED or len(ends) > 1 or any(mark in "".join(wanted) for mark in "{},[]*?"):
        return None
    end = ends.pop()
    names = [path.removesuffix(end) for path in sorted(wanted)]
    return f"{names[0]}{end}" if len(names) == 1 else f"{{{','.join(names)}}}{end}"


def _patterns(chosen: Images) -> Iterator[str]:
    depths = {len(file.parts) for file in chosen}
    ends = {extension(file) for file in chosen}
    if len(depths) > 1 or len(ends) > 1 or len(chosen) == 1:
        return
    end = ends.pop()
    levels = list(zip(*(file.parts[:-1] for file in chosen), strict=True))
    place = "".join(f"{level[0] if len(set(level)) == 1 else '*'}/" for level in levels)
    names = [bare(file) for file in chosen]
    start, tail = common_start(names), common_end(names)
    if len(set(names)) == 1:
        yield f"{place}{names[0]}{end}"
    else:
        for name in ("*", f"*{tail}", f"{start}*", f"{start}*{tail}", "*[0-9]", f"{start}*[0-9]"):
            yield f"{place}{name}{end}"


def _persons(chosen: Images) -> Persons:
    return guess([str(file) for file in chosen], r"([^/]+?)\.[a-z.]+$")


def _volume(chosen: Images) -> str | None:
    """A pattern that tells volumes apart whose file names repeat from folder to folder."""
    for pattern in (None, r"([^/]+/[^/]+?)\.[a-z.]+$"):
        names = [bare(file) if pattern is None else re.findall(pattern, str(file))[0] for file in chosen]
        if len({name.casefold() for name in names}) == len(names):
            return pattern
    return r"^(.+?)\.[a-z.]+$"


def _slice_order(chosen: Images) -> str | None:
    """A pattern for slices that are numbered by a word."""
    for pattern in (r"slice[-_]?(\d+)", r"_(\d+)\.[a-z]+$"):
        if all(re.search(pattern, str(file)) for file in chosen):
            return pattern
    return None
