"""The container engine of this machine, over its API; what it refuses, and how it fails, in our errors."""

import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import requests
from docker.api import APIClient
from docker.errors import APIError, DockerException
from docker.errors import NotFound as Missing
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from models.errors import EngineAway, NotFound, Unavailable, Unprocessable

SOCKET = "unix:///var/run/docker.sock"
SECONDS = 60
POOL = 64
PAUSES = 20
"""So often it is tried to have a container stand still."""
CREATED, RUNNING, PAUSED, EXITED, DEAD = "created", "running", "paused", "exited", "dead"
OVER = frozenset({EXITED, DEAD})
LIVING = [RUNNING, PAUSED, "restarting"]


@dataclass(frozen=True)
class ContainerState:
    """How a container fares."""

    id: str
    status: str
    exit_code: int
    is_out_of_memory: bool
    """Whether the kernel ended its first process for want of memory."""
    labels: Mapping[str, str]

    @property
    def is_over(self) -> bool:
        """Whether it ran, and does so no more."""
        return self.status in OVER


@cache
def at(url: str, *, seconds: float = SECONDS) -> "Engine":
    """The one engine at a URL: its connections are kept, and shared by all of this process."""
    return Engine(url, seconds=seconds)


class Engine:
    """One engine. To be used by any thread. `EngineAway` from every method as long as it does not answer."""

    def __init__(self, url: str = SOCKET, *, seconds: float = SECONDS) -> None:
        self.url = url
        self.seconds = seconds

    def need(self) -> None:
        """Return if it answers."""
        with self._translated():
            self._client.ping()

    def find(self, name: str) -> ContainerState | None:
        """How the container of a name fares, or None if there is none."""
        with self._translated():
            try:
                found = self._client.inspect_container(name)
            except Missing:
                return None
        state = found["State"]
        return ContainerState(
            id=found["Id"],
            status=state["Status"],
            exit_code=state["ExitCode"],
            is_out_of_memory=state["OOMKilled"],
            labels=found["Config"]["Labels"] or {},
        )

    def create(self, name: str, config: Mapping[str, object]) -> None:
        """Make a container unless there is one of this name.

        `NotFound` without its image, `Unprocessable` for what this engine does not do.
        """
        with self._translated():
            try:
                self._client.create_container_from_config(dict(config), name)
            except Missing as error:
                raise NotFound(_said(error)) from error
            except APIError as error:
                if error.status_code != requests.codes.conflict:
                    raise

    def start(self, container: str, *, fed: bytes) -> None:
        """Start a container that was created, and give *fed* to its first process to read, and its end."""
        with self._translated():
            attached: Any = self._client.attach_socket(container, {"stdin": 1, "stream": 1})
            try:
                self._client.start(container)
                # One that has ended by now tells why itself.
                with suppress(BrokenPipeError, ConnectionResetError):
                    attached._sock.sendall(fed)  # noqa: SLF001  reading is all that the library lets it do
            finally:
                attached._sock.close()  # noqa: SLF001
                attached.close()

    def wait(self, container: str, *, seconds: float) -> None:
        """Return when a container has ended or the time is over, whichever comes first; sometimes earlier."""
        with self._translated():
            try:
                self._client.wait(container, timeout=seconds)
            except (Missing, requests.exceptions.ReadTimeout):
                return
            except requests.exceptions.ConnectionError as error:
                if "timed out" not in str(error).lower():
                    raise

    def signal(self, container: str, name: str) -> None:
        """Send a signal to a container's first process, if it lives."""
        with self._translated():
            try:
                self._client.kill(container, name)
            except Missing:
                return
            except APIError as error:
                if error.status_code != requests.codes.conflict:
                    raise

    def pause(self, container: str) -> None:
        """Have all of a container's processes stand still, if it runs; one that does already stays so.

        A busy one may be too quick for the kernel the first times. `Unavailable` when it remains so.
        """
        freezing = Retrying(
            retry=retry_if_exception(_is_failure),
            stop=stop_after_attempt(PAUSES),
            wait=wait_fixed(0.02),
            reraise=True,
        )
        with self._translated(), _unless_so_already():
            freezing(self._client.pause, container)

    def unpause(self, container: str) -> None:
        """Have them go on, if they stand still."""
        with self._translated(), _unless_so_already():
            self._client.unpause(container)

    def remove(self, container: str) -> None:
        """Remove a container, whatever it does, if there is one."""
        with self._translated():
            try:
                self._client.remove_container(container, force=True)
            except Missing:
                return
            except APIError as error:
                # It is being removed already.
                if error.status_code != requests.codes.conflict:
                    raise

    def last_words(self, container: str) -> str:
        """What the first process of a container said last."""
        with self._translated():
            said: bytes = self._client.logs(container, tail=1)
        return said.decode(errors="replace").strip()

    def list_labels(self, wanted: Mapping[str, str], *, lives: bool) -> Collection[Mapping[str, str]]:
        """The labels of all containers that have these: of those that live, or of any."""
        filters = {"label": [f"{key}={value}" for key, value in wanted.items()]}
        more = {"status": LIVING} if lives else {}
        with self._translated():
            found = self._client.containers(all=True, filters={**filters, **more})
        return [each["Labels"] for each in found]

    def info(self) -> Mapping[str, Any]:
        """What it says of itself, as `docker info` shows it."""
        with self._translated():
            found: Mapping[str, Any] = self._client.info()
        return found

    def find_image(self, name: str) -> Mapping[str, Any] | None:
        """What it says of an image, or None if it has none of that name."""
        with self._translated():
            try:
                found: Mapping[str, Any] = self._client.inspect_image(name)
            except Missing:
                return None
        return found

    @cached_property
    def is_rootless(self) -> bool:
        """Whether the engine is a user's own, whose containers' root that user is."""
        return self._has("name=rootless")

    @cached_property
    def remaps_users(self) -> bool:
        """Whether the users of its containers are others on this machine."""
        return self._has("name=userns")

    def _has(self, option: str) -> bool:
        return option in (self.info().get("SecurityOptions") or ())

    @cached_property
    def _client(self) -> APIClient:
        return APIClient(base_url=self.url, version="auto", timeout=self.seconds, max_pool_size=POOL)

    def _need_answer(self) -> None:
        """Raise `OSError` unless somebody listens; the library would forget to close what it tried with."""
        if path := self.url.removeprefix("unix://") if self.url.startswith("unix://") else "":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            self._need_answer()
            yield
        except APIError as error:
            if error.is_client_error():
                raise Unprocessable(f"the container engine refuses: {_said(error)}") from error
            raise Unavailable(f"the container engine failed: {_said(error)}; it is tried again") from error
        except (DockerException, requests.exceptions.RequestException, OSError) as error:
            raise EngineAway(
                f"no container engine answers at {self.url}: start it, or say where it is with"
                " EGG_DOCKER_HOST"
            ) from error


@contextmanager
def _unless_so_already() -> Iterator[None]:
    """Take it for done where a container is gone or as it is wanted; one that does not run is so for good."""
    try:
        yield
    except Missing:
        return
    except APIError as error:
        is_over = error.status_code == requests.codes.conflict or "is not running" in _said(error)
        if not is_over and "is already paused" not in _said(error) and "is not paused" not in _said(error):
            raise


def _is_failure(error: BaseException) -> bool:
    return isinstance(error, APIError) and error.is_server_error()


def _said(error: APIError) -> str:
    return str(error.explanation or error).strip()
