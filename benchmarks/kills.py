"""Kills servers of a stack with -9, one after the other, for as long as the context lasts."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice

from benchmarks.stack import LOOK_AGAIN_SECONDS, SERVERS, Stack


@contextmanager
def killing(stack: Stack, *, after: float, most: int) -> Iterator[Counter[str]]:
    """Kill a server once all was well for so many seconds, at most so often; how often each was killed."""
    killed: Counter[str] = Counter()
    over = threading.Event()
    thread = threading.Thread(target=_kill, args=(stack, after, most, killed, over), daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def _kill(stack: Stack, after: float, most: int, killed: Counter[str], over: threading.Event) -> None:
    for name in islice(cycle(SERVERS), most):
        while not (stack.is_well() or over.wait(LOOK_AGAIN_SECONDS)):
            pass
        if over.wait(after):
            return
        killed[name] += stack.kill(name)
