"""What the API does beside answering: tasks that go on for ever, whatever they meet."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import Counter

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
FAILURES = Counter("egg_api_background_failures", "Background tasks of the API begun again.", ["task"])


async def kept(name: str, work: Callable[[], Awaitable[None]], *, pause: float = FIRST_PAUSE_SECONDS) -> None:
    """Do *work*, which has no end, and begin it again when it ends all the same, with growing pauses."""
    loop = asyncio.get_running_loop()
    next_pause = pause
    while True:
        begun_at = loop.time()
        try:
            await work()
        except Exception:
            log.exception("background.failed", task=name)
        else:
            log.warning("background.ended", task=name)
        FAILURES.labels(name).inc()
        if loop.time() - begun_at > LONGEST_PAUSE_SECONDS:
            next_pause = pause
        await asyncio.sleep(next_pause)
        next_pause = min(LONGEST_PAUSE_SECONDS, 2 * next_pause)
