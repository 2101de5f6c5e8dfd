"""egg logs: what the processes of the local stack write."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from cli import formatting, options, render, server, typed
from models.errors import NotFound, Rejected, Unavailable
from models.foreign import flat, one_line
from models.sizes import in_words

if TYPE_CHECKING:
    from egg_tasks.stack.log_ends import Log

USUAL_LINES, FEW_LINES = 40, 3
"""So many lines of each log, and so few where all are followed at once."""
ROUND_SECONDS = 0.3
BESIDE, LONGEST = 38, 200
"""So wide is what stands beside a last line on a terminal; so long is one elsewhere."""


@click.command()
@click.argument("processes", metavar="[PROCESS]...", nargs=-1)
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written; without PROCESS, by all.")
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(0, 1_000_000),
    help=f"Begin with so many lines of each (default: {USUAL_LINES}; {FEW_LINES} to follow all).",
)
@options.output
def logs(*, processes: tuple[str, ...], follow: bool, lines: int | None, output: str) -> None:
    """Show the logs of the local stack itself.

    Without PROCESS: which there are, how large, and their last lines. PROCESS is a name, or the beginning of
    some: worker is both workers. Of several each line begins with its process. What agents write is in
    `egg agent logs`.

    Example:  egg logs worker --follow
    """
    known = _known()
    if not processes and not follow and lines is None:
        _list(known, output)
        return
    if output:
        raise click.UsageError("--json lists which logs there are; what is in them is text: leave it out")
    chosen = [log for log in known if not processes or _is_meant(log.name, processes)]
    _refuse_unknown(known, processes)
    if follow and server.is_down():
        raise Unavailable(server.NO_STACK)
    usual = USUAL_LINES if processes or not follow else FEW_LINES
    _print(chosen, follow=follow, lines=usual if lines is None else lines)


def _known() -> "Sequence[Log]":
    """The logs of the local stack; a sentence where they are not here."""
    home = server.own_home()
    if home is None:
        raise Rejected(
            "these logs are files of a local stack, and commands talk to another server here: "
            f"its logs are on its machine, those of the stack in {server.home()} are in its directory `logs`"
        )
    from egg_tasks.stack import log_ends

    found = log_ends.listed(home / "logs")
    if not found:
        raise NotFound(f"no stack has ever run in {home}; start one: `egg up`")
    return found


def _is_meant(name: str, wanted: Sequence[str]) -> bool:
    return any(name.startswith(word) for word in wanted)


def _refuse_unknown(known: "Sequence[Log]", wanted: Sequence[str]) -> None:
    for word in wanted:
        if not any(log.name.startswith(word) for log in known):
            names = ", ".join(log.name for log in known)
            raise NotFound(f"no process of the stack is called {one_line(word)}; there are logs of: {names}")


def _list(known: "Sequence[Log]", output: str) -> None:
    now = datetime.now(UTC)
    rows = [{**asdict(log), "path": str(log.path), "written_at": log.written_at.isoformat()} for log in known]
    # What is long would make each row many lines; whole it is one command away.
    most = shutil.get_terminal_size().columns - BESIDE if render.is_terminal() else LONGEST
    columns: render.Columns = {
        "PROCESS": "name",
        "SIZE": lambda log: in_words(log["bytes"]),
        "WRITTEN": lambda log: _age(log["written_at"], now=now),
        "LAST LINE": lambda log: _cut(flat(log["last"]), most),
    }
    render.write_list({"logs": rows}, "logs", columns, output=output, nothing="there are no logs")
    if not render.wants_json(output):
        render.say(typed.hint("one of them: egg logs PROCESS; all as they grow: egg logs --follow"), err=True)


def _print(chosen: "Sequence[Log]", *, follow: bool, lines: int) -> None:
    from egg_tasks.stack import log_ends

    followers = [(log, log_ends.Follower(log.path)) for log in chosen]
    width = max(len(log.name) for log in chosen) if chosen[1:] else 0
    rests = {log.name: b"" for log in chosen}
    for log in chosen:
        rests[log.name] = _pass_on(log.name, log_ends.end(log.path, lines=lines), width)
    was_down = False
    while follow:
        time.sleep(ROUND_SECONDS)
        if server.is_down() != was_down:
            was_down = not was_down
            render.say("the stack is down; waiting for it" if was_down else "the stack is up again", err=True)
        for log, follower in followers:
            rests[log.name] = _pass_on(log.name, rests[log.name] + follower.read(), width)
    for name, rest in rests.items():
        if rest:
            _pass_on(name, rest + b"\n", width)


def _pass_on(name: str, said: bytes, width: int) -> bytes:
    """Print the whole lines of a process, each behind its name where there are several; the rest."""
    whole, line_break, rest = said.rpartition(b"\n")
    if line_break:
        text = whole.decode(errors="replace")
        if width:
            render.say(*(f"{name:<{width}} | {line}" for line in text.split("\n")))
        else:
            render.pass_on(f"{text}\n")
    return rest


def _age(at: str, *, now: datetime) -> str:
    return f"{formatting.duration(max(0.0, (now - datetime.fromisoformat(at)).total_seconds()))} ago"


def _cut(line: str, most: int) -> str:
    """A line short enough for a table, with a sign where it is cut."""
    return line if len(line) <= most else f"{line[: max(0, most - 1)]}…"
