"""Leases are renewed together, and each holder learns how its own run fares."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from egg_tasks.attending import leases
from egg_tasks.attending.leases import Lease, Leases
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import agent_runs
from egg_tasks.services.agents.agent_runs import Answer
from models.queries import agent_runs as rows
from models.states import Failure
from models.tables import AgentRun
from tests.integration.api_scene import Scene

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def held(shop: Scene) -> dict[str, Lease]:
    """The claimed leases of a coder and a tester that run."""
    return {
        role: claim(UUID(shop.tokens[role].removeprefix("token-of-")), role) for role in ("coder", "tester")
    }


def claim(run_id: UUID, owner: str) -> Lease:
    """Take a run over, as a worker does whose predecessor is gone."""
    with unit_of_work() as session:
        run = rows.lock_agent_run(session, run_id=run_id)
        run.lease_owner = run.lease_until = None
    with unit_of_work() as session:
        claimed = agent_runs.claim(
            session, run_id=run_id, owner=owner, node=str(run.node), capacity=9, now=utcnow()
        )
    assert claimed.answer is Answer.CLAIMED
    return Lease(run_id, owner, active_at=LONG_AGO)


def row(lease: Lease) -> AgentRun:
    """The run as it is."""
    with unit_of_work() as session:
        return rows.get_agent_run(session, run_id=lease.run_id)


def test_all_are_renewed_and_none_is_to_end(held: dict[str, Lease]) -> None:
    later = utcnow() + timedelta(hours=1)

    leases.renew(list(held.values()), now=later)

    assert {row(lease).lease_until for lease in held.values()} == {later + agent_runs.LEASE}
    assert not any(lease.is_lost or lease.is_to_end for lease in held.values())


def test_who_has_lost_a_lease_is_told_and_the_other_keeps_its_own(held: dict[str, Lease]) -> None:
    claim(held["coder"].run_id, "another")

    leases.renew(list(held.values()), now=utcnow())

    assert (held["coder"].is_lost, held["tester"].is_lost) == (True, False)
    assert row(held["coder"]).lease_owner == "another"


def test_a_run_that_is_stopped_is_to_end(held: dict[str, Lease]) -> None:
    now = utcnow()
    with unit_of_work() as session:
        run = rows.lock_agent_run(session, run_id=held["coder"].run_id)
        run.stop_at, run.stopped_for = now, Failure.STOPPED

    leases.renew(list(held.values()), now=now)

    assert (held["coder"].is_to_end, held["tester"].is_to_end) == (True, False)


def test_a_run_that_somebody_has_locked_is_left_to_the_next_time(held: dict[str, Lease]) -> None:
    before = row(held["coder"]).lease_until

    with unit_of_work() as other:
        rows.lock_agent_run(other, run_id=held["coder"].run_id)
        leases.renew(list(held.values()), now=utcnow() + timedelta(hours=1))

    assert row(held["coder"]).lease_until == before
    assert not held["coder"].is_lost
    assert held["tester"].run is not None


def test_an_agent_that_is_asked_to_converge_is_told_so_at_once(held: dict[str, Lease]) -> None:
    with unit_of_work() as session:
        rows.lock_agent_run(session, run_id=held["coder"].run_id).converge_at = utcnow()

    leases.renew(list(held.values()), now=utcnow())

    assert [(lease.words or "").partition("\n")[0] for lease in held.values()] == ["CONVERGE", ""]


def test_activity_is_never_taken_back_nor_in_the_future(held: dict[str, Lease]) -> None:
    now = utcnow()
    seen = {"coder": now - timedelta(minutes=1), "tester": now + timedelta(days=1)}
    for role, at in seen.items():
        held[role].active_at = at
        leases.renew([held[role]], now=now)
        held[role].active_at = LONG_AGO
        leases.renew([held[role]], now=now)

    assert row(held["coder"]).last_active_at == seen["coder"]
    assert row(held["tester"]).last_active_at == now


def test_a_held_lease_is_renewed_by_itself(held: dict[str, Lease]) -> None:
    keeper, lease = Leases(), held["coder"]
    deadline = utcnow() + timedelta(seconds=10)

    with keeper.hold(lease):
        while lease.run is None and utcnow() < deadline:
            pass

    assert lease.run is not None
    assert row(lease).lease_owner == "coder"


def test_a_lease_that_cannot_be_renewed_keeps_no_other_from_it(held: dict[str, Lease]) -> None:
    held["coder"].active_at = "yesterday"  # type: ignore[assignment]
    before = row(held["tester"]).lease_until

    leases.renew_all(list(held.values()))

    after = row(held["tester"]).lease_until
    assert before is not None
    assert after is not None
    assert after > before


def test_a_renewing_thread_that_has_ended_is_replaced(held: dict[str, Lease]) -> None:
    keeper, lease = Leases(), held["coder"]
    ended = threading.Thread(target=str)
    ended.start()
    ended.join()
    keeper._renewing = ended
    deadline = utcnow() + timedelta(seconds=10)

    with keeper.hold(lease):
        while lease.run is None and utcnow() < deadline:
            pass

    assert lease.run is not None
