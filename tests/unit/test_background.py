"""What the API does in the background goes on, whatever it meets."""

import asyncio

from egg_tasks.api.background import kept


def test_a_background_task_that_fails_or_ends_is_begun_again() -> None:
    begun: list[str] = []
    done = asyncio.Event()

    async def work() -> None:
        begun.append("again")
        if len(begun) == 1:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        if len(begun) > 2:
            done.set()
            await asyncio.sleep(60)

    async def scene() -> None:
        task = asyncio.create_task(kept("test", work, pause=0.01))
        await asyncio.wait_for(done.wait(), 10)
        task.cancel()

    asyncio.run(scene())

    assert len(begun) == 3
