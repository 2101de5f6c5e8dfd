"""Watching all running pipelines at once: a live screen for people, a line for each change for logs."""

import time
from datetime import UTC, datetime

from cli import event_stream, keys, render, typed, watch_all_screen
from cli.event_stream import Until
from cli.report import question
from cli.styled import styled
from cli.watch_all_screen import Watched, draw
from egg_tasks.client import Client, Json
from models.errors import NotFound, Unavailable

ROUND_SECONDS = 1.0
PATH = "/overview/pipelines"


class Refreshes:
    """One look after the other at what runs, and at how those have ended that run no more."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.watched = Watched()
        self.away = ""
        """Why the server did not answer the last time; empty where it did."""
        self._has_seen = False

    def look(self) -> list[Json]:
        """Look once more; the pipelines that have ended since. A server that is away changes nothing.

        `Unavailable` when it is away at the first look.
        """
        try:
            page = self._client.get(PATH)
            ended = [found for name in self.watched.missing(page) if (found := self._end_of(name))]
        except Unavailable as error:
            if not self._has_seen:
                raise
            self.away = error.message
            return []
        self.away, self._has_seen = "", True
        self.watched = self.watched.after(page, ended, now=datetime.now(UTC))
        return ended

    def _end_of(self, name: str) -> Json | None:
        """A pipeline that has ended; None if it is only further down the list."""
        try:
            found: Json = self._client.get(f"/pipelines/{name}")["pipeline"]
        except NotFound:
            return {"id": name, "status": "deleted"}
        return found if found["status"] in event_stream.ENDED else None


def follow(client: Client, until: Until, *, output: str = "") -> int:
    """Show all that runs; the exit code of what ended it.

    On a terminal only the person ends it, or *until*; else it ends when nothing runs any more.
    """
    looks = Refreshes(client)
    over = _screen(looks, until) if render.is_screen() and not output else _lines(looks, until, bool(output))
    if output:
        render.write_json({"pipelines": looks.watched.running, "exit_code": over})
    return over


def _screen(looks: Refreshes, until: Until) -> int:
    from rich.console import Console, Group
    from rich.live import Live

    console = Console()
    # One that is away is no reason for a screen.
    looks.look()
    with keys.pressed() as wait, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            width, height = console.size
            away = [styled((f"the server is away: {looks.away}", "bold red"))] if looks.away else []
            for one in away:
                one.truncate(width, overflow="ellipsis")
            drawn = draw(looks.watched, width=width, height=height - len(away), now=datetime.now(UTC))
            live.update(Group(*away, drawn), refresh=True)
            if (code := _over(looks, until)) is not None:
                break
            if wait(ROUND_SECONDS) in keys.LEAVING:
                raise KeyboardInterrupt
            looks.look()
    _say_why(looks, code)
    return code


def _lines(looks: Refreshes, until: Until, is_aside: bool) -> int:
    """Print a line whenever a pipeline reads otherwise than before, and how each ends."""
    told: dict[str, str] = {}
    was_away = ""
    while True:
        for one in looks.look():
            _say_at(watch_all_screen.end(one), err=is_aside)
        if looks.away != was_away:
            was_away = looks.away
            render.say(f"the server is away: {was_away}" if was_away else "the server is back", err=True)
        for one in looks.watched.running:
            text = watch_all_screen.text(one)
            if told.get(one["id"]) != text:
                told[one["id"]] = text
                _say_at(text, err=is_aside)
        if (code := _over(looks, until)) is not None:
            _say_why(looks, code)
            return code
        if not looks.away and not looks.watched.total:
            if not told:
                render.say(typed.hint("no pipeline runs; begin one: egg run FILE, or egg demo"), err=True)
            return 0
        time.sleep(ROUND_SECONDS)


def _over(looks: Refreshes, until: Until) -> int | None:
    """The exit code of what ends the watching now; None while it goes on."""
    if until.for_person and any(one["questions"] for one in looks.watched.running):
        return event_stream.exit_codes["awaiting_human"]
    return None if until.seconds_left() else event_stream.TIMED_OUT


def _say_why(looks: Refreshes, code: int) -> None:
    """Say what the person is asked, or that the time is over."""
    if code == event_stream.TIMED_OUT:
        render.say(typed.hint("the time you gave is over; what runs goes on; see: egg status"), err=True)
    else:
        asked = [one["first_question"] for one in looks.watched.running if one["questions"]]
        for one in asked[:3]:
            render.say(question(one), err=True)
        if asked[3:]:
            render.say(typed.hint(f"and {len(asked) - 3} more: egg decision list"), err=True)


def _say_at(text: str, *, err: bool) -> None:
    render.say(f"{datetime.now().astimezone():%H:%M:%S} {text}", err=err)
