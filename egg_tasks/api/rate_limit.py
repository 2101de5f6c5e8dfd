"""How often a credential may ask: a token bucket for each, in this process."""

import math
import threading
import time
from collections.abc import Callable, Hashable
from typing import NoReturn

from models.errors import TooMany

BURST = 4
"""A bucket holds what is granted in so many seconds, so that an agent may ask 200 times at once."""
PIECE = 64 * 1024
"""So many bytes, sent or read, count as one request."""
MOST = 10_000
"""Beyond so many buckets the full ones are forgotten: nothing is lost with them."""

NOBODY: Hashable = "nobody"
"""All whom nobody knows: they share one bucket, else made-up credentials would have one each."""


class Rates:
    """What each credential has left. To be used by any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at: dict[Hashable, float] = {}
        """By who asks, when its bucket is full again."""

    def spend(self, who: Hashable, *, rate: int) -> None:
        """Take one request of *rate* a second; `TooMany` when none is left, with the seconds to wait."""
        if rate == 0:
            return
        with self._lock:
            now = self._clock()
            full_at = max(self._free_at.get(who, now), now) + 1 / rate
            late = full_at - now - BURST
            if late <= 0:
                self._free_at[who] = full_at
                self._forget(now)
                return
        wait = math.ceil(late)
        self._refuse(who, rate, wait)

    def charge(self, who: Hashable, size: int, *, rate: int) -> None:
        """Take more for *size* bytes that a request brought and was told: the next ones are refused."""
        if rate and size >= PIECE:
            with self._lock:
                self._free_at[who] = max(self._free_at.get(who, 0.0), self._clock()) + size // PIECE / rate

    def _refuse(self, who: Hashable, rate: int, wait: int) -> NoReturn:
        if who is NOBODY:
            raise TooMany(
                f"credentials that nobody knows ask more than {rate} times a second; go on in {wait} s, with"
                " one that is known",
                {"retry_after": wait},
            )
        raise TooMany(
            f"this credential asks more than {rate} times a second, each {PIECE // 1024} KiB sent or read"
            f" counting as one more; go on in {wait} s, or wait with wait=30 instead of asking again",
            {"retry_after": wait},
        )

    def _forget(self, now: float) -> None:
        if len(self._free_at) > MOST:
            self._free_at = {each: at for each, at in self._free_at.items() if at > now}
