"""The command line: finds the command and hands over. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import difflib
import importlib
import os
import select
import sys
from pathlib import Path

from spinelab.groups import groups

HERE = Path(__file__).parent
COMMANDS = (
    "train", "evaluate", "predict", "ensemble", "compare", "study", "reproduce", "robustness",
    "prune", "runs", "prepare", "doctor", "data", "phantom", "dashboard", "sync", "wandb-sweep",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run `spinelab COMMAND ...`; returns the exit status: 0 done, 1 a job failed, 2 bad input."""
    try:
        status = _answer(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        if not _closed_output():
            raise
        return 1


def _answer(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] == "--version":
        from spinelab import __version__

        print(f"spinelab {__version__}")
        return 0
    command, *rest = arguments
    if command not in COMMANDS:
        matches = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean {matches[0]}?" if matches else f"commands: {', '.join(COMMANDS)}"
        print(f"spinelab: there is no command {command!r}; {hint}", file=sys.stderr)
        return 2
    if {"-h", "--help"} & set(rest):
        print(explain(command))
        return 0
    return _run(command, rest)


def overview() -> str:
    """The commands, one line each."""
    rows = "\n".join(f"  {name:<13}{_docstring(name).splitlines()[0]}" for name in COMMANDS)
    return (
        "spinelab: which segmentation architecture is best on your spine MRI\n\n"
        f"usage: spinelab COMMAND [key=value ...]\n\n{rows}\n\n"
        "spinelab COMMAND --help explains one. Any configuration value can be given as key=value."
    )


def explain(command: str) -> str:
    """A command's docstring, and the configuration groups where the command takes them."""
    text = _docstring(command)
    return f"{text}\n\n{_groups()}" if "configuration group" in text.lower() else text


def _docstring(command: str) -> str:
    source = (HERE / "commands" / f"{_module(command)}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""


def _module(command: str) -> str:
    return command.replace("-", "_")


def _groups() -> str:
    rows = [f"  {group + '=':<16}{', '.join(choices)}" for group, choices in groups().items()]
    return "\n".join(["Configuration groups and their choices:", *rows])


def _run(command: str, arguments: list[str]) -> int:
    from spinelab.errors import SpinelabError

    try:
        module = importlib.import_module(f"spinelab.commands.{_module(command)}")
        return int(module.main(arguments) or 0)
    except SpinelabError as error:
        print(f"spinelab {command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"spinelab {command}: stopped; run the same command again to go on", file=sys.stderr)
        return 130


def _closed_output() -> bool:
    """Whether the reader of our output, such as `head`, has seen enough; Python shall not complain of it at the end."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    closed = any(event & select.POLLERR for _, event in poll.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return closed


if __name__ == "__main__":
    sys.exit(main())
