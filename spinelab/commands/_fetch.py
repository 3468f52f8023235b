"""`spinelab data fetch`: what can be downloaded, what it costs, and the download with its progress."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from spinelab.commands._arguments import options
from spinelab.data.fetch import fetch as fetching
from spinelab.data.fetch.catalogue import RemoteFile, RemoteSet, catalogue
from spinelab.data.fetch.download import Advance
from spinelab.errors import ConfigError, near


def fetch(arguments: Sequence[str]) -> int:
    """List the sets, or download one."""
    names = [argument for argument in arguments if "=" not in argument]
    given = options([argument for argument in arguments if "=" in argument], ("root",))
    if not names:
        show_sets()
        return 0
    if len(names) > 1:
        raise ConfigError(f"{len(names)} names: {' '.join(names)}", "fetch one set at a time")
    sets = catalogue()
    if names[0] not in sets:
        raise ConfigError(f"there is no set {names[0]!r}", near(names[0], sorted(sets)))
    remote = sets[names[0]]
    root = Path(given["root"]).expanduser() if "root" in given else default_root(remote.name)
    download(remote, root.absolute())
    return 0


def default_root(name: str) -> Path:
    """Where the shipped configurations look for a data set."""
    places = (os.environ.get("SPINELAB_DATA"), os.environ.get("SPINELAB_CACHE"))
    base = next((place for place in places if place), "~/.cache/spinelab")
    return Path(base).expanduser() / name


def show_sets() -> None:
    """Print the sets as a table."""
    table = Table("name", "persons", "size", "licence", "what for", title="spinelab data fetch NAME", title_style="")
    for remote in catalogue().values():
        licence = "see its page" if remote.licence.startswith("see") else remote.licence
        table.add_row(
            remote.name,
            str(remote.persons),
            _size(remote.gigabytes and remote.gigabytes * 1e9),
            licence,
            remote.purpose,
        )
    Console().print(table)


def download(remote: RemoteSet, root: Path) -> None:
    """Show what is going to be downloaded, then do it."""
    if fetching.is_fetched(root):
        print(f"already there: {root}")
        return _next_step(remote, root)
    print(f"{remote.title}\n  licence   {remote.licence}\n  cite      {remote.citation}\n  page      {remote.homepage}")
    files = fetching.plan(remote, root)
    needed, free = fetching.check_room(files, root)
    for file in files:
        print(f"  file      {file.name}  {_size(file.bytes)}  {file.hash or 'no hash published: pinned from now on'}")
    print(f"  disk      at least {_size(needed)} still to come, {_size(free)} free\n  folder    {root}")
    logging.getLogger("pooch").setLevel(logging.WARNING)  # its lines would tear the progress bar
    with _progress() as progress:
        fetching.fetch(remote, root, lambda file: _watch(progress, file))
    print(f"{remote.name}: {root}")
    return _next_step(remote, root)


def _next_step(remote: RemoteSet, root: Path) -> None:
    print(
        f"next: spinelab prepare data={remote.data} data.root={root}"
        if remote.data
        else f"next: spinelab data adopt {root}"
    )


def _watch(progress: Progress, file: RemoteFile) -> Advance:
    task = progress.add_task(file.name[:40], total=file.bytes)

    def advance(done: int, total: int | None) -> None:
        progress.update(task, completed=done, total=total)
        if total is not None and done >= total and len(progress.tasks) > 8:
            progress.remove_task(task)  # sets of many files keep a short list

    return advance


def _progress() -> Progress:
    columns = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(TextColumn("  {task.description}"), BarColumn(), *columns, console=Console(stderr=True))


def _size(count: float | None) -> str:
    if count is None:
        return "unknown"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
