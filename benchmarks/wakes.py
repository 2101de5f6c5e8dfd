"""From the post to the waiting reader that has it: one of many that wait, and all of them."""

import asyncio
import time
from collections.abc import Callable

from benchmarks.buses import Bus

SETTLE_SECONDS = 0.03
"""So that whoever was served waits at the server again before the next post."""
BROADCASTS = 5


async def measure(bus: Bus, *, waiting: int, posts: int) -> tuple[list[float], list[float]]:
    """Milliseconds until the one addressed has it, and until each has what goes to all."""
    crowd = Crowd(bus, waiting)
    everyone = list(range(waiting))
    try:
        # Until each of them was served once, some have not yet come to wait.
        await crowd.settle()
        await crowd.deliver("all", everyone)
        one = [await crowd.deliver(f"reader{post % waiting}", [post % waiting]) for post in range(posts)]
        many = [await crowd.deliver("all", everyone) for _ in range(BROADCASTS)]
    finally:
        await crowd.close()
    return [each for batch in one for each in batch], [each for batch in many for each in batch]


class Crowd:
    """Readers that wait, and wait again as soon as they were served."""

    def __init__(self, bus: Bus, size: int) -> None:
        self._bus = bus
        self._size = size
        self._heard: dict[int, Callable[[float], None]] = {}
        self._readers = [asyncio.create_task(self._read(number)) for number in range(size)]

    async def deliver(self, to_role: str, numbers: list[int]) -> list[float]:
        """Post to a role and wait until all of these have it; how many milliseconds it took each."""
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in numbers]
        for number, future in zip(numbers, futures, strict=True):
            self._heard[number] = future.set_result
        began = time.perf_counter()
        await self._bus.post(to_role)
        arrived = await asyncio.wait_for(asyncio.gather(*futures), 60)
        await self.settle()
        return [(at - began) * 1000 for at in arrived]

    async def settle(self) -> None:
        """Give everybody the time to wait again."""
        await asyncio.sleep(SETTLE_SECONDS + self._size / 400)

    async def close(self) -> None:
        """Have everybody leave."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        await self._bus.close()

    async def _read(self, number: int) -> None:
        cursor = "0"
        while True:
            cursor = await self._bus.wait(number, cursor)
            heard = self._heard.pop(number, None)
            if heard is not None:
                heard(time.perf_counter())
