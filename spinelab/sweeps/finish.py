"""The end of a sweep: the comparison of what is done, and what failed."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from spinelab.errors import JobsFailed, RunError
from spinelab.run_state import RunState
from spinelab.sweeps.engine import Engine, Job
from spinelab.sweeps.job import LOG
from spinelab.sweeps.processes import outlives


def finish_sweep(engine: Engine, journal: Path | None = None) -> None:
    """Print the comparison of the finished runs, and tell which jobs failed.

    Args:
        engine: What ran them.
        journal: Of a search, for the page.

    Raises:
        JobsFailed: A job failed.
    """
    if folders := engine.finished():
        _compare(folders, engine.folder / "comparison", journal)
    require_finished(engine)


def require_finished(engine: Engine) -> None:
    """Tell which jobs of a sweep failed, and why.

    Raises:
        JobsFailed: Some did.
    """
    unfinished = engine.unfinished()
    if outlives(engine.config):
        waiting = [job for job, state in unfinished if state.name != "failed"]
        unfinished = [(job, state) for job, state in unfinished if state.name == "failed"]
        if waiting:
            count = f"{len(waiting)} of {len(engine.jobs)} jobs"
            print(f"{count} are still with the cluster; call again when they have ended")
    if unfinished:
        raise JobsFailed(_told(unfinished, len(engine.jobs)), "mend the cause and run the same command again")


def _compare(folders: list[Path], out: Path, journal: Path | None) -> None:
    from spinelab.reporting.compare import compare, first_table

    try:
        page = compare(folders, out, journal)
    except RunError as error:  # such as other label maps: the runs are there all the same
        print(f"no comparison: {error}")
        return
    print(first_table(page.parent), end="\n\n")
    print(f"page: {page.resolve()}")


def _told(unfinished: list[tuple[Job, RunState]], count: int) -> str:
    """Jobs by reason, since one cause often stops many."""
    reasons: defaultdict[str, list[Job]] = defaultdict(list)
    for job, state in unfinished:
        reasons[state.reason or f"{state.name}, by process {state.pid} on {state.host}"].append(job)
    lines = [f"{len(unfinished)} of {count} jobs failed"]
    for reason, jobs in reasons.items():
        indented = reason.strip().replace("\n", "\n    ")
        lines += [f"  {job.run.folder.name} ({job.run.folder / LOG})" for job in jobs] + [f"    {indented}"]
    return "\n".join(lines)
