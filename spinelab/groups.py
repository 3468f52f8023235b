"""Where the configuration files lie, read without any library, so that help answers at once."""

from __future__ import annotations

from pathlib import Path


def conf_dir() -> Path:
    """Folder of the configuration groups: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "conf"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "conf"


def groups() -> dict[str, list[str]]:
    """Configuration group -> its choices, one file each."""
    folders = sorted(folder for folder in conf_dir().iterdir() if folder.is_dir())
    found = {folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in folders}
    return {group: choices for group, choices in found.items() if choices}
