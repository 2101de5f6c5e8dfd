"""When everything that ticks was silent at once."""

from datetime import UTC, datetime, timedelta

from models.schemas.silence import BEGINNING, Silence, common

START = datetime(2026, 1, 1, tzinfo=UTC)


def silence(began: float, ended: float) -> Silence:
    """A silence between two seconds."""
    return Silence(START + timedelta(seconds=began), START + timedelta(seconds=ended))


def test_one_thing_that_is_silent_is_what_all_have_in_common() -> None:
    assert common([[silence(0, 60)]]) == [silence(0, 60)]


def test_what_one_was_awake_for_is_no_sleep() -> None:
    assert common([[silence(0, 60)], [silence(0, 20), silence(40, 60)]]) == [silence(0, 20), silence(40, 60)]


def test_a_pause_that_a_busy_machine_makes_is_no_sleep() -> None:
    assert common([[silence(0, 9.9)]]) == []
    assert common([[silence(0, 60)], [silence(0, 5), silence(55, 60)]]) == []


def test_who_was_never_silent_was_awake_all_the_time() -> None:
    assert common([[silence(0, 60)], []]) == []


def test_what_was_not_there_says_nothing_of_that_time() -> None:
    unborn = Silence(BEGINNING, silence(0, 50).ended_at)

    assert common([[silence(0, 60)], [unborn]]) == [silence(0, 50)]
