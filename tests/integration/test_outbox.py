"""The outbox: what is sent to whom once a unit of work has committed, and that nothing is sent before."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from egg_tasks import database, outbox
from egg_tasks.database import single_statements, unit_of_work
from egg_tasks.outbox import Deletion, News, Parcel, Preparation, WakeUp
from egg_tasks.services.people import pipelines
from models.errors import DatabaseAway
from models.queries import pipelines as rows
from models.schemas.definition import validate
from tests.fakes import Recorder, written
from tests.integration import api_scene
from tests.integration.world import definition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CUT_OFF = "SELECT pg_terminate_backend(pg_backend_pid())"
DOCUMENT = validate(definition({"role": "coder"}))


@pytest.fixture(autouse=True)
def _ours(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """An empty database as this process's own."""
    given = {"EGG_DATABASE_URL": database_url, "EGG_REDIS_URL": redis_url, "EGG_HOME": str(tmp_path)}
    for name, value in {**given, "EGG_OPERATOR_TOKEN": api_scene.OPERATOR}.items():
        monkeypatch.setenv(name, value)
    api_scene.forget()
    yield
    api_scene.forget()


def is_there() -> bool:
    """Whether others see the pipeline."""
    with unit_of_work() as session:
        return "p" in rows.list_names(session, beginning="p")


@dataclass
class Looking(Recorder):
    """A sender that looks, each time, whether others see already what it is told of."""

    url: str = ""
    seen: list[bool] = field(default_factory=list)

    def send(self, parcel: Parcel) -> None:
        """Look, and keep the parcel."""
        with psycopg.connect(self.url) as other:
            self.seen.append(other.execute("SELECT count(*) FROM egg.pipelines").fetchone() == (1,))
        super().send(parcel)


def begin(*, then: Callable[[Session], object] = lambda _: None) -> None:
    """Create and start a pipeline in one unit of work, and do something more in it."""
    with unit_of_work() as session:
        pipelines.create(session, definition=DOCUMENT, now=NOW)
        pipelines.start(session, pipeline_id="p", now=NOW)
        then(session)


def test_what_is_sent_is_sent_after_the_commit(database_url: str) -> None:
    sender = Looking(url=database_url)
    database.use(sender)

    begin()

    assert [written(parcel) for parcel in sender.sent] == ["wake p", "preparation of p"]
    assert sender.seen == [True, True]


def test_of_what_is_rolled_back_nothing_is_sent(sender: Recorder) -> None:
    with pytest.raises(ZeroDivisionError):
        begin(then=lambda _: 1 / 0)

    assert (sender.sent, is_there()) == ([], False)


def test_of_what_cannot_be_committed_nothing_is_sent(sender: Recorder) -> None:
    with pytest.raises(DatabaseAway):
        begin(then=lambda session: session.execute(text(CUT_OFF)))

    assert sender.sent == []


def test_something_to_send_without_a_sender_is_found_before_the_commit() -> None:
    database.use(None)

    with pytest.raises(RuntimeError, match="nobody sends"):
        begin()

    assert not is_there()


def test_a_parcel_that_cannot_be_sent_keeps_no_other_back(capfd: pytest.CaptureFixture[str]) -> None:
    sender = Recorder(fails_for=(Preparation,))
    database.use(sender)

    with unit_of_work() as session:
        outbox.of(session).add(Preparation("p"), Deletion("p"))

    assert sender.sent == [Deletion("p")]
    logged = "".join(capfd.readouterr())
    assert "send.failed" in logged
    assert "Preparation" in logged


def test_the_same_is_sent_once_and_who_waits_is_woken_first(sender: Recorder) -> None:
    with unit_of_work() as session:
        box = outbox.of(session)
        box.add(Preparation("p"), Deletion("p"), Preparation("p"))
        box.add(Deletion("p"))
        box.wake(News("q", "coder"), News("p"), News("p"))

    assert sender.sent == [WakeUp((News("p"), News("q", "coder"))), Preparation("p"), Deletion("p")]


def test_what_comes_first_is_sent_before_what_waits_already(sender: Recorder) -> None:
    with unit_of_work() as session:
        outbox.of(session).add(Preparation("one"))
        outbox.of(session).add_first(Preparation("two"), Preparation("three"))

    assert sender.sent == [Preparation("two"), Preparation("three"), Preparation("one")]


def test_what_single_statements_leave_is_sent_at_their_end(sender: Recorder) -> None:
    with single_statements() as session:
        session.execute(text("SELECT 1"))
        outbox.of(session).add(Preparation("p"))
        assert sender.sent == []

    assert sender.sent == [Preparation("p")]


def test_a_reader_needs_no_sender() -> None:
    database.use(None)

    assert not is_there()
