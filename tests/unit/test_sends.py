"""Who sends together: what is asked while others are sent shares the next group, of each run one."""

import asyncio
import threading
from collections.abc import Sequence
from uuid import UUID

import pytest

from egg_tasks.api.fanout import Deliveries
from egg_tasks.api.sends import MOST, Sends
from egg_tasks.services.bus.messages import Draft, Outgoing
from models.errors import DatabaseAway, Forbidden
from models.schemas.message import MessageType
from models.tables import Message


def outgoing(run: int) -> Outgoing:
    """A message of a run."""
    return Outgoing(UUID(int=run), "coder", Draft(MessageType.PROGRESS))


class Rows:
    """What sends, and notes each group; it can be held up."""

    def __init__(self, *, fails: bool = False) -> None:
        self.groups: list[list[int]] = []
        self.has_begun = threading.Event()
        self.may_go_on = threading.Event()
        self._fails = fails

    def send(self, group: Sequence[Outgoing]) -> Sequence[Message | None]:
        """Send nothing, since something is in the way of all."""
        self.groups.append([each.run_id.int for each in group])
        self.has_begun.set()
        assert self.may_go_on.wait(10)
        if self._fails:
            raise DatabaseAway("away")
        return [None] * len(group)


async def _send(rows: Rows, runs: Sequence[int], *, cancelled: int | None = None) -> list[object]:
    sends = Sends(Deliveries(), at_once=rows.send)
    first = asyncio.create_task(sends.send(outgoing(0)))
    await asyncio.to_thread(rows.has_begun.wait)
    tasks = [asyncio.create_task(sends.send(outgoing(run))) for run in runs]
    await asyncio.sleep(0)
    if cancelled is not None:
        tasks[cancelled].cancel()
        await asyncio.sleep(0)
    rows.may_go_on.set()
    return await asyncio.gather(first, *tasks, return_exceptions=True)


def test_what_comes_while_one_is_sent_shares_the_next_group() -> None:
    rows = Rows()

    asyncio.run(_send(rows, [1, 2, 3]))

    assert rows.groups == [[0], [1, 2, 3]]


def test_of_each_run_one_is_in_a_group() -> None:
    rows = Rows()

    asyncio.run(_send(rows, [1, 1, 2, 1]))

    assert rows.groups == [[0], [1, 2], [1], [1]]


def test_a_group_has_bounds() -> None:
    rows = Rows()

    asyncio.run(_send(rows, range(1, MOST + 3)))

    assert [len(group) for group in rows.groups] == [1, MOST, 2]


def test_who_hangs_up_before_its_turn_sends_nothing_and_the_others_do() -> None:
    rows = Rows()

    asyncio.run(_send(rows, [1, 2, 3], cancelled=1))

    assert rows.groups == [[0], [1, 3]]


def test_each_of_a_group_is_told_that_the_database_is_away() -> None:
    answers = asyncio.run(_send(Rows(fails=True), [1, 2]))

    assert [type(answer) for answer in answers] == [DatabaseAway] * 3


def test_what_agents_may_not_send_is_refused_before_it_has_a_place() -> None:
    with pytest.raises(Forbidden):
        Outgoing(UUID(int=1), "coder", Draft(MessageType.DIRECTIVE))
