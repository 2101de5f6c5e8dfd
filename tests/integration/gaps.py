"""Processes that die between two of their writes: before the first, before the second, and so on."""

import itertools
import os
import signal
import subprocess
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from sqlalchemy.orm import Session

from egg_tasks import database
from egg_tasks.tasks.dispatch import TaskSender

SEEN_BY_OTHERS = (
    (os, "replace"),
    (os, "rename"),
    (os, "posix_spawn"),
    (signal, "pidfd_send_signal"),
    (subprocess.Popen, "__init__"),
    (Session, "commit"),
)
"""By these a process lets others see what it does: files put in place, processes, signals, transactions."""


def dies(act: Callable[[], object], *, at: int) -> bool:
    """Run *act* in a process of its own that is killed before its write number *at*; whether it came to that.

    What comes between a commit and the next write, such as the sending of what was decided, is a gap of its
    own. There is no number 0.
    """
    child = os.fork()
    if child == 0:
        _live(act, at)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, -signal.SIGKILL}, "it failed before it was to die; see its output above"
    return status != 0


def lives(act: Callable[[], object]) -> None:
    """Run *act* in a process of its own to its end."""
    assert not dies(act, at=0)


def _live(act: Callable[[], object], at: int) -> NoReturn:
    try:
        # What the parent has connected stays the parent's.
        database.engine().dispose(close=False)
        database.use(TaskSender())
        _arm(at)
        act()
    except BaseException:  # noqa: BLE001 - nothing may run on into the parent's tests
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _arm(at: int) -> None:
    numbers = itertools.count(1)

    def here() -> None:
        if next(numbers) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(original: Callable[..., Any], *, is_left: bool) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            here()
            answer = original(*given, **named)
            if is_left:
                here()
            return answer

        return call

    for owner, name in SEEN_BY_OTHERS:
        setattr(owner, name, wrapped(getattr(owner, name), is_left=name == "commit"))
