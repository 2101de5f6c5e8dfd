"""What of this machine the container of a run has, and what of it leads out."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from egg_tasks import agent_tools, run_places
from egg_tasks.foreign_files import is_directory
from egg_tasks.runners import container_files, container_spec
from egg_tasks.runners.container_spec import Mount
from models.schemas.run import Launch


def mounts(home: Path, launch: Launch, *, own: Path) -> Iterator[Mount]:
    """Everything that it has of ours; what is to be read and is not there is left out."""
    tools = agent_tools.install(home).parent
    yield Mount(run_places.given(home, launch.run_id), container_spec.GIVEN)
    yield Mount(own / container_files.BOX, container_spec.OWN, is_writable=True)
    if any(map(launch.directory.is_relative_to, (container_spec.WORK, container_spec.CHECK))):
        yield Mount(tree(home, launch), launch.directory, is_writable=True)
    if launch.home is not None:
        yield Mount(launch.home, container_spec.HOME, is_writable=True)
    yield Mount(tools / agent_tools.IN_CONTAINERS, container_spec.TOOLS)
    yield Mount(tools / agent_tools.LIBRARY, container_spec.LIBRARY)
    if _is_led_out(home, launch):
        yield Mount(run_places.gateway_of(home), container_spec.GATEWAY)
    for path in launch.reads:
        with suppress(OSError):
            path.lstat()
            yield Mount(path, path)


def tree(home: Path, launch: Launch) -> Path:
    """Where what it works in is, as we see it: a clone, which may be another's, or a checkout."""
    name = run_places.CLONE if launch.directory == container_spec.WORK else launch.directory.name
    return run_places.given(home, launch.clone_of or launch.run_id) / name


def relay(home: Path, launch: Launch) -> tuple[int, str] | None:
    """Where its relay listens, and the socket it leads to; None where nothing leads out."""
    if not _is_led_out(home, launch):
        return None
    return container_spec.PORT, str(container_spec.GATEWAY / run_places.GATEWAY_SOCKET)


def _is_led_out(home: Path, launch: Launch) -> bool:
    """Whether there is a way out for it, and it has a token to show there."""
    return (launch.token is not None or launch.goes_out) and is_directory(run_places.gateway_of(home))
