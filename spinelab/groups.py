"""Where the configuration files lie, read without any library, so that help answers at once."""

from __future__ import annotations

from pathlib import Path


def conf_dir() -> Path:
    """Folder of the configuration groups: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "conf"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "conf"


def own_conf_dir() -> Path | None:
    """The user's own groups: a folder `conf` where the command is called, such as `conf/data/mine.yaml`."""
    folder = Path.cwd() / "conf"
    return folder if folder.is_dir() and folder.resolve() != conf_dir().resolve() else None


def groups() -> dict[str, list[str]]:
    """Configuration group -> its choices, one file each; the user's own stand beside the project's."""
    roots = [root for root in (conf_dir(), own_conf_dir()) if root is not None]
    names = sorted({folder.name for root in roots for folder in root.iterdir() if folder.is_dir()})
    found = {name: sorted({file.stem for root in roots for file in (root / name).glob("*.yaml")}) for name in names}
    return {group: choices for group, choices in found.items() if choices}
