"""`spinelab data adopt`: a configuration for a folder, written where it overwrites nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from spinelab.commands._arguments import flag, options
from spinelab.data.adopt.adopt import Adopted, plain_name
from spinelab.data.adopt.adopt import adopt as look
from spinelab.errors import ConfigError
from spinelab.files import write_atomically


def adopt(arguments: Sequence[str]) -> int:
    """Write the configuration of a folder."""
    folders = [argument for argument in arguments if "=" not in argument]
    given = options([argument for argument in arguments if "=" in argument], ("output", "name", "overwrite"))
    if len(folders) != 1:
        raise ConfigError(f"{len(folders)} folders are named", "spinelab data adopt FOLDER")
    root = Path(folders[0]).expanduser()
    name = given.get("name") or plain_name(root)
    output = Path(given.get("output", f"conf/data/{name}.yaml")).expanduser()
    if output.exists() and not flag(given.get("overwrite", "false")):
        raise ConfigError("there is such a file already", "give another output=, or overwrite=true", output)
    with Console(stderr=True).status("looking at the folder") as status:
        adopted = look(root, name, lambda case: status.update(f"reading {case}"))
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, adopted.text)
    _tell(adopted, output)
    return 0


def _tell(adopted: Adopted, output: Path) -> None:
    persons = len({case.person for case in adopted.cases})
    print(f"recognised as {adopted.found.format}: {adopted.found.because}")
    print(f"{len(adopted.cases)} cases of {persons} persons; {len(adopted.facts.left_out)} cannot be used")
    for key in ("plane", "spacing_mm", "crop", "normalisation"):
        choice = getattr(adopted.advice, key)
        print(f"  {key:<14}{choice.value}: {choice.reason}")
    print(f"configuration: {output}  (to check, marked CHECK: {adopted.text.count('CHECK:')})")
    channels = f" channels={adopted.facts.channels}" if adopted.facts.channels > 1 else ""
    if output.resolve().parent != (Path.cwd() / "conf" / "data").resolve():
        print(f"spinelab finds it as conf/data/{output.name} in the folder that you call it from")
    print(f"next: read it, then spinelab prepare data={output.stem}{channels}")
