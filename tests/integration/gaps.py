"""Processes that die between two of their writes: before the first, before the second, and so on."""

import itertools
import os
import signal
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from egg_tasks import database
from egg_tasks.tasks.dispatch import TaskSender

LONGEST_WAIT = 60.0
Seen = Sequence[tuple[object, str]]
SEEN_BY_OTHERS: Seen = (
    (os, "replace"),
    (os, "rename"),
    (os, "posix_spawn"),
    (signal, "pidfd_send_signal"),
    (subprocess.Popen, "__init__"),
    (Session, "commit"),
)
"""By these a process lets others see what it does: files put in place, processes, signals, transactions."""


def dies(act: Callable[[], object], *, at: int, seen: Seen = SEEN_BY_OTHERS) -> bool:
    """Run *act* in a process of its own that is killed before its write number *at*; whether it came to that.

    What counts as a write is a call of what is *seen*.

    Only what its own thread writes has numbers, so that they are the same on a machine that is busy. What
    comes between a commit and the next write, such as the sending of what was decided, is a gap of its
    own. There is no number 0.
    """
    child = begun(act, at=at, seen=seen)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, -signal.SIGKILL}, "it failed before it was to die; see its output above"
    _wait_for_locks(child)
    return status != 0


def begun(act: Callable[[], object], *, at: int = 0, seen: Seen = SEEN_BY_OTHERS) -> int:
    """Run *act* in a process of its own, which is killed before its write number *at*; that process."""
    child = os.fork()
    if child == 0:
        _live(act, at, seen)
    return child


def lives(act: Callable[[], object]) -> None:
    """Run *act* in a process of its own to its end."""
    assert not dies(act, at=0)


def _wait_for_locks(child: int) -> None:
    """Wait until PostgreSQL has noticed that a process is gone: until then it holds the rows it had locked.

    Whoever skips such rows, as the reconciler does, comes again in two seconds; a test would find nothing.
    """
    left = select(func.count()).select_from(text("pg_stat_activity")).where(text("application_name = :name"))
    deadline = time.monotonic() + LONGEST_WAIT
    while True:
        with database.unit_of_work() as session:
            if not session.scalar(left, {"name": _name(child)}):
                return
        assert time.monotonic() < deadline, f"PostgreSQL still serves process {child}, which is gone"
        time.sleep(0.01)


def _name(pid: int) -> str:
    """What PostgreSQL knows the connections of a process by."""
    return f"gap-{pid}"


def _live(act: Callable[[], object], at: int, seen: Seen) -> NoReturn:
    try:
        # What the parent has connected stays the parent's.
        database.engine().dispose(close=False)
        name = _name(os.getpid())
        event.listen(database.engine(), "do_connect", lambda *given: given[-1].update(application_name=name))
        database.use(TaskSender())
        _arm(at, seen)
        act()
    except BaseException:  # noqa: BLE001 - nothing may run on into the parent's tests
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _arm(at: int, seen: Seen) -> None:
    numbers, acting = itertools.count(1), threading.current_thread()

    def here() -> None:
        # What other threads write again and again, such as leases, is the more the longer it all takes.
        if threading.current_thread() is acting and next(numbers) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(original: Callable[..., Any], *, is_left: bool) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            here()
            answer = original(*given, **named)
            if is_left:
                here()
            return answer

        return call

    for owner, name in seen:
        setattr(owner, name, wrapped(getattr(owner, name), is_left=name == "commit"))
