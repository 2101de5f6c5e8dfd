"""How often a credential may ask."""

import pytest

from egg_tasks.api import rate_limit
from egg_tasks.api.rate_limit import Rates
from models.errors import TooMany


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        """Say what time it is."""
        return self.now


def spend(bucket: Rates, count: int, token: bytes = b"t") -> int:
    """Ask so often at 50 a second; how often that was granted."""
    granted = 0
    for _ in range(count):
        try:
            bucket.spend(token, rate=50)
        except TooMany:
            continue
        granted += 1
    return granted


def test_two_hundred_may_come_at_once() -> None:
    assert spend(Rates(Clock()), 300) == 200


def test_fifty_a_second_may_follow() -> None:
    clock = Clock()
    bucket = Rates(clock)
    spend(bucket, 300)

    clock.now += 1.001

    assert spend(bucket, 300) == 50


def test_one_who_asks_too_often_takes_nothing_from_another() -> None:
    bucket = Rates(Clock())
    spend(bucket, 300)

    assert spend(bucket, 1, b"other") == 1


def test_a_refusal_says_when_to_come_back() -> None:
    bucket = Rates(Clock())
    spend(bucket, 200)

    with pytest.raises(TooMany, match="50 times a second") as refused:
        bucket.spend(b"t", rate=50)

    assert refused.value.details == {"retry_after": 1}


def test_without_a_limit_all_is_granted() -> None:
    bucket = Rates(Clock())

    for _ in range(1000):
        bucket.spend(b"t", rate=0)


def test_who_is_long_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MOST", 3)
    clock = Clock()
    bucket = Rates(clock)
    for number in range(4):
        clock.now += 1
        spend(bucket, 1, str(number).encode())

    assert len(bucket._free_at) == 1


def test_much_that_is_sent_or_read_counts_as_many_requests() -> None:
    clock = Clock()
    bucket = Rates(clock)
    bucket.charge(b"t", 100 * 64 * 1024, rate=50)

    assert spend(bucket, 300) == 100


def test_little_costs_nothing_more() -> None:
    bucket = Rates(Clock())
    bucket.charge(b"t", 60_000, rate=50)

    assert spend(bucket, 300) == 200
