"""How often a credential may ask: a token bucket for each, in this process."""

import math
import threading
import time
from collections.abc import Callable

from models.errors import TooMany

BURST = 4
"""A bucket holds what is granted in so many seconds, so that an agent may ask 200 times at once."""
MOST = 10_000
"""Beyond so many buckets the full ones are forgotten: nothing is lost with them."""


class Rates:
    """What each credential has left. To be used by any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at: dict[bytes, float] = {}
        """By credential, when its bucket is full again."""

    def spend(self, token: bytes, *, rate: int) -> None:
        """Take one request of *rate* a second; `TooMany` when none is left, with the seconds to wait."""
        if rate == 0:
            return
        with self._lock:
            now = self._clock()
            full_at = max(self._free_at.get(token, now), now) + 1 / rate
            late = full_at - now - BURST
            if late <= 0:
                self._free_at[token] = full_at
                self._forget(now)
                return
        wait = math.ceil(late)
        raise TooMany(
            f"this credential asks more than {rate} times a second; go on in {wait} s, or wait with wait=30"
            " instead of asking again",
            {"retry_after": wait},
        )

    def _forget(self, now: float) -> None:
        if len(self._free_at) > MOST:
            self._free_at = {token: at for token, at in self._free_at.items() if at > now}
