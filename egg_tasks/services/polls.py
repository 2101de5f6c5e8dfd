"""Polls: what a role has not read yet, and how far it is.

A role has one cursor, kept by the server. It moves over what its agent is given and never back, but for a
run that dies: what that run was given is given again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services import bus, credentials
from models.errors import Conflict
from models.queries import messages, phase_runs, streams
from models.schemas.message import Message, MessageType
from models.tables import Role

LEAP = 1000
"""A cursor passes over so many messages that are not for its role at once, to spare a write for each."""


@dataclass(frozen=True)
class Selection:
    """Which messages a poll asks for."""

    since: int | None = None
    limit: int = 100
    types: Sequence[MessageType] = ()
    is_whole_pipeline: bool = False
    include_own: bool = False
    poll_key: str | None = None
    """One for each poll, the same when it is tried again: an answer that was lost is given once more."""


@dataclass(frozen=True)
class Page:
    """What a poll found, and where the next one goes on."""

    messages: Sequence[Message]
    next_since_id: int
    has_more: bool
    tip: int
    """The newest message there is for anybody."""


def look(
    session: Session, *, pipeline_id: str, role: str, phase_run_id: UUID | None, selection: Selection
) -> Page:
    """Read the oldest messages for *role* after `since` (or from the first on); nothing is written.

    `Conflict` when there is no such message yet.
    """
    tip, after = streams.last_message_id(session, pipeline_id=pipeline_id), selection.since or 0
    if after > tip:
        raise Conflict(f"there is no message {after} yet; the newest is {tip}", {"tip": tip})
    found = messages.list_messages(
        session,
        pipeline_id=pipeline_id,
        role=role,
        after=after,
        limit=selection.limit + 1,
        phase_run_id=None if selection.is_whole_pipeline else phase_run_id,
        types=selection.types,
        include_own=selection.include_own,
    )
    page = tuple(bus.read(message) for message in found[: selection.limit])
    return Page(page, page[-1].id if page else after, len(found) > selection.limit, tip)


def receive(session: Session, *, run_id: UUID, selection: Selection, now: datetime) -> Page:
    """Read as the agent of a run; its role's cursor moves over what it is given.

    Without `since`, reading begins at the cursor, or where the role's last poll began if `poll_key` is that
    one's. With `since` the cursor moves only where that leaves nothing out, with `types` never. `Conflict`
    when the run is over. A poll that finds nothing locks and writes nothing.
    """
    run = credentials.check(session, run_id=run_id, now=now)
    assert run.role is not None, "a check has no token"  # noqa: S101
    row = phase_runs.get_role(session, phase_run_id=run.phase_run_id, role=run.role)
    page = _look_from(session, run.pipeline_id, row, selection)
    if not page.messages and page.tip - page.next_since_id <= LEAP:
        return page
    credentials.hold(session, run_id=run_id, now=now)
    row = phase_runs.lock_role(session, phase_run_id=run.phase_run_id, role=run.role)
    after = _start(row, selection)
    page = _look_from(session, run.pipeline_id, row, selection)
    if not selection.types:
        if page.messages and selection.since is None:
            row.poll_key, row.poll_began = selection.poll_key, after
        is_far_behind = not page.has_more and page.tip - page.next_since_id > LEAP
        _move(row, after, page.tip if is_far_behind else page.next_since_id)
    return page


def _look_from(session: Session, pipeline_id: str, row: Role, selection: Selection) -> Page:
    return look(
        session,
        pipeline_id=pipeline_id,
        role=row.role,
        phase_run_id=row.phase_run_id,
        selection=replace(selection, since=_start(row, selection)),
    )


def _start(row: Role, selection: Selection) -> int:
    if selection.since is not None:
        return selection.since
    is_repeated = selection.poll_key is not None and selection.poll_key == row.poll_key
    return row.poll_began if is_repeated else row.cursor


def _move(row: Role, after: int, end: int) -> None:
    """Move the cursor to *end* if nothing between was left out; never back."""
    if after <= row.cursor < end:
        row.cursor = end
