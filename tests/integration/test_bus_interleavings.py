"""Whatever order things happen in on the bus: nothing is lost, doubled, out of order or seen too early.

Transactions are begun, written to, numbered, committed, rolled back and cut off by the server in any order,
while others post and poll over HTTP. Who holds the stream's lock makes other writers wait, and one thread
cannot wait for itself: then nobody else numbers or posts, but everybody polls.
"""

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.orm import Session

from benchmarks.agents import Seat, seat
from egg_tasks.clock import utcnow
from egg_tasks.config import sqlalchemy_url
from egg_tasks.services.bus import messages
from egg_tasks.services.bus.messages import Draft
from models.queries import pipelines, streams
from models.schemas.message import MessageType
from tests.integration.api_scene import Scene

WITH_CURSOR = ("ann", "bob")
"""Roles that say after what they read."""
WITHOUT = "cid"
"""A role that leaves it to the server."""
ROLES = (*WITH_CURSOR, WITHOUT)
READERS = (*ROLES, "all")
MOST_OPEN = 3
numbers = itertools.count(1)


@dataclass(frozen=True)
class Sent:
    """A message as a test remembers it."""

    sender: str
    to: str
    subject: str


@dataclass(eq=False)
class Work:
    """A transaction that is open."""

    session: Session
    pid: int
    written: list[Sent] = field(default_factory=list)


class Interleavings(RuleBasedStateMachine):
    """One pipeline of three roles, and all that may happen to it."""

    def __init__(self, scene: Scene, engine: Engine) -> None:
        super().__init__()
        self.scene, self.engine = scene, engine
        self.name = f"mixed-{next(numbers)}"
        self.seats: dict[str, Seat] = {each.role: each for each in seat(self.name, ROLES)}
        self.stored: list[Sent] = []
        self.open: list[Work] = []
        self.holder: Work | None = None
        self.cursors = dict.fromkeys(ROLES, 0)

    def is_free(self) -> bool:
        """Whether nobody holds the stream."""
        return self.holder is None

    def has_open(self) -> bool:
        """Whether a transaction is open."""
        return bool(self.open)

    @precondition(lambda self: len(self.open) < MOST_OPEN)
    @rule()
    def begin(self) -> None:
        """Begin a transaction on a connection of its own."""
        session = Session(self.engine, expire_on_commit=False)
        pid = session.scalars(text("SELECT pg_backend_pid()").columns()).one()
        self.open.append(Work(session, pid))

    @precondition(has_open)
    @rule(at=st.integers(0, MOST_OPEN - 1), sender=st.sampled_from(ROLES), to=st.sampled_from(READERS))
    def write(self, at: int, sender: str, to: str) -> None:
        """Write a message in a transaction."""
        work = self.pick(at)
        if work is self.holder:
            return
        sent = self.new(sender, to)
        pipeline = pipelines.get_pipeline(work.session, pipeline_id=self.name)
        draft = Draft(MessageType.PROGRESS, to_role=to, subject=sent.subject)
        messages.send(work.session, pipeline=pipeline, sender=sender, draft=draft, now=utcnow())
        work.written.append(sent)

    @precondition(lambda self: self.has_open() and self.is_free())
    @rule(at=st.integers(0, MOST_OPEN - 1))
    def number(self, at: int) -> None:
        """Have a transaction take its numbers, and wait with its commit."""
        work = self.pick(at)
        streams.number_pending(work.session)
        if work.written:
            self.holder = work

    @precondition(has_open)
    @rule(at=st.integers(0, MOST_OPEN - 1))
    def commit(self, at: int) -> None:
        """Commit what may be committed without waiting."""
        work = self.pick(at)
        if not self.is_free() and work is not self.holder:
            return
        streams.number_pending(work.session)
        work.session.commit()
        self.stored += work.written
        self.leave(work)

    @precondition(has_open)
    @rule(at=st.integers(0, MOST_OPEN - 1))
    def abort(self, at: int) -> None:
        """Roll a transaction back."""
        work = self.pick(at)
        work.session.rollback()
        self.leave(work)

    @precondition(has_open)
    @rule(at=st.integers(0, MOST_OPEN - 1))
    def cut(self, at: int) -> None:
        """Have the server cut a transaction's connection."""
        work = self.pick(at)
        self.terminate("pid = :pid", pid=work.pid)
        work.session.invalidate()
        self.leave(work)

    @rule()
    def cut_the_api(self) -> None:
        """Have the server cut every connection of the API."""
        self.terminate("application_name = 'egg' AND datname = current_database()")

    @precondition(is_free)
    @rule(sender=st.sampled_from(ROLES), to=st.sampled_from(READERS), times=st.integers(1, 3))
    def post(self, sender: str, to: str, times: int) -> None:
        """Post a message over HTTP, as often as an impatient client does, with one key."""
        sent = self.new(sender, to)
        body = {
            "message_type": "PROGRESS",
            "to_role": to,
            "subject": sent.subject,
            "client_key": sent.subject,
        }
        ids = {self.ask("POST", sender, body=body)["message"]["id"] for _ in range(times)}

        self.stored.append(sent)
        assert ids == {len(self.stored)}

    @rule(reader=st.sampled_from(WITH_CURSOR), limit=st.integers(1, 4))
    def poll(self, reader: str, limit: int) -> None:
        """Poll after a cursor the reader keeps."""
        cursor = self.cursors[reader]
        self.cursors[reader] = self.look(reader, cursor, limit, f"&since_id={cursor}")

    @rule(limit=st.integers(1, 4))
    def poll_on(self, limit: int) -> None:
        """Poll after the cursor the server keeps."""
        self.cursors[WITHOUT] = self.look(WITHOUT, self.cursors[WITHOUT], limit, "")

    def teardown(self) -> None:
        """All that was committed is there, and everybody reads all of it."""
        for work in list(self.open):
            self.abort_quietly(work)
        for reader in ROLES:
            self.look(reader, 0, 500, "&since_id=0")

    def look(self, reader: str, after: int, limit: int, query: str) -> int:
        """Poll, and compare with what was stored; where the next poll goes on."""
        page = self.ask("GET", reader, query=f"?limit={limit}{query}")
        wanted = [
            (number, sent.sender, sent.subject)
            for number, sent in enumerate(self.stored, 1)
            if number > after and sent.to in {reader, "all"} and sent.sender != reader
        ]
        found = [(each["id"], each["from_role"], each["subject"]) for each in page["messages"]]
        assert found == wanted[:limit]
        assert page["has_more"] == (len(wanted) > limit)
        return int(page["next_since_id"])

    def ask(self, method: str, who: str, *, query: str = "", body: object = None) -> dict[str, Any]:
        """Ask as a role's agent."""
        path = f"/pipelines/{self.name}/messages{query}"
        return self.scene.ask(method, path, body, who=self.seats[who].token).data

    def pick(self, at: int) -> Work:
        """One of the open transactions."""
        return self.open[at % len(self.open)]

    def new(self, sender: str, to: str) -> Sent:
        """A message nobody has sent yet."""
        return Sent(sender, to, f"subject {next(numbers)}")

    def leave(self, work: Work) -> None:
        """A transaction is over."""
        work.session.close()
        self.open.remove(work)
        if work is self.holder:
            self.holder = None

    def abort_quietly(self, work: Work) -> None:
        """Leave nothing behind for the next example."""
        work.session.rollback()
        self.leave(work)

    def terminate(self, which: str, **given: object) -> None:
        """End server processes, and wait until they are gone with their locks."""
        deadline = time.monotonic() + 10
        with self.engine.connect() as connection:
            query = text(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {which}"  # noqa: S608 - our words
                " AND pid <> pg_backend_pid()"
            )
            while connection.execute(query, given).all():
                assert time.monotonic() < deadline, "a server process does not end"
                connection.rollback()


def test_no_interleaving_breaks_the_bus(scene: Scene, database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    rules = settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        # An example takes a second: shrinking would take minutes.
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )

    class Here(Interleavings):
        def __init__(self) -> None:
            super().__init__(scene, engine)

    run_state_machine_as_test(Here, settings=rules)
