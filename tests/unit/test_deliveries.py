"""What an API keeps of the messages it has sent: the newest, and never with a gap."""

from egg_tasks.api.fanout import KEPT, KEPT_BODY, Deliveries
from models.tables import Message


def keep(*ids: int) -> Deliveries:
    """Deliveries that were told of messages in this order."""
    deliveries = Deliveries()
    for number in ids:
        deliveries.keep(Message(pipeline_id="p", id=number, body=""))
    return deliveries


def kept(deliveries: Deliveries, after: int) -> list[int]:
    """The ids kept of what follows a message."""
    return [row.id for row in deliveries.since("p", after)]


def test_what_follows_is_kept_in_order() -> None:
    assert kept(keep(4, 5, 6), 4) == [5, 6]


def test_nothing_is_given_when_what_follows_is_not_all_there() -> None:
    assert kept(keep(4, 5, 6), 2) == []


def test_a_gap_or_another_order_forgets_what_was_before() -> None:
    assert kept(keep(4, 6), 4) == []
    assert kept(keep(5, 4), 3) == [4]
    assert kept(keep(5, 4), 4) == []


def test_only_the_newest_are_kept() -> None:
    deliveries = keep(*range(1, KEPT + 3))

    assert kept(deliveries, 0) == []
    assert len(kept(deliveries, 2)) == KEPT


def test_a_long_message_is_a_gap() -> None:
    deliveries = keep(1)
    deliveries.keep(Message(pipeline_id="p", id=2, body="x" * (KEPT_BODY + 1)))
    deliveries.keep(Message(pipeline_id="p", id=3, body=""))

    assert kept(deliveries, 1) == []
    assert kept(deliveries, 2) == [3]
