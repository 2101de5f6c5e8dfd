"""Following a pipeline: its events as they come, until it ends or a person is asked."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cli import formatting
from egg_tasks.client import Client, Json
from models.consensus.step import ABORT, DecisionKind
from models.foreign import Shown, flat, page
from models.states import PipelineStatus

exit_codes: Mapping[str, int] = {
    PipelineStatus.COMPLETE: 0,
    PipelineStatus.FAILED: 1,
    PipelineStatus.AWAITING_HUMAN: 3,
    PipelineStatus.CANCELLED: 5,
}
TIMED_OUT = 4
PARTIAL = 6
"""A pipeline that is complete and still lacks something that was asked of it."""
ENDED = frozenset({PipelineStatus.COMPLETE, PipelineStatus.FAILED, PipelineStatus.CANCELLED})

WAIT_SECONDS = 20
SHORTEST_ROUND_SECONDS = 0.5


@dataclass(frozen=True)
class Until:
    """How long a pipeline is followed."""

    for_person: bool = False
    """Whether a question to a person ends it."""
    at: float = math.inf
    """The moment, as `time.monotonic` counts, at which it ends whatever happens."""

    def is_met(self, status: str) -> bool:
        """Whether there is nothing more to follow."""
        return status in ENDED or (self.for_person and status == PipelineStatus.AWAITING_HUMAN)

    def seconds_left(self) -> float:
        """How long there is still time."""
        return max(0.0, self.at - time.monotonic())


def pipelines(client: Client) -> Iterator[Json]:
    """Every pipeline there is, newest first, page by page."""
    after: object = None
    while True:
        page = client.get("/pipelines", {"after": after})
        yield from page["pipelines"]
        after = page.get("next_after")
        if after is None:
            return


def stored(client: Client, pipeline: str, *, after: int) -> Iterator[Json]:
    """Every event there is after number *after*, page by page."""
    while True:
        page = client.get(f"/pipelines/{pipeline}/events", {"after": after})
        yield from page["events"]
        if not page.get("has_more"):
            return
        after = page["next_after"]


def coming(
    client: Client,
    pipeline: str,
    *,
    after: int,
    until: Until = Until(),
    quiet: Callable[[Json], object] = lambda _: None,
) -> Iterator[Json]:
    """Every event after number *after* as it comes, until the pipeline has ended or *until* says so.

    When a person is asked, or nothing comes for a while, *quiet* is told where the pipeline stands, once
    for each thing it waits for.
    """
    told, known = "", set[int]()
    while True:
        asked_at = time.monotonic()
        found = client.get(f"/pipelines/{pipeline}/status")
        status = found["status"]
        # The status is read before the events: what led to it is in the page that follows.
        over = until.is_met(status) or not until.seconds_left()
        asked = _asked(found)
        is_new, known = not asked <= known, known | asked
        wait = 0 if over or is_new else math.ceil(min(WAIT_SECONDS, until.seconds_left()))
        page = client.get(f"/pipelines/{pipeline}/events", {"after": after, "wait": wait})
        yield from page["events"]
        after = page["next_after"] if page["events"] else after
        if over and not page.get("has_more"):
            return
        if is_new and page["events"]:
            # What has happened since may have answered it.
            found = client.get(f"/pipelines/{pipeline}/status")
        if is_new and asked & _asked(found):
            told = found["why"]
            quiet(found)
        elif not page["events"]:
            if found["why"] != told:
                told = found["why"]
                quiet(found)
            time.sleep(max(0.0, SHORTEST_ROUND_SECONDS - (time.monotonic() - asked_at)))


def _asked(status: Json) -> set[int]:
    """The questions that wait."""
    return {one["id"] for one in status.get("pending_decisions") or []}


def exit_code(client: Client, pipeline: str, status: str) -> int:
    """What the pipeline's end, or its wait for a person, stands for."""
    if status == PipelineStatus.COMPLETE and client.get(f"/pipelines/{pipeline}")["pipeline"].get("why"):
        return PARTIAL
    if status == PipelineStatus.FAILED and _ended_at_a_deadline(client, pipeline):
        return TIMED_OUT
    return exit_codes.get(status, exit_codes[PipelineStatus.AWAITING_HUMAN])


def _ended_at_a_deadline(client: Client, pipeline: str) -> bool:
    """Whether its last phase was aborted because it had not come to its end in its time."""
    asked = client.get(f"/pipelines/{pipeline}/decisions")["decisions"]
    last = max(asked, key=lambda decision: int(decision["id"]), default=None)
    return last is not None and (last["kind"], last["resolution"]) == (DecisionKind.DEADLINE, ABORT)


def line(event: Json) -> Shown:
    """One event on one line: time, number, type, where, what."""
    phase = formatting.phase_name(event.get("phase"), event.get("iteration"))
    where = f"{phase} {event.get('role') or ''}".strip()
    text = flat(event.get("text"))
    at = formatting.clock(event["timestamp"])
    return page([f"{at} {event['id']:>4} {event['type']:<20} {where:<20} {text}".rstrip()])
