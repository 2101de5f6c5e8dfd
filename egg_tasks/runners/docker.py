"""Agents in containers, each under a shim of its own that outlives whoever started it."""

import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from egg_tasks import disk, removal, run_places, stillness
from egg_tasks.foreign_files import is_there, written_at
from egg_tasks.runners import (
    alive,
    container_files,
    container_mounts,
    container_spec,
    disk_use,
    looks,
    run_directory,
)
from egg_tasks.runners.container_shim import TOO_OLD, UNFED
from egg_tasks.runners.container_spec import INSTALLATION, RUN, User
from egg_tasks.runners.engine import CREATED, LIVING, PAUSED, RUNNING, ContainerState, Engine, at
from models.errors import EngineAway, NoRoom, NotFound, Unavailable, Unprocessable
from models.schemas.disk_use import DiskUse
from models.schemas.layout import Inside, Layout
from models.schemas.run import Container, Exit, Launch
from models.schemas.silence import Silence

AGENT_UID = 65532
"""Who agents are where we are root: nobody who has anything on this machine."""
START_SECONDS, STOP_SECONDS, KILL_SECONDS = 30.0, 10.0, 5.0


class DockerRunner:
    """Runs agents in containers of one engine, each with what is in `runs`/RUN_ID of *home* and nothing else.

    Stateless: any process on the same machine may wait for, stop and read any run.
    """

    def __init__(self, home: Path, engine: Engine, *, agent_uid: int = AGENT_UID) -> None:
        self._home = home.absolute()
        self._engine = engine
        self._uid = os.geteuid() or agent_uid

    def layout(self, run_id: UUID, *, directory: Path | None = None) -> Layout:
        """Where everything of a run lies; a checkout has another place than a role's clone."""
        given = run_places.given(self._home, run_id)
        at_host = run_places.layout(given, directory=directory, tools=container_spec.TOOLS)
        is_clone = directory is None or directory.name == run_places.CLONE
        inside = Inside(
            container_spec.WORK if is_clone else container_spec.CHECK / at_host.inside.directory.name,
            prompt=container_spec.GIVEN / run_places.PROMPT,
            signal=container_spec.GIVEN / run_places.SIGNAL,
            tools=container_spec.TOOLS,
            path="",
            api_url=container_spec.API_URL,
        )
        return replace(at_host, inside=inside)

    def need(self) -> None:
        """Raise `EngineAway` while the engine does not answer."""
        self._engine.need()

    def ensure(self, launch: Launch) -> None:
        """Start the run unless it was started before.

        What its definition asks for and this engine has not is its `Exit`; `EngineAway` without an engine.
        """
        own = self._own(launch.run_id)
        if container_files.has_started(own):
            return
        try:
            with container_files.alone(own, seconds=START_SECONDS):
                if not container_files.has_started(own) and not container_files.stopped_early(own):
                    self._start(launch, own)
        except OSError as error:
            kind = NoRoom if disk.is_full(error) else Unavailable
            raise kind(
                f"cannot start agent run {launch.run_id}: {error.strerror or error}; "
                "free what is short and it is tried again"
            ) from error

    def has_started(self, run_id: UUID) -> bool:
        """Whether the run has taken its once-only start mark."""
        return container_files.has_started(self._own(run_id))

    def wait(self, run_id: UUID, *, timeout: timedelta) -> Exit | None:
        """Return how the run ended, or None if it still runs after *timeout*."""
        deadline = time.monotonic() + timeout.total_seconds()
        while (ended := self._find_exit(run_id)) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._engine_of(run_id).wait(container_spec.name(run_id), seconds=left)
        return ended

    def stop(self, run_id: UUID) -> None:
        """Ask the run to end; one that has not started then never will, and ends as stopped."""
        self._request_stop(run_id)
        with self._going_on(run_id):
            self._signal(run_id, "SIGTERM")

    def kill(self, run_id: UUID) -> None:
        """End the run at once; over when this returns. Its exit says `stopped` as well."""
        self._request_stop(run_id)
        if not self.has_started(run_id):
            return
        with self._going_on(run_id):
            self._signal(run_id, "SIGUSR2")
            if self.wait(run_id, timeout=timedelta(seconds=KILL_SECONDS)) is None:
                self._signal(run_id, "SIGKILL")
                self.wait(run_id, timeout=timedelta(seconds=KILL_SECONDS))

    def attended(self, run_id: UUID) -> AbstractContextManager[None]:
        """Have looks at the run let in while the context lasts, from whatever process."""
        return looks.open_door(self._own(run_id), partial(self._paused, run_id))

    @contextmanager
    def still(self, run_id: UUID) -> Iterator[None]:
        """Have the run's container stand still while the context lasts, by whoever attends it."""
        own = self._own(run_id)
        with looks.at(own, lives=partial(container_files.may_live, own)) as check, stillness.watched(check):
            yield

    def tell(self, run_id: UUID, text: str) -> None:
        """Leave *text* in the run's signal file; where it asked for SIGUSR1, those that catch it get it."""
        given, own = run_places.given(self._home, run_id), self._own(run_id)
        if self.has_started(run_id) and not run_directory.was_told(own, text):
            wake = partial(self._signal, run_id, "SIGUSR1")
            run_directory.tell(given, own, text, wake=wake, owner=self._user().outside)

    def disk_use(self, run_id: UUID) -> DiskUse | None:
        """What the run takes in what it was given, its role's HOME and its output; None for no such run."""
        return disk_use.of_run(self._home, run_id)

    def last_active_at(self, run_id: UUID) -> datetime | None:
        """When the run last wrote output, or None if it never did."""
        return written_at(self._own(run_id), run_places.LOG)

    def read_log(self, run_id: UUID, *, offset: int, limit: int) -> bytes:
        """Up to *limit* bytes of the run's output from byte *offset*; empty at the end."""
        return run_directory.read_log(self._own(run_id), offset=offset, limit=limit)

    def forget(self, run_id: UUID) -> None:
        """Remove the log of a run that is over, and all else that is noted of it."""
        if not container_files.is_ours(self._own(run_id)):
            return
        if self._find_exit(run_id) is None:
            raise Unavailable(f"agent run {run_id} lives, and its log is not removed before it ends")
        try:
            removal.put_away(self._home / run_places.SHIMS, str(run_id))
        except OSError as error:
            raise Unavailable(f"the log of agent run {run_id} cannot be removed: {error}") from error

    def tidy(self) -> None:
        """Nothing is made for runs that their end does not remove."""

    def list_live(self) -> Collection[UUID]:
        """The runs of this installation whose container lives; no engine is asked where none was started."""
        live, unknown = self.look()
        for error in unknown.values():
            raise error
        return live

    def look(self) -> tuple[Collection[UUID], Mapping[UUID, EngineAway]]:
        """The runs whose container lives, and those of which it is not known, whose engine is silent."""
        runs, unknown = defaultdict(list), dict[UUID, EngineAway]()
        live: list[UUID] = []
        for own in container_files.list_unended(self._home / run_places.RUNS):
            runs[self._engine_of(UUID(own.name))].append(UUID(own.name))
        for engine, started in runs.items():
            try:
                live += self._list(engine, lives=True)
            except EngineAway as error:
                unknown |= dict.fromkeys(started, error)
        # One that is reached in two ways shows the other's too, which nobody can signal there.
        return [each for each in dict.fromkeys(live) if each not in unknown], unknown

    def list_present(self) -> Collection[UUID]:
        """The runs that have a container of this installation, whatever it does."""
        return self._list(self._engine, lives=False)

    def end_stranger(self, run_id: UUID) -> bool:
        """Ask the container of a run that nobody attends to end, and remove it; whether it lived.

        Of the run itself nothing is decided, and its files stay.
        """
        state = self._find(run_id)
        if state is None:
            return False
        engine, lives = self._engine_of(run_id), state.status in LIVING
        if lives:
            engine.signal(state.id, "SIGTERM")
            engine.wait(state.id, seconds=STOP_SECONDS)
        engine.remove(state.id)
        return lives

    def list_silences(self, *, since: datetime) -> Collection[Sequence[Silence]]:
        """For each run here whose shim has ticked after *since*, ended or not: when it did not tick."""
        if self._uid == os.geteuid():
            return []  # An agent that is the same user as we may write there what it likes.
        now = datetime.now(UTC)
        found = (alive.read(container_files.box(own), now=now) for own in self._started())
        return [silences for silences in found if silences and silences[-1].began_at > since]

    def _list(self, engine: Engine, *, lives: bool) -> Collection[UUID]:
        found = engine.list_labels(self._mark, lives=lives)
        return [UUID(labels[RUN]) for labels in found if RUN in labels]

    def _engine_of(self, run_id: UUID) -> Engine:
        """Where a run's container is: it stays there when others are made elsewhere."""
        url = container_files.engine_of(self._own(run_id))
        return self._engine if url in {None, self._engine.url} else at(str(url), seconds=self._engine.seconds)

    def _own(self, run_id: UUID) -> Path:
        return run_places.ours(run_places.given(self._home, run_id))

    def _started(self) -> Iterator[Path]:
        for own in run_places.all_ours(self._home / run_places.RUNS):
            if container_files.is_ours(own) and container_files.has_started(own):
                yield own

    def _may_live(self, own: Path) -> bool:
        """Whether its engine alone can say that a run has no container that lives."""
        return container_files.is_ours(own) and container_files.find_end(own) is None

    @property
    def _mark(self) -> Mapping[str, str]:
        return {INSTALLATION: container_files.installation(self._home)}

    def _find(self, run_id: UUID) -> ContainerState | None:
        """How a run's container fares; one that another installation has under its name is none."""
        found = self._engine_of(run_id).find(container_spec.name(run_id))
        return found if found and found.labels.items() >= self._mark.items() else None

    @contextmanager
    def _paused(self, run_id: UUID) -> Iterator[looks.Check]:
        """Have a container stand still, if it lives, and nobody else have it go on meanwhile."""
        with looks.alone(self._own(run_id)):
            state = self._find(run_id)
            if state is None or state.is_over:
                yield lambda: None
                return
            engine = self._engine_of(run_id)
            engine.pause(state.id)
            try:
                yield partial(self._need_paused, run_id)
            finally:
                # Where the engine is away, whoever waits for the run's end does it.
                with suppress(EngineAway):
                    engine.unpause(state.id)

    def _need_paused(self, run_id: UUID) -> None:
        state = self._find(run_id)
        if state is None or state.status != PAUSED:
            raise Unavailable(f"the container of agent run {run_id} did not stand still meanwhile")

    @contextmanager
    def _going_on(self, run_id: UUID) -> Iterator[None]:
        """Have nobody look at a run that is to get a signal: for some the engine lets a paused one go on."""
        own = self._own(run_id)
        if not self._may_live(own):
            yield
            return
        with looks.alone(own):
            self._unpause(run_id, self._find(run_id))
            yield

    def _unpause(self, run_id: UUID, state: ContainerState | None) -> None:
        """Have a container go on that was left paused."""
        if state is not None and state.status == PAUSED:
            self._engine_of(run_id).unpause(state.id)

    def _signal(self, run_id: UUID, name: str) -> None:
        if self._may_live(self._own(run_id)) and self._find(run_id):
            self._engine_of(run_id).signal(container_spec.name(run_id), name)

    def _request_stop(self, run_id: UUID) -> None:
        try:
            container_files.request_stop(self._own(run_id))
        except OSError as error:
            if not self.has_started(run_id):
                raise Unavailable(
                    f"cannot keep agent run {run_id} from starting: {error.strerror or error}; "
                    "free what is short and it is tried again"
                ) from error

    def _find_exit(self, run_id: UUID) -> Exit | None:
        """How the run ended, or None while its container lives; an end is kept before its container goes."""
        own = self._own(run_id)
        if (known := container_files.find_end(own)) is not None:
            return known
        if not container_files.has_started(own):
            return Exit(stopped=is_there(own, container_files.STOP))
        state = self._find(run_id)
        if state is not None and not state.is_over:
            with looks.if_free(own) as is_free:
                if is_free:
                    # Who looked at it did not live to have it go on.
                    self._unpause(run_id, state)
            return None
        ended = container_files.end(
            own,
            status=None if state is None else state.exit_code,
            is_out_of_memory=state is not None and state.is_out_of_memory,
        )
        if state is not None:
            self._engine_of(run_id).remove(state.id)
        return ended

    def _start(self, launch: Launch, own: Path) -> None:
        """Start a run that is not started, whatever an earlier try has left of it."""
        assert launch.container is not None, "whoever launches an agent here says in what container"  # noqa: S101
        user = self._user()
        given = run_places.given(self._home, launch.run_id)
        spec = container_files.write(given, own, launch, owner=user.outside, engine=self._engine.url)
        if launch.clone_of is not None:
            container_files.hand_over(container_mounts.tree(self._home, launch), user.outside)
        try:
            state = self._made(launch, launch.container, own, user)
            if state.status == CREATED:
                self._engine.start(
                    state.id,
                    fed=container_files.fed(spec, launch, container_mounts.relay(self._home, launch)),
                )
        except NotFound:
            self._refuse(
                own, f"this machine has no image {launch.container.image}: docker pull it, or build it"
            )
        except Unprocessable as error:
            if (made := self._find(launch.run_id)) is not None:
                self._engine.remove(made.id)
            self._refuse(own, f"no container can be started from {launch.container.image}: {error.message}")
        else:
            self._await_mark(launch, own)

    def _made(self, launch: Launch, container: Container, own: Path, user: User) -> ContainerState:
        """The run's container, made unless it is there; one that was told nothing is made anew."""
        state = self._find(launch.run_id)
        if state is not None and state.is_over and state.exit_code == UNFED:
            # Who started it died before it was told what to run.
            self._engine.remove(state.id)
            state = None
        if state is None:
            name = container_spec.name(launch.run_id)
            self._engine.create(name, self._config(launch, container, own, user))
            state = self._find(launch.run_id)
            if state is None:
                raise Unprocessable(f"another installation on this engine has a container {name}: remove it")
        return state

    def _await_mark(self, launch: Launch, own: Path) -> None:
        """Wait until the run's mark is taken; what keeps it from that is said, and it is tried again."""
        deadline = time.monotonic() + START_SECONDS
        while not container_files.has_started(own):
            state = self._find(launch.run_id)
            if state is None or (state.status != RUNNING and not container_files.has_started(own)):
                self._explain(launch, own, state)
                return
            if time.monotonic() > deadline:
                raise Unavailable(f"agent run {launch.run_id} is too slow to start; it is tried again")
            time.sleep(container_files.RETRY_SECONDS)
        container_files.note_started(own)
        if is_there(own, container_files.STOP):
            # It came between the layout and the mark.
            self._signal(launch.run_id, "SIGTERM")

    def _explain(self, launch: Launch, own: Path, state: ContainerState | None) -> None:
        """Say why a container ended before it took its mark, and make room for the next try."""
        code = state.exit_code if state else None
        said = self._engine.last_words(state.id) if state else "it was removed"
        if state:
            self._engine.remove(state.id)
        if code == TOO_OLD and launch.container:
            self._refuse(own, f"the image {launch.container.image} has a Python older than 3.11")
            return
        raise Unavailable(
            f"cannot start agent run {launch.run_id}: the shim in its container ended with status {code}"
            f" ({said}); it is tried again"
        )

    def _refuse(self, own: Path, why: str) -> None:
        """Have a run end that no try can start."""
        container_files.note_end(own, Exit(error=why, is_missing=True))

    def _user(self) -> User:
        is_rootless, is_remapped = self._engine.is_rootless, self._engine.remaps_users
        return container_spec.user(self._uid, is_rootless=is_rootless, is_remapped=is_remapped)

    def _config(self, launch: Launch, container: Container, own: Path, user: User) -> dict[str, object]:
        labels = {**launch.labels, RUN: str(launch.run_id), **self._mark}
        mounts = list(container_mounts.mounts(self._home, launch, own=own))
        return container_spec.config(
            container, user=user, directory=launch.directory, mounts=mounts, labels=labels
        )
