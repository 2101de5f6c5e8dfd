"""Keys that are pressed while a screen is shown; the terminal is given back however that ends."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Wait = Callable[[float], str]
"""Wait so many seconds for a key: the key, or empty."""

LEAVING = frozenset({"q", "Q"})
ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def pressed() -> Iterator[Wait]:
    """Read keys one by one, where there is a terminal that is ours to read; signals work as ever.

    A signal that would end the process becomes SystemExit, so that everything is put back first.
    """
    terminal = _own_terminal()
    before = {number: signal.signal(number, _end) for number in ENDING}
    try:
        if terminal is None:
            yield _sleep
        else:
            with _key_by_key(terminal):
                yield lambda seconds: _wait(terminal, seconds)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _key_by_key(terminal: int) -> Iterator[None]:
    import termios
    import tty

    kept = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        yield
    finally:
        # It may be gone.
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSANOW, kept)


def _own_terminal() -> int | None:
    """The terminal on standard input, if we are in its foreground: else to touch it would stop us."""
    with suppress(OSError, ValueError, AttributeError):
        number = sys.stdin.fileno()
        if os.isatty(number) and os.tcgetpgrp(number) == os.getpgrp():
            return number
    return None


def _wait(terminal: int, seconds: float) -> str:
    ready, _, _ = select.select([terminal], [], [], seconds)
    if not ready:
        return ""
    with suppress(OSError):
        return os.read(terminal, 1).decode(errors="replace")
    # Nobody presses a key at a terminal that is gone; do not ask without a pause.
    return _sleep(seconds)


def _sleep(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
