"""What must hold when all is written and read, checked against the rows themselves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg

from benchmarks.readers import END, Read, Violation
from benchmarks.service_writers import ABORTED
from benchmarks.writers import Written


@dataclass(frozen=True)
class Row:
    """A message as it is stored."""

    id: int
    from_role: str
    to_role: str
    subject: str
    client_key: str | None


def check(database_url: str, written: Sequence[Written], read: Sequence[Read]) -> int:
    """Check every pipeline the writers wrote to, and how many messages there are; raises `Violation`."""
    total = 0
    with psycopg.connect(database_url) as connection:
        for pipeline_id in sorted({each.seat.pipeline_id for each in written}):
            rows = _rows(connection, pipeline_id)
            _check_numbers(connection, pipeline_id, rows)
            _check_written(
                pipeline_id, rows, [each for each in written if each.seat.pipeline_id == pipeline_id]
            )
            for each in read:
                if each.reader.seat.pipeline_id == pipeline_id:
                    _check_read(rows, each)
            total += len(rows)
    return total


def _rows(connection: psycopg.Connection, pipeline_id: str) -> list[Row]:
    columns = "id, from_role, to_role, subject, client_key"
    query = f"SELECT {columns} FROM egg.messages WHERE pipeline_id = %s ORDER BY id"  # noqa: S608 - our own names
    return [Row(*row) for row in connection.execute(query, [pipeline_id])]


def _check_numbers(connection: psycopg.Connection, pipeline_id: str, rows: Sequence[Row]) -> None:
    """Messages are 1…n, events are 1…n, and the stream's counters say the same."""
    query = "SELECT last_message_id, last_event_id FROM egg.message_streams WHERE pipeline_id = %s"
    counters = connection.execute(query, [pipeline_id]).fetchone()
    query = "SELECT id FROM egg.events WHERE pipeline_id = %s ORDER BY id"
    events = [int(row[0]) for row in connection.execute(query, [pipeline_id])]
    _same(f"{pipeline_id}: the ids of its messages", [row.id for row in rows], range(1, len(rows) + 1))
    _same(f"{pipeline_id}: the numbers of its events", events, range(1, len(events) + 1))
    _same(f"{pipeline_id}: its counters", list(counters or ()), [len(rows), len(events)])


def _check_written(pipeline_id: str, rows: Sequence[Row], written: Sequence[Written]) -> None:
    """Each acknowledged message is there once, under the id that was acknowledged, and nothing else is."""
    told = sorted((number, each.seat.role, key) for each in written for key, number in each.ids.items())
    stored = [(row.id, row.from_role, row.subject) for row in rows if row.subject != END]
    _same(f"{pipeline_id}: what was acknowledged and what is stored", told, stored)
    if any(row.subject == ABORTED for row in rows):
        raise Violation(f"{pipeline_id}: a message of an aborted transaction is stored")


def _check_read(rows: Sequence[Row], read: Read) -> None:
    """The reader saw exactly the messages for it, once, in order."""
    role = read.reader.seat.role
    wanted = [row for row in rows if row.to_role in {role, "all"} and row.from_role != role]
    seen = list(zip(read.ids, read.subjects, strict=True))
    _same(f"{read.reader.seat.pipeline_id}: what {role} saw", seen, [(row.id, row.subject) for row in wanted])


def _same(what: str, found: Iterable[object], wanted: Iterable[object]) -> None:
    found, wanted = list(found), list(wanted)
    if found == wanted:
        return
    pairs = zip(found, wanted, strict=False)
    at = next(
        (place for place, (one, other) in enumerate(pairs) if one != other), min(len(found), len(wanted))
    )
    raise Violation(
        f"{what}: {len(found)} instead of {len(wanted)}; the first difference is at place {at}: "
        f"{found[at : at + 3]} instead of {wanted[at : at + 3]}"
    )
