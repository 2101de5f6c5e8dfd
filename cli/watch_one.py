"""Watching a pipeline until it ends: a live screen for people, lines for logs, a report for both."""

import math
import time
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from cli import event_stream, formatting, keys, render, report, typed
from cli.event_stream import Until
from cli.styled import styled
from cli.watch_screen import Moment, draw
from egg_tasks.client import Client, Json
from models.errors import EggError, Unavailable
from models.states import PipelineStatus

if TYPE_CHECKING:  # agents never see a screen
    from rich.text import Text

ROUND_SECONDS = 0.5
KEPT_EVENTS = 300
LEFT: Mapping[str, str] = {
    PipelineStatus.RUNNING: "{} goes on without you",
    PipelineStatus.AWAITING_HUMAN: "{0} waits for your answer (egg why {0})",
    PipelineStatus.PAUSED: "{0} is paused until you say: egg pipeline resume {0}",
    PipelineStatus.PENDING: "{0} is not started: egg pipeline start {0}",
}
"""What becomes of a pipeline that is not watched any more, by its status; of others, how they are."""


def follow(
    client: Client,
    name: str,
    *,
    stop_for_person: bool = False,
    timeout: float | None = None,
    output: str = "",
) -> int:
    """Show *name* until it has ended, and report; the exit code its end stands for.

    With *stop_for_person* it also ends when a person is asked, and in any case after *timeout* seconds: then,
    and after Ctrl-C, the pipeline goes on. With JSON as *output* the report is one document, and all else
    is told on stderr.
    """
    show = partial(_lines, err=True) if output else _screen if render.is_screen() else _lines
    at = math.inf if timeout is None else time.monotonic() + timeout
    until = Until(for_person=stop_for_person, at=at)
    try:
        status = show(client, name, until)
    except KeyboardInterrupt:
        said = f"{left(client, name)}; come back with: egg watch {name}"
        render.say("", typed.hint(said), err=True)
        raise
    code = _told(client, name, status, until, is_reported=not output)
    if output:
        render.write_json({**report.document(client, name), "exit_code": code})
    return code


def left(client: Client, name: str) -> str:
    """How a pipeline is that nobody watches any more."""
    client = copy(client)
    client.patience, client.once_seen = 0, None
    try:
        status = client.get(f"/pipelines/{name}/status")["status"]
    except EggError:
        return f"{name} is as it was"
    return LEFT.get(status, "{} is {}").format(name, status)


def _told(client: Client, name: str, status: Json, until: Until, *, is_reported: bool) -> int:
    """Tell how the following ended; its exit code."""
    if status["status"] in event_stream.ENDED and is_reported:
        render.say(report.of(client, name))
    for asked in status.get("pending_decisions") or []:
        render.say(report.question(asked), err=True)
    if until.for_person and status["status"] == PipelineStatus.AWAITING_HUMAN:
        render.say(typed.hint(f"{name} waits for your answer; then see it go on: egg watch {name}"), err=True)
    if not until.is_met(status["status"]) and not until.seconds_left():
        how = LEFT.get(status["status"], "{} is {}").format(name, status["status"])
        render.say(typed.hint(f"the time you gave is over: {how}; see: egg watch {name}"), err=True)
        return event_stream.TIMED_OUT
    # What a person was asked may have been answered in between.
    return event_stream.exit_code(client, name, status["status"])


def _lines(client: Client, name: str, until: Until, *, err: bool = False) -> Json:
    """Print each event as it comes, and what is waited for when none does; the status at the end."""
    told: set[int] = set()

    def hear_away(why: str) -> None:
        said = f"the server is away ({why}); trying again" if why else "the server is back"
        render.say(said, err=True)

    client.hear_away = hear_away

    def quiet(status: Json) -> None:
        asked = status.get("pending_decisions") or []
        render.say(
            f"{name} waits: {typed.hint(formatting.waits(status['why'], asked), others=status)}", err=True
        )
        for one in asked:
            if one["id"] not in told:
                told.add(one["id"])
                render.say(report.question(one), err=True)

    for event in event_stream.coming(client, name, after=0, until=until, quiet=quiet):
        render.say(event_stream.line(event), err=err)
    return client.get(f"/pipelines/{name}/status")


def _screen(client: Client, name: str, until: Until) -> Json:
    """Keep one screen up to date; the status at the end."""
    from rich.console import Console, Group
    from rich.live import Live

    console = Console()
    look, away = refreshed(client, name, Moment(pipeline={}, status={})), ""
    # Who watches sees that it is away, and may leave.
    client = copy(client)
    client.patience, client.once_seen = 0, None
    with keys.pressed() as wait, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            width, height = console.size
            foot = _foot(away, width)
            shown = draw(look, width=width, height=height - 1, now=datetime.now(UTC))
            live.update(Group(shown, foot), refresh=True)
            if (not away and until.is_met(look.status["status"])) or not until.seconds_left():
                return look.status
            if wait(ROUND_SECONDS) in keys.LEAVING:
                raise KeyboardInterrupt
            try:
                look, away = refreshed(client, name, look), ""
            except Unavailable as error:
                away = (
                    away
                    or f"the server is away since {datetime.now().astimezone():%H:%M:%S}: {error.message}"
                )


def _foot(away: str, width: int) -> "Text":
    """The last line of the screen: that the server is away, and how to leave."""
    foot = styled(
        (f"{away}; trying again  ", "bold red") if away else "", ("q leaves, and changes nothing", "dim")
    )
    foot.truncate(width, overflow="ellipsis")
    return foot


def refreshed(client: Client, name: str, look: Moment) -> Moment:
    """The next look: phases are asked for again only if something has happened."""
    last = look.events[-1]["id"] if look.events else 0
    status = client.get(f"/pipelines/{name}/status")
    new = list(event_stream.stored(client, name, after=last))
    if not new and look.status:
        return replace(look, status=status)
    return Moment(
        pipeline=client.get(f"/pipelines/{name}")["pipeline"],
        status=status,
        phases=client.get(f"/pipelines/{name}/phases")["phases"],
        events=[*look.events, *new][-KEPT_EVENTS:],
    )
