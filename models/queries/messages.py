"""Messages of a pipeline's bus."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session, aliased, defer

from models.schemas.message import TO_ALL
from models.tables import Message, PhaseRun, Role


@dataclass(frozen=True)
class MessagesFound:
    """The oldest messages that were asked for, and whether there are more behind them."""

    messages: Sequence[Message]
    has_more: bool


@dataclass(frozen=True)
class Talk:
    """Which messages of a conversation are wanted: all that fits everything that is given."""

    role: str | None = None
    """From it or to it."""
    sender: str | None = None
    recipient: str | None = None
    types: Sequence[str] = ()


@dataclass(frozen=True)
class Backlog:
    """Messages behind a cursor: how many, and the first and the last of them."""

    number: int
    first: int
    last: int


@dataclass(frozen=True)
class MessagesWaiting:
    """How many messages wait for a role."""

    unread: int = 0
    unhandled: int = 0


def has_message(session: Session, *, pipeline_id: str, message_id: int) -> bool:
    """Whether the pipeline has a message of this number."""
    return session.get(Message, (pipeline_id, message_id)) is not None


def list_messages(
    session: Session,
    *,
    pipeline_id: str,
    role: str | None,
    after: int,
    limit: int,
    most_bytes: int,
    phase_run_id: UUID | None = None,
    types: Sequence[str] = (),
    include_own: bool = False,
) -> MessagesFound:
    """The oldest *limit* messages above *after* that are for *role* or for all; of everybody when None.

    They have *most_bytes* together, or a single one more. One index range is read for each of the two
    recipients, whatever the number of stored messages; what is longer than it may be is not even read.
    """
    wanted = _Wanted(
        by_role=role is not None,
        by_phase_run=phase_run_id is not None,
        by_types=bool(types),
        without_own=role is not None and not include_own,
    )
    given = {
        "pipeline_id": pipeline_id,
        "role": role,
        "after": after,
        "limit": limit,
        "one_more": limit + 1,
        "most_bytes": most_bytes,
        "phase_run_id": phase_run_id,
        "types": [str(each) for each in types],
    }
    return _found(session, _listing(wanted), given)


def _found(session: Session, query: Select[Message, int], given: Mapping[str, object]) -> MessagesFound:
    rows = session.execute(query, given).all()
    return MessagesFound(
        [message for message, _ in rows], has_more=any(found > len(rows) for _, found in rows[:1])
    )


def _within_bytes(limited: Select[Message]) -> Select[Message, int]:
    """Of a query's messages the first `limit` that `most_bytes` hold, each with how many there were."""
    row = aliased(Message, limited.subquery())
    # The length of a text is known without reading it; of JSON there are 16 KiB at most.
    size = func.octet_length(row.subject) + func.octet_length(row.body)
    size += func.octet_length(cast(row.metadata_, Text))
    before = (func.sum(size).over(order_by=row.id) - size).label("before")
    sized = select(row, before, func.count().over().label("found")).subquery()
    message = aliased(Message, sized)
    query = select(message, sized.c.found).where(sized.c.before < bindparam("most_bytes", type_=BigInteger))
    return query.order_by(message.id).limit(bindparam("limit", type_=Integer))


@dataclass(frozen=True)
class _Wanted:
    by_role: bool
    by_phase_run: bool
    by_types: bool
    without_own: bool


@cache
def _listing(wanted: _Wanted) -> Select[Message, int]:
    """The query of `list_messages`; to build it takes longer than to run it."""
    own = bindparam("role", type_=Text)
    pipeline_id, limit = bindparam("pipeline_id", type_=Text), bindparam("one_more", type_=Integer)
    ranges = []
    for recipient in (own, TO_ALL) if wanted.by_role else (None,):
        query = select(Message.id).where(
            Message.pipeline_id == pipeline_id, Message.id > bindparam("after", type_=BigInteger)
        )
        if recipient is not None:
            query = query.where(Message.to_role == recipient)
        if wanted.without_own:
            query = query.where(Message.from_role != own)
        if wanted.by_phase_run:
            # Before the first phase run a person may speak already; that is for whoever comes first.
            is_of_it = Message.phase_run_id == bindparam("phase_run_id", type_=Uuid)
            query = query.where(or_(is_of_it, Message.phase_run_id.is_(None)))
        if wanted.by_types:
            query = query.where(Message.message_type.in_(bindparam("types", expanding=True)))
        ranges.append(query.order_by(Message.id).limit(limit).subquery().select())
    ids = union_all(*ranges).subquery()
    is_found = Message.id.in_(select(ids.c.id))
    query_all = select(Message).where(Message.pipeline_id == pipeline_id, is_found)
    return _within_bytes(query_all.order_by(Message.id).limit(limit))


def list_for_any(
    session: Session,
    *,
    pipeline_id: str,
    recipients: Collection[str],
    after: int,
    limit: int,
    most_bytes: int,
) -> MessagesFound:
    """The oldest *limit* messages above *after* that are for any of these recipients, in *most_bytes*."""
    given = {
        "pipeline_id": pipeline_id,
        "recipients": list(recipients),
        "after": after,
        "limit": limit,
        "one_more": limit + 1,
        "most_bytes": most_bytes,
    }
    return _found(session, _for_any(), given)


@cache
def _for_any() -> Select[Message, int]:
    query = select(Message).where(
        Message.pipeline_id == bindparam("pipeline_id", type_=Text),
        Message.id > bindparam("after", type_=BigInteger),
        Message.to_role == any_(bindparam("recipients", type_=ARRAY(Text))),
    )
    return _within_bytes(query.order_by(Message.id).limit(bindparam("one_more", type_=Integer)))


def list_history(
    session: Session, *, pipeline_id: str, after: int, up_to: int, limit: int, most_bytes: int, of: Talk
) -> MessagesFound:
    """The oldest *limit* messages above *after*, up to *up_to*, whoever they are for.

    One index range is read, of as many rows at most as there are numbers in it. They have *most_bytes*
    together, or a single one more.
    """
    query = select(Message).where(Message.pipeline_id == pipeline_id, Message.id > after, Message.id <= up_to)
    if of.role is not None:
        query = query.where(or_(Message.from_role == of.role, Message.to_role == of.role))
    if of.sender is not None:
        query = query.where(Message.from_role == of.sender)
    if of.recipient is not None:
        query = query.where(Message.to_role == of.recipient)
    if of.types:
        query = query.where(Message.message_type.in_([str(each) for each in of.types]))
    found = _within_bytes(query.order_by(Message.id).limit(bindparam("one_more", type_=Integer)))
    return _found(session, found, {"limit": limit, "one_more": limit + 1, "most_bytes": most_bytes})


def count_left(
    session: Session, *, pipeline_id: str, phase_run_id: UUID, role: str, after: int, limit: int
) -> Backlog:
    """How many messages of others above *after* are for *role* or for all; *limit* are counted at most."""
    query = select(Message.id).where(
        Message.pipeline_id == pipeline_id,
        Message.to_role.in_([role, TO_ALL]),
        Message.from_role != role,
        Message.id > after,
        or_(Message.phase_run_id == phase_run_id, Message.phase_run_id.is_(None)),
    )
    ids = query.order_by(Message.id).limit(limit).subquery()
    found = session.execute(select(func.count(), func.min(ids.c.id), func.max(ids.c.id))).one()
    number, first, last = found
    return Backlog(number, first or after, last or after)


def find_last_sent_at(session: Session, *, phase_run_id: UUID, role: str) -> datetime | None:
    """When a role last sent a message in a phase run; None when it never did.

    Reads the phase run's part of the pipeline's messages backwards, so it is for few and rare questions.
    """
    query = (
        select(Message.created_at)
        .join(PhaseRun, PhaseRun.pipeline_id == Message.pipeline_id)
        .where(PhaseRun.id == phase_run_id, Message.phase_run_id == phase_run_id, Message.from_role == role)
    )
    return session.scalars(query.order_by(Message.id.desc()).limit(1)).one_or_none()


def list_addressed(
    session: Session, *, pipeline_id: str, phase_run_id: UUID, role: str, after: int, limit: int
) -> Sequence[Message]:
    """The oldest *limit* messages above *after* that others sent to *role* alone in a phase run.

    Who and what about, without their bodies: there may be a thousand of them.
    """
    query = select(Message).where(
        Message.pipeline_id == pipeline_id,
        Message.to_role == role,
        Message.from_role != role,
        Message.id > after,
        or_(Message.phase_run_id == phase_run_id, Message.phase_run_id.is_(None)),
    )
    unread = (defer(Message.body, raiseload=True), defer(Message.metadata_, raiseload=True))
    return session.scalars(query.options(*unread).order_by(Message.id).limit(limit)).all()


def count_waiting(session: Session, *, pipeline_id: str, phase_run_id: UUID) -> Mapping[str, MessagesWaiting]:
    """By role of a phase run, how much is for it that it has not received, or not handled."""
    is_unread = Message.id > Role.cursor
    query = (
        select(Role.role, func.count().filter(is_unread), func.count())
        .join(Message, Message.to_role.in_([Role.role, TO_ALL]))
        .where(
            Role.phase_run_id == phase_run_id,
            Message.pipeline_id == pipeline_id,
            Message.from_role != Role.role,
            Message.id > Role.handled_message,
            or_(Message.phase_run_id == phase_run_id, Message.phase_run_id.is_(None)),
        )
        .group_by(Role.role)
    )
    return {role: MessagesWaiting(unread, unhandled) for role, unread, unhandled in session.execute(query)}


def count_by_sender(session: Session, *, pipeline_id: str) -> Mapping[str, int]:
    """How many messages each sender has sent in the pipeline."""
    query = select(Message.from_role, func.count()).where(Message.pipeline_id == pipeline_id)
    return dict(session.execute(query.group_by(Message.from_role)).all())


def count_by_type(session: Session, *, pipeline_id: str) -> Mapping[str, int]:
    """How many messages of each type the pipeline has."""
    query = select(Message.message_type, func.count()).where(Message.pipeline_id == pipeline_id)
    return dict(session.execute(query.group_by(Message.message_type)).all())
