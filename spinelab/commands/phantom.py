"""make a phantom: synthetic spine MRI with masks, written as NIfTI in BIDS

usage: spinelab phantom out=FOLDER [persons=24] [seed=0] [sequences=T2,T1,STIR] [plane=sagittal] [thickness_mm=4]

The truth table (truth.csv) says what the geometry knows: lesions, heights, diameters. The same seed gives the same
bytes. data=phantom makes its own; this command is for a look at the files, or for a data set of another size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spinelab.commands._arguments import options
from spinelab.errors import ConfigError


def main(arguments: Sequence[str]) -> int:
    """Generate a phantom data set."""
    from spinelab.phantom.dataset import generate

    given = options(arguments, ("out", "persons", "seed", "sequences", "plane", "thickness_mm"), required=("out",))
    keywords: dict[str, Any] = {key: given[key] for key in ("plane",) if key in given}
    keywords["sequences"] = tuple(given.get("sequences", "T2").split(","))
    try:
        keywords |= {key: int(given[key]) for key in ("persons", "seed", "thickness_mm") if key in given}
        folder = generate(Path(given["out"]), **keywords)
    except ValueError as error:
        raise ConfigError(str(error), "see spinelab phantom --help") from None
    print(f"phantom: {folder}")
    return 0
