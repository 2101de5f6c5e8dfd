"""Polls: what a role has not read yet, and how far it is.

A role has one cursor, kept by the server. It moves over what its agent is given and never back, but for a
run that dies: what that run was given is given again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy.orm import Session

from egg_tasks.services import credentials
from egg_tasks.services.bus import messages
from models.errors import Conflict
from models.queries import messages as message_rows
from models.queries import readers, streams
from models.queries.readers import CursorMove, Reader
from models.schemas.message import TO_ALL, MessageRead, MessageType
from models.tables import Message

TRIES = 5
SHARED = 500
"""So many messages are read at most for all who wait together; behind that everybody reads alone."""
PAGE_BYTES = 1024 * 1024
"""So much a page holds, or a single message more: what is asked for and told is finite, however many wait."""
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
class PollPage:
    """What a poll found, and where the next one goes on."""

    messages: Sequence[MessageRead]
    next_since_id: int
    has_more: bool
    tip: int
    """The newest message there is for anybody."""


@dataclass(frozen=True)
class Received:
    """What an agent is given, and the reader it was when its cursor was read."""

    page: PollPage
    reader: Reader


@dataclass(frozen=True)
class WaitingPoll:
    """An agent that has read all there was for it up to *tip*, and waits for more."""

    reader: Reader
    selection: Selection
    tip: int


def look(
    session: Session, *, pipeline_id: str, role: str, phase_run_id: UUID | None, selection: Selection
) -> PollPage:
    """Read the oldest messages for *role* after `since` (or from the first on); nothing is written.

    `Conflict` when there is no such message yet.
    """
    tip = streams.last_message_id(session, pipeline_id=pipeline_id)
    return _look_up_to(
        session, tip=tip, pipeline_id=pipeline_id, role=role, phase_run_id=phase_run_id, selection=selection
    )


def receive(session: Session, *, run_id: UUID, selection: Selection) -> Received:
    """Read as the agent of a run; its role's cursor moves over what it is given.

    Without `since`, reading begins at the cursor, or where the role's last poll began if `poll_key` is that
    one's. With `since` the cursor moves only where that leaves nothing out, with `types` never. `Conflict`
    when the run is over. A poll that finds nothing locks and writes nothing.
    """
    for _ in range(TRIES):
        reader = _reader(session, run_id)
        page = _look_from(session, reader, selection)
        if not page.messages and reader.tip - page.next_since_id <= LEAP:
            return Received(page, reader)
        step = _step(reader, selection, page)
        if readers.advance_cursors(session, steps=[step], skip_locked=False):
            return Received(page, reader)
    raise Conflict("other polls of this role read at the same moment, again and again; poll once at a time")


def find_for(session: Session, *, waiting: Sequence[WaitingPoll]) -> Sequence[Message] | None:
    """What is new for any of these runs of one pipeline, in one read; None when that is too much for one."""
    found = message_rows.list_for_any(
        session,
        pipeline_id=waiting[0].reader.pipeline_id,
        recipients={TO_ALL, *(each.reader.role for each in waiting)},
        after=min(each.tip for each in waiting),
        limit=SHARED,
        most_bytes=PAGE_BYTES,
    )
    return None if found.has_more else found.messages


def is_news(each: WaitingPoll, row: Message) -> bool:
    """Whether a message is for one that waits, as `list_messages` would say."""
    reader, selection = each.reader, each.selection
    return (
        row.id > each.tip
        and row.to_role in {reader.role, TO_ALL}
        and (selection.include_own or row.from_role != reader.role)
        and (selection.is_whole_pipeline or row.phase_run_id in {None, reader.phase_run_id})
        and (not selection.types or row.message_type in selection.types)
    )


def deliver(
    session: Session, *, waiting: Sequence[WaitingPoll], found: Sequence[Message]
) -> Mapping[UUID, Received]:
    """Give many runs of one pipeline what there is for them in *found*, and move their cursors in one write.

    *found* holds all that came for any of them since the tip it knows. Who is not in the answer is to read
    by itself: its run is over, or its cursor is elsewhere by now. An empty page says that there is nothing
    for it up to the tip it names.
    """
    readable = [(row, messages.read(row)) for row in found]
    pages = {each.reader.run_id: _shared_page(each, readable) for each in waiting}
    steps = [
        _step(each.reader, each.selection, pages[each.reader.run_id])
        for each in waiting
        if pages[each.reader.run_id].messages
    ]
    given = readers.advance_cursors(session, steps=steps, skip_locked=True) if steps else frozenset()
    idle = [run_id for run_id, page in pages.items() if not page.messages]
    if idle:
        given |= readers.list_live(session, run_ids=idle)
    return {
        each.reader.run_id: Received(pages[each.reader.run_id], each.reader)
        for each in waiting
        if each.reader.run_id in given
    }


def _shared_page(each: WaitingPoll, found: Sequence[tuple[Message, MessageRead]]) -> PollPage:
    """What `look` would find for one of many, taken from what was read for all."""
    selection = each.selection
    own = [message for row, message in found if is_news(each, row)]
    page = tuple(own[: selection.limit])
    tip = max([each.tip, *(row.id for row, _ in found[-1:])])
    after = _start(each.reader, selection)
    return PollPage(page, page[-1].id if page else after, len(own) > selection.limit, tip)


def _reader(session: Session, run_id: UUID) -> Reader:
    reader = readers.find_reader(session, run_id=run_id)
    if reader is None or not reader.is_live:
        credentials.check(session, run_id=run_id)
    assert reader is not None, "a check has no token"  # noqa: S101
    return reader


def _look_from(session: Session, reader: Reader, selection: Selection) -> PollPage:
    return _look_up_to(
        session,
        tip=reader.tip,
        pipeline_id=reader.pipeline_id,
        role=reader.role,
        phase_run_id=reader.phase_run_id,
        selection=replace(selection, since=_start(reader, selection)),
    )


def _start(reader: Reader, selection: Selection) -> int:
    if selection.since is not None:
        return selection.since
    is_repeated = selection.poll_key is not None and selection.poll_key == reader.poll_key
    return reader.poll_began if is_repeated else reader.cursor


def _step(reader: Reader, selection: Selection, page: PollPage) -> CursorMove:
    """Where the cursor goes: to the page's end if nothing between was left out; never back."""
    if selection.types:
        return CursorMove(reader.run_id, reader.cursor, reader.cursor)
    after = _start(reader, selection)
    is_far_behind = not page.has_more and page.tip - page.next_since_id > LEAP
    end = page.tip if is_far_behind else page.next_since_id
    to = end if after <= reader.cursor < end else reader.cursor
    if page.messages and selection.since is None:
        return CursorMove(reader.run_id, reader.cursor, to, selection.poll_key, after)
    return CursorMove(reader.run_id, reader.cursor, to)


def _look_up_to(
    session: Session,
    *,
    tip: int,
    pipeline_id: str,
    role: str,
    phase_run_id: UUID | None,
    selection: Selection,
) -> PollPage:
    after = selection.since or 0
    if after > tip:
        raise Conflict(f"there is no message {after} yet; the newest is {tip}", {"tip": tip})
    found = message_rows.list_messages(
        session,
        pipeline_id=pipeline_id,
        role=role,
        after=after,
        limit=selection.limit,
        most_bytes=PAGE_BYTES,
        phase_run_id=None if selection.is_whole_pipeline else phase_run_id,
        types=selection.types,
        include_own=selection.include_own,
    )
    page = tuple(messages.read(message) for message in found.messages)
    return PollPage(page, page[-1].id if page else after, found.has_more, tip)
