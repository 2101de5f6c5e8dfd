"""Which adapters this installation uses for the ports."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from egg_tasks.backends.command import CommandBackend
from egg_tasks.config import settings
from egg_tasks.ports import Backend, Runner, Workspace
from egg_tasks.run_places import RUNS
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.workspace import GitWorkspace
from models.errors import Unprocessable

PROCESS, DOCKER = "process", "docker"
COMMAND = "command"


def _docker() -> Runner:
    """Imported by whoever has an agent in a container: the engine's library takes longer than all of ours."""
    from egg_tasks.runners import engine
    from egg_tasks.runners.docker import DockerRunner

    ours = settings()
    return DockerRunner(ours.home, engine.at(ours.docker_host), agent_uid=ours.agent_uid)


KINDS: Mapping[str, Callable[[], Runner]] = {
    PROCESS: lambda: ProcessRunner(settings().home / RUNS, is_refused=settings().needs_containers),
    DOCKER: _docker,
}
"""How agents may be isolated, and who runs them so."""
BACKENDS: Mapping[str, Backend] = {COMMAND: CommandBackend()}
"""Which agent programs there are, and who starts and understands them."""


@cache
def runner(isolation: str = PROCESS) -> Runner:
    """Where agents of a kind of isolation run on this machine; `Unprocessable` for one that is not built."""
    if isolation not in KINDS:
        raise Unprocessable(
            f"agents cannot be isolated by {isolation!r} here: this egg runs them by {', '.join(KINDS)}; "
            "say `isolation: {kind: process}` for commands you trust"
        )
    return KINDS[isolation]()


def backend(name: str = COMMAND) -> Backend:
    """Who starts and understands agents of a backend; `Unprocessable` for one that is not built."""
    if name not in BACKENDS:
        raise Unprocessable(
            f"agents of backend {name!r} cannot be started here: this egg knows {', '.join(BACKENDS)}; "
            "say `backend: command` and give their command"
        )
    return BACKENDS[name]


def runners() -> Sequence[Runner]:
    """All there are: for what concerns every run on this machine."""
    return [runner(kind) for kind in KINDS]


@cache
def workspace() -> Workspace:
    """The repositories on this machine's disk."""
    ours = settings()
    return GitWorkspace(ours.home, look_limit=ours.look_limit, merge_limit=ours.merge_limit)
