"""Which layout a folder has."""

from __future__ import annotations

from spinelab.data.adopt.bids import bids
from spinelab.data.adopt.dicom import dicom
from spinelab.data.adopt.folders import folder
from spinelab.data.adopt.found import Found, Missed
from spinelab.data.adopt.layouts import decathlon, manifest, nnunet, spider
from spinelab.data.adopt.tree import Tree, shorten
from spinelab.errors import DataError

LAYOUTS = (manifest, spider, nnunet, decathlon, bids, dicom, folder)
"""The most telling first: a folder of pairs can be found in almost anything."""


def recognise(tree: Tree) -> Found:
    """Ask each layout in turn.

    Raises:
        DataError: None recognises the folder; the message says what each of them looked for, the nearest first.
    """
    missed: list[Missed] = []
    for layout in LAYOUTS:
        answer = layout(tree)
        if isinstance(answer, Found):
            close = [miss for miss in missed if miss.near >= 0.75]  # such as a decathlon task with 4-D files
            if close and answer.format == "folder":
                missed.append(close[0])
                break
            return answer
        missed.append(answer)
    missed.sort(key=lambda miss: -miss.near)
    looked = "; ".join(f"{miss.format}: {miss.lacks}" for miss in dict.fromkeys(missed))
    near = f"it is nearest to {missed[0].format}, which lacks {missed[0].lacks}. " if missed[0].near else ""
    raise DataError(
        f"no format is recognised. {near}The folder holds {shorten(tree.files, 3)}",
        f"arrange it as one of these, or name its files in a table (data=manifest). Looked for: {looked}",
        tree.root,
    )
