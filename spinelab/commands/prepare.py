"""read a data set once: check every file and build the slice cache

usage: spinelab prepare data=NAME [data.KEY=VALUE ...]

Training does this by itself; preparing first shows every broken file in one pass, and what the cache takes.
Configuration groups are those of training; only data= matters here.
"""

from __future__ import annotations

from collections.abc import Sequence

from spinelab.config import compose_config


def main(arguments: Sequence[str]) -> int:
    """Check the data and build the cache."""
    from spinelab import build

    config = compose_config(arguments)
    cases = build.cases(config)
    cache = build.cache(config, cases)
    persons = len({case.person for case in cases})
    size = (cache.images.nbytes + cache.masks.nbytes) / 2**20
    print(f"{config.data.name}: {len(cases)} volumes of {persons} persons, {len(cache)} slices, {size:.1f} MiB")
    print(f"cache: {cache.folder}")
    return 0
