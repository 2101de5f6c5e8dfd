"""One thing on one line of the live screen: a role, an objection, a message, an event, a phase."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.text import Text

from cli import formatting, typed
from cli.styled import styled
from egg_tasks.client import Json
from models.foreign import flat
from models.states import RunStatus

SIGNS: Mapping[str, str] = {
    "WORKING": "●",
    "READY": "✓",
    "BLOCKED": "‖",
    "OBJECTING": "≠",
    "complete": "✓",
    "starting": "○",
    "not started": "○",
    "to retry": "↻",
    "failed": "✗",
    "cannot start": "✗",
    "no verdict": "✗",
    "timed out": "✗",
    "stopped": "✗",
    "lost": "✗",
    "left out": "-",
    "cancelled": "✗",
    "awaiting_human": "?",
}
SHOWN_LINES = 5
"""So many lines of what failed runs wrote are shown for one question."""


def sign(state: str) -> str:
    """The sign of a state."""
    return SIGNS.get(state, "●")


def role(name: str, state: Json, standing: Json, run: Json, *, width: int) -> Text:
    """One line of the table of roles, its word *width* wide; a version that is not up to date is marked."""
    word = formatting.condition(state)
    version = f"v{state['version']}" if state.get("version") else "-"
    stale = "" if state.get("current", True) or not state.get("version") else "*"
    return styled(
        (f"{name}  ", "bold"),
        (f"{sign(word)} {word:<{width}}  ", formatting.style_of(word)),
        (f"{version + stale:<5} ", "yellow" if stale else ""),
        f"{standing.get('rounds') or '-':>5}  ",
        (f"{formatting.condition(run) or '-':<12} ", formatting.style_of(formatting.condition(run))),
        flat(state.get("reason")),
    )


def reason(state: Json, run: Json, *, now: datetime) -> str:
    """Why a role says what it says; or how far its agent is, if it has said that since."""
    said = run.get("progress")
    if not said or run.get("status") != RunStatus.RUNNING or _is_before(said["at"], state.get("updated_at")):
        return flat(formatting.reason(state))
    age = formatting.duration(max(0.0, (now - datetime.fromisoformat(said["at"])).total_seconds()))
    percent = "" if said.get("percent") is None else f"{said['percent']}% "
    return f"{percent}{age} ago: {flat(said.get('text')) or 'at work'}"


def _is_before(moment: str, other: str | None) -> bool:
    return other is not None and datetime.fromisoformat(moment) < datetime.fromisoformat(other)


def wrote(failed: Sequence[Json]) -> list[Text]:
    """The last lines of what failed runs wrote, a few of each, and the command that shows the rest."""
    shown = SHOWN_LINES // len(failed) if failed else 0
    return [
        styled(part, style="dim")
        for one in failed
        for part in (
            *(f"  {one.get('role') or 'check'}│ {text}" for text in one["log_tail"][-max(1, shown) :]),
            f"  all it wrote: {typed.hint(one['logs'])}"
            if one["log_tail"]
            else f"  {one.get('role') or 'check'} wrote nothing",
        )
    ]


def objection(one: Json) -> Text:
    """One objection on a line."""
    return styled(
        f"#{one['number']} {one['from_role']} → {one['about_role']} v{one['version']}  ",
        (one["status"], formatting.style_of(one["status"])),
        f"  {flat(one.get('reason'))}",
    )


def result(one: Json) -> Text:
    """One role's result on a line."""
    fields = one["fields"]
    return styled(
        (f"{one['role']}  ", "bold"),
        f"{fields.get('status')}  ",
        formatting.figures(fields) or flat(fields.get("summary")),
    )


def talk(event: Json) -> Text:
    """One message on a line."""
    sent = event.get("data") or {}
    if "from_role" not in sent:
        return styled((formatting.clock(event["timestamp"]), "dim"), f" {flat(event.get('text'))}")
    return styled(
        (formatting.clock(event["timestamp"]), "dim"),
        (f" {sent['from_role']} → {sent.get('to_role', 'all')} ", "bold"),
        (f"{sent.get('message_type', '')} ", "cyan"),
        flat(sent.get("subject") or event.get("text")),
    )


def happening(event: Json) -> Text:
    """One event on a line."""
    return styled(
        (formatting.clock(event["timestamp"]), "dim"),
        f" {event['type']:<20} ",
        (f"{event.get('role') or '':<12} ", "bold"),
        flat(event.get("text")),
    )


def gate(name: str, status: str | None, iteration: object) -> Text:
    """One phase with its sign; a phase to come, which has no status, is dim."""
    if status is None:
        return styled(f"○ {name}", style="dim")
    shown = formatting.phase_name(name, iteration)
    return styled(f"{sign(status)} {shown}", style=formatting.style_of(status))


def check(phases: Sequence[Json]) -> Text:
    """How the latest check of the latest phase run went."""
    checks = phases[-1].get("checks") or [] if phases else []
    if not checks:
        return styled()
    return styled(("   check ", "dim"), (checks[-1]["status"], formatting.style_of(checks[-1]["status"])))
