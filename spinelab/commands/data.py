"""get public data sets, and configure data of your own

usage: spinelab data fetch [NAME] [root=FOLDER]
       spinelab data adopt FOLDER [output=FILE.yaml] [name=NAME] [overwrite=true]
       spinelab data landmarks data=NAME [protocol=NAME ...]

fetch without a name lists the openly licensed sets that can be downloaded. With a name it shows licence, citation and
size, downloads (an interrupted download is continued), checks hashes and unpacks into FOLDER, which appears when
everything is there; by default a folder of that name in SPINELAB_DATA, or else among the caches.

adopt looks at a folder of scans and masks, recognises its format (SPIDER, Decathlon, nnU-Net, BIDS, DICOM, a manifest,
or plain folders), reads all headers and a sample of the masks, and writes a configuration with a reason for each choice
to FILE.yaml (default: conf/data/NAME.yaml here, where every command finds it). Read it, correct it, then use it:
spinelab prepare data=NAME

landmarks learns the standard grey values of Nyul's normalisation from the persons that the protocol trains on, and
prints the two lines that go into the data set's configuration.
"""

from __future__ import annotations

from collections.abc import Sequence

from spinelab.errors import ConfigError, near

ACTIONS = ("fetch", "adopt", "landmarks")


def main(arguments: Sequence[str]) -> int:
    """Fetch or adopt a data set, or learn its landmarks."""
    if not arguments:
        raise ConfigError("say what to do", "spinelab data fetch [NAME], or spinelab data adopt FOLDER")
    action, *rest = arguments
    if action == "fetch":
        from spinelab.commands._fetch import fetch

        return fetch(rest)
    if action == "adopt":
        from spinelab.commands._adopt import adopt

        return adopt(rest)
    if action == "landmarks":
        from spinelab.commands._landmarks import landmarks

        return landmarks(rest)
    raise ConfigError(f"there is no action {action!r}", near(action, ACTIONS))
