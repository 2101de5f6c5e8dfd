"""The supervisor: the only starter and stopper of a local stack. `python -m egg_tasks.stack.supervisor`.

It tells on stdout what it does, a line each, then `ready`, and from then on logs to stderr alone; or
`failed: ` and what went wrong, to its end. SIGTERM and SIGINT stop everything in order, and so does who
listens on stdout when they go away before it is ready.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from egg_tasks import agent_tools, interpreter, logging, shell
from egg_tasks.config import default_home
from egg_tasks.stack import census, commands, frozen, manifest, preflight
from egg_tasks.stack.census import Process
from egg_tasks.stack.children import Keeper
from egg_tasks.stack.lock import locked
from egg_tasks.stack.manifest import Manifest
from egg_tasks.stack.processes import Child, Program, protect
from egg_tasks.stack.servers import SECONDS, plan
from egg_tasks.stack.silences import Beats, Knocks
from egg_tasks.stack.worker_health import Pings
from models.errors import Conflict, EggError, Rejected, Unavailable, Unprocessable

READY = "ready"
FAILED = "failed: "
TAKEN = 75
TICK_SECONDS = 0.25
API_SECONDS = 60.0

log = structlog.get_logger()

OwnPrograms = Callable[[Manifest, Mapping[str, str]], Sequence[Program]]


class Watch(Protocol):
    """Finds those of our programs that live but do not get on."""

    def hung(self, running: Sequence[tuple[Child, float]]) -> list[Child]:
        """Return those that are to be replaced; to be called at each tick, and never waits."""

    def stop(self) -> None:
        """End what is under way."""


class Supervisor:
    """One stack, from its start to its end."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str],
        *,
        own_programs: OwnPrograms = commands.ours,
        tell: Callable[[str], None],
        is_forsaken: Callable[[], bool] = lambda: False,
    ) -> None:
        self._home = home
        self._environ = environ
        self._own_programs = own_programs
        self._tell = tell
        self._is_forsaken = is_forsaken
        self._stopping = False
        self._keeper = Keeper(home / "logs")

    def run(self) -> None:
        """Start everything, keep it running, stop it when a signal says so; `Conflict` if one runs."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        with locked(self._home) as is_home:
            try:
                environment = self._start()
                if not self._is_stopping():
                    self._tell(READY)
                    log.info("stack.started")
                if not self._is_stopping():
                    self._keep(environment, is_home)
            finally:
                self._keeper.stop()
                log.info("stack.stopped")

    def _start(self) -> Mapping[str, str]:
        """Bring everything up; the environment of our own processes."""
        found = plan(self._home, self._environ)
        if self._is_stopping():
            return {}
        if original := manifest.original(self._home):
            self._tell(
                f"this is a copy of {original}: it gets its own ports and token, and leaves that alone"
            )
        settled = manifest.settle(self._home, self._environ, found.urls, frozen.of(self._home, self._environ))
        environment = commands.environment(self._home, self._environ, settled)
        own = self._own_programs(settled, environment)
        agent_tools.renew(self._home)
        for program in found.programs:
            self._tell(f"starting {program.name}")
        self._keeper.start(found.programs, timeout=SECONDS, is_over=self._is_stopping)
        if not self._is_stopping():
            self._tell("checking database and broker, migrating")
            _look_outside(environment)
        if not self._is_stopping():
            self._tell(f"starting {', '.join(program.name for program in own)}")
            self._keeper.start(own, timeout=API_SECONDS, is_over=self._is_stopping)
            # written last: a port that was never served is not kept
            if not self._is_stopping():
                manifest.write(self._home, settled)
        return environment

    def _keep(self, environment: Mapping[str, str], is_home: Callable[[], bool]) -> None:
        """Restart what dies and replace what hangs, until told to stop, or until the home is gone."""
        watches = (Pings(environment), Knocks(), Beats())
        told: tuple[Process, ...] = ()
        while not self._stopping:
            if not is_home():
                log.warning("stack.homeless", home=str(self._home))
                # At once: an orderly end would take away the sockets of a stack that was started here anew.
                for child, _ in self._keeper.running():
                    child.kill()
                break
            self._keeper.tend()
            if (now := self._keeper.census()) != told:
                told = now
                census.write(self._home, told)
            for watch in watches:
                self._replace_hung(watch)
            time.sleep(TICK_SECONDS)
        for watch in watches:
            watch.stop()

    def _replace_hung(self, watch: Watch) -> None:
        """Kill what a watch finds to hang; the keeper starts it again."""
        try:
            hung = watch.hung(self._keeper.running())
        except OSError as error:  # no process or descriptor to be had: another time
            log.warning("stack.unwatched", error=str(error))
            return
        for child in hung:
            log.warning("stack.hung", program=child.program.name, pid=child.pid)
            child.kill()

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _is_stopping(self) -> bool:
        """Whether to give up the start: told so, or nobody waits for its end any more."""
        self._stopping = self._stopping or self._is_forsaken()
        return self._stopping


def _look_outside(environment: Mapping[str, str]) -> None:
    """Have the servers checked and the schema migrated; what is wrong is raised."""
    command = interpreter.command(preflight.__name__)
    done = subprocess.run(
        command, env=dict(environment), cwd="/", capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    if done.returncode in {preflight.REFUSED, preflight.AWAY} and done.stdout.strip():
        kind = Unavailable if done.returncode == preflight.AWAY else Unprocessable
        raise kind(done.stdout.strip())
    raise Unavailable(f"the database could not be migrated:\n{done.stderr.strip()[-2000:]}")


def tell(line: str) -> None:
    """Print one line to whoever started us; nobody has to listen."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        if line == READY:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    except OSError:
        # `is_forsaken` sees it, too
        sys.stderr.write(f"nobody listens: {line}\n")


def is_forsaken() -> bool:
    """Whether whoever started us and listened is gone; never of what is no pipe."""
    listening = select.poll()
    listening.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in listening.poll(0))


def main(own_programs: OwnPrograms = commands.ours) -> int:
    """Run the stack of this environment's EGG_HOME; the exit code says how it ended."""
    logging.configure()
    protect()
    shell.variables()
    try:
        Supervisor(
            default_home(os.environ),
            os.environ,
            own_programs=own_programs,
            tell=tell,
            is_forsaken=is_forsaken,
        ).run()
    except Conflict as error:
        tell(str(error))
        return TAKEN
    except EggError as error:
        log.warning("stack.failed", error=str(error))
        tell(f"{FAILED}{error}")
        return preflight.REFUSED if isinstance(error, Rejected) else preflight.AWAY
    return 0


if __name__ == "__main__":
    sys.exit(main())
