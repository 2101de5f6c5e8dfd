"""Which adapters this installation uses for the ports."""

from functools import cache

from egg_tasks.config import settings
from egg_tasks.ports import Runner, Workspace
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.workspace import GitWorkspace


@cache
def runner() -> Runner:
    """Where agents run on this machine."""
    return ProcessRunner(settings().home / "runs")


@cache
def workspace() -> Workspace:
    """The repositories on this machine's disk."""
    ours = settings()
    return GitWorkspace(ours.home, look_limit=ours.look_limit, merge_limit=ours.merge_limit)
