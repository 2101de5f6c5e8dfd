"""Agent runs, their tokens, their leases, and nodes."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.errors import NotFound
from models.queries.locks import NO_KEY
from models.schemas.definition import Definition
from models.schemas.network import Network
from models.states import RunStatus
from models.tables import AgentRun, AgentToken, Node, PhaseRun, Pipeline, TokenKind


def add_agent_run(session: Session, *, run: AgentRun) -> None:
    """Add an agent run."""
    session.add(run)
    session.flush()


def get_agent_run(session: Session, *, run_id: UUID) -> AgentRun:
    """One agent run, as it is now, not locked, or `NotFound`."""
    run = session.get(AgentRun, run_id, populate_existing=True)
    if run is None:
        raise NotFound(f"there is no agent run {run_id}; see `egg agent list PIPELINE`")
    return run


def get_agent_run_of(session: Session, *, pipeline_id: str, run_id: UUID) -> AgentRun:
    """One agent run's row; `NotFound` when it is another pipeline's."""
    row = get_agent_run(session, run_id=run_id)
    if row.pipeline_id != pipeline_id:
        raise NotFound(
            f"pipeline {pipeline_id} has no agent run {run_id}; see `egg agent list {pipeline_id}`"
        )
    return row


def get_isolation(session: Session, *, run_id: UUID) -> str:
    """The kind of isolation a run has, whatever its definition says by now; or `NotFound`."""
    return get_agent_run(session, run_id=run_id).isolation


def get_network(session: Session, *, run_id: UUID, kind: TokenKind = TokenKind.AGENT) -> Network:
    """What a run's agent may reach by the gateway, or its set-up, or the check that it is; or `NotFound`."""
    definition, position, role = _get_seat(session, run_id=run_id)
    if kind is TokenKind.SETUP:
        preparation = definition.preparation(position, role)
        return Network(allow=preparation.network) if preparation else Network()
    if kind is TokenKind.CHECK:
        return definition.check_isolation(position).network or Network()
    return (definition.isolation_of(position, role).network if role else None) or Network()


def get_providers(session: Session, *, run_id: UUID) -> Sequence[str]:
    """The providers whose models a run's agent may ask, a check none; or `NotFound`."""
    definition, position, role = _get_seat(session, run_id=run_id)
    return definition.agent(position, role).providers if role else ()


def get_backend(session: Session, *, run_id: UUID) -> str:
    """The backend of a run's agent, a check being a command; or `NotFound`."""
    definition, position, role = _get_seat(session, run_id=run_id)
    return definition.agent(position, role).backend if role else "command"


def _get_seat(session: Session, *, run_id: UUID) -> tuple[Definition, int, str | None]:
    """The definition of a run's pipeline, its phase's position, and its role; or `NotFound`."""
    query = select(Pipeline.definition, PhaseRun.position, AgentRun.role).where(
        AgentRun.id == run_id, PhaseRun.id == AgentRun.phase_run_id, Pipeline.id == AgentRun.pipeline_id
    )
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFound(f"there is no agent run {run_id}")
    definition, position, role = found
    return definition, position, role


def lock_agent_run(session: Session, *, run_id: UUID) -> AgentRun:
    """One agent run, locked; its pipeline and phase run come first for whoever takes them too."""
    run = session.get(AgentRun, run_id, with_for_update=NO_KEY, populate_existing=True)
    if run is None:
        raise NotFound(f"there is no agent run {run_id}")
    return run


def share_agent_run(session: Session, *, run_id: UUID) -> AgentRun:
    """One agent run, locked FOR SHARE: a write of its agent is wholly before or wholly after its end."""
    query = select(AgentRun).where(AgentRun.id == run_id).with_for_update(read=True)
    return session.scalars(query.execution_options(populate_existing=True)).one()


def list_agent_runs_by_token(
    session: Session, *, names: Sequence[str]
) -> Sequence[tuple[bytes, TokenKind, AgentRun]]:
    """The runs that tokens are of, over or not, each with the token's hash and kind; in no order.

    A token's name is the hash of that hash in hexadecimal.
    """
    query = select(AgentToken.hash, AgentToken.kind, AgentRun).join(
        AgentRun, AgentToken.agent_run_id == AgentRun.id
    )
    wanted = func.sha256(AgentToken.hash).in_([bytes.fromhex(name) for name in names])
    return [(token_hash, kind, run) for token_hash, kind, run in session.execute(query.where(wanted))]


def add_token(
    session: Session, *, run_id: UUID, token_hash: bytes, kind: TokenKind = TokenKind.AGENT
) -> None:
    """Give a run one more token."""
    session.add(AgentToken(hash=token_hash, agent_run_id=run_id, kind=kind))
    session.flush()


def has_token(session: Session, *, token_hash: bytes) -> bool:
    """Whether a token is still somebody's: that of a set-up goes before its run."""
    return session.get(AgentToken, token_hash, populate_existing=True) is not None


def remove_tokens(session: Session, *, run_id: UUID, kind: TokenKind) -> None:
    """Take a run's tokens of a kind away."""
    session.execute(delete(AgentToken).where(AgentToken.agent_run_id == run_id, AgentToken.kind == kind))


def list_agent_runs(
    session: Session, *, pipeline_id: str, phase_run_id: UUID | None = None
) -> Sequence[AgentRun]:
    """The agent runs of a pipeline or of one phase run, oldest first."""
    query = select(AgentRun).where(AgentRun.pipeline_id == pipeline_id)
    if phase_run_id is not None:
        query = query.where(AgentRun.phase_run_id == phase_run_id)
    query = query.order_by(AgentRun.created_at, AgentRun.role, AgentRun.number)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def list_runs_of_phase_runs(session: Session, *, phase_run_ids: Collection[UUID]) -> Sequence[AgentRun]:
    """The agent runs of some phase runs, oldest first."""
    if not phase_run_ids:
        return ()
    query = select(AgentRun).where(AgentRun.phase_run_id.in_(phase_run_ids))
    query = query.order_by(AgentRun.created_at, AgentRun.role, AgentRun.number)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def find_run_before(session: Session, *, run: AgentRun) -> AgentRun | None:
    """The role's run before this one, in whatever phase run that was."""
    query = select(AgentRun).where(
        AgentRun.pipeline_id == run.pipeline_id,
        AgentRun.role == run.role,
        AgentRun.created_at < run.created_at,
    )
    return session.scalars(query.order_by(AgentRun.created_at.desc()).limit(1)).one_or_none()


def list_runs_with_leftovers(session: Session, *, pipeline_id: str) -> Sequence[AgentRun]:
    """The runs of a pipeline that left work beside their roles' branches, oldest first."""
    query = select(AgentRun).where(
        AgentRun.pipeline_id == pipeline_id,
        or_(AgentRun.set_aside.is_not(None), func.cardinality(AgentRun.kept_paths) > 0),
    )
    return session.scalars(query.order_by(AgentRun.created_at, AgentRun.id)).all()


def list_held_up_agent_runs(session: Session, *, pipeline_id: str | None = None) -> Sequence[AgentRun]:
    """The runs, of all pipelines or one, that wait for what is nobody's fault, by pipeline and age."""
    query = select(AgentRun).where(AgentRun.closed_at.is_(None), AgentRun.held_up.is_not(None))
    if pipeline_id is not None:
        query = query.where(AgentRun.pipeline_id == pipeline_id)
    return session.scalars(query.order_by(AgentRun.pipeline_id, AgentRun.created_at, AgentRun.id)).all()


def lock_unclosed_agent_runs(session: Session, *, phase_run_id: UUID) -> Sequence[AgentRun]:
    """Lock the runs of a phase run, of roles and of checks, that are not stopped and safe, in id order."""
    query = select(AgentRun).where(AgentRun.phase_run_id == phase_run_id, AgentRun.closed_at.is_(None))
    query = query.order_by(AgentRun.id).with_for_update(key_share=True)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def count_check_runs(session: Session, *, phase_run_id: UUID) -> int:
    """How often a check of the phase run was started."""
    query = select(func.count()).where(AgentRun.phase_run_id == phase_run_id, AgentRun.role.is_(None))
    return session.scalars(query).one()


def lock_some_agent_runs(session: Session, *, run_ids: Sequence[UUID]) -> Sequence[AgentRun]:
    """Lock those of these runs that nobody else has locked, as they are now; skips the others."""
    query = select(AgentRun).where(AgentRun.id.in_(run_ids)).order_by(AgentRun.id)
    query = query.with_for_update(key_share=True, skip_locked=True)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def renew_leases(session: Session, *, run_ids: Sequence[UUID], until: datetime) -> None:
    """Hold on to runs that the caller has locked and found to be its own."""
    if run_ids:
        session.execute(
            update(AgentRun)
            .where(AgentRun.id.in_(run_ids))
            .values(lease_until=until)
            .execution_options(synchronize_session=False)
        )


def claim_unattended_agent_runs(session: Session, *, now: datetime, limit: int) -> Sequence[AgentRun]:
    """Lock unclosed runs nobody attends whose time to be sent has come; skips locked ones.

    Only those that a machine has, or that are to end: the others wait for a place.
    """
    query = (
        select(AgentRun)
        .where(AgentRun.closed_at.is_(None), AgentRun.send_after <= now)
        .where(or_(AgentRun.lease_until.is_(None), AgentRun.lease_until <= now))
        .where(or_(AgentRun.node.is_not(None), AgentRun.stop_at <= now))
        .order_by(AgentRun.send_after, AgentRun.id)
        .limit(limit)
    )
    return session.scalars(query.with_for_update(key_share=True, skip_locked=True)).all()


def claim_uncleared_agent_runs(
    session: Session, *, ended_before: datetime, now: datetime, limit: int, most_sends: int
) -> Sequence[AgentRun]:
    """Lock closed runs whose clone is neither put aside nor removed and due to be; skips locked ones.

    Those that were sent *most_sends* times are left out.

    One of which not all is saved is due at once, the others when they ended before that time.
    """
    query = (
        select(AgentRun)
        .where(AgentRun.closed_at.is_not(None))
        .where(AgentRun.clone_kept_at.is_(None), AgentRun.clone_removed_at.is_(None))
        .where(AgentRun.send_after <= now, AgentRun.sends < most_sends)
        .where(or_(AgentRun.closed_at <= ended_before, func.cardinality(AgentRun.kept_paths) > 0))
        .order_by(AgentRun.send_after, AgentRun.id)
        .limit(limit)
    )
    return session.scalars(query.with_for_update(key_share=True, skip_locked=True)).all()


def send_uncleared_again(session: Session, *, node: str, now: datetime) -> int:
    """Have the clearing away of a node's clones be due as if it was never sent; how many."""
    statement = update(AgentRun).where(
        AgentRun.node == node,
        AgentRun.closed_at.is_not(None),
        AgentRun.clone_kept_at.is_(None),
        AgentRun.clone_removed_at.is_(None),
    )
    found = session.execute(statement.values(sends=0, send_after=now).returning(AgentRun.id))
    return len(found.all())


def release_leases(session: Session, *, owners: Sequence[str], now: datetime) -> int:
    """Free the runs of workers that are gone, so that they are sent again; how many.

    At once the first time; if workers go on dying, each of their runs at some moment of its own, longer and
    longer after, so that the one they die of does not take the others along.
    """
    seconds = func.least(60, func.power(2, AgentRun.tries)) * func.random()
    again = case((AgentRun.tries > 1, func.make_interval(0, 0, 0, 0, 0, 0, seconds)), else_=timedelta(0))
    query = (
        update(AgentRun)
        .where(AgentRun.lease_owner.in_(owners), AgentRun.closed_at.is_(None))
        .values(lease_owner=None, lease_until=None, send_after=now + again)
        .returning(AgentRun.id)
    )
    return len(session.scalars(query).all())


def list_lease_owners(session: Session, *, node: str) -> Sequence[str]:
    """Who holds leases of runs on a node."""
    query = select(AgentRun.lease_owner).where(AgentRun.node == node, AgentRun.lease_owner.is_not(None))
    return [owner for owner in session.scalars(query.distinct()) if owner is not None]


def upsert_node(session: Session, *, name: str, capacity: int, now: datetime) -> None:
    """Record that a node is there."""
    statement = insert(Node).values(name=name, capacity=capacity, heartbeat_at=now)
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_={"capacity": capacity, "heartbeat_at": now}
    )
    session.execute(statement)


def has_room(session: Session, *, node: str) -> bool:
    """Whether the node may start one more run; locks the node, so that two claims do not share a place."""
    row = session.get(Node, node, with_for_update=NO_KEY, populate_existing=True)
    if row is None:
        return False
    query = select(func.count()).where(
        AgentRun.node == node, AgentRun.closed_at.is_(None), AgentRun.status != RunStatus.QUEUED
    )
    return session.scalars(query).one() < row.capacity
