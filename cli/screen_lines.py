"""One thing on one line of the live screen: a role, an objection, a message, an event, a phase."""

from collections.abc import Mapping, Sequence

from rich.text import Text

from cli import words
from cli.styled import styled
from egg_tasks.client import Json
from models.foreign import flat

SIGNS: Mapping[str, str] = {
    "WORKING": "●",
    "READY": "✓",
    "BLOCKED": "‖",
    "OBJECTING": "✗",
    "complete": "✓",
    "failed": "✗",
    "cancelled": "✗",
    "awaiting_human": "?",
}


def sign(state: str) -> str:
    """The sign of a state."""
    return SIGNS.get(state, "●")


def role(name: str, state: Json, standing: Json, run: Json, used: str) -> Text:
    """One line of the table of roles; a version that is not up to date carries a mark."""
    version = f"v{state['version']}" if state.get("version") else "-"
    stale = "" if state.get("current", True) or not state.get("version") else "*"
    return styled(
        (f"{name}  ", "bold"),
        (f"{sign(state['state'])} {state['state']:<9}  ", words.style_of(state["state"])),
        (f"{version + stale:<5} ", "yellow" if stale else ""),
        f"{standing.get('rounds') or '-':>5}  ",
        (f"{run.get('status') or '-':<10} ", words.style_of(run.get("status"))),
        used,
        flat(state.get("reason")),
    )


def tokens(used: object) -> str:
    """Tokens, short; nothing for none."""
    total = used.get("total_tokens") if isinstance(used, dict) else used
    if not isinstance(total, int) or not total:
        return ""
    return f"{total / 1000:.1f}k" if total >= 1000 else str(total)  # noqa: PLR2004  a thousand


def objection(one: Json) -> Text:
    """One objection on a line."""
    return styled(
        f"#{one['number']} {one['from_role']} → {one['about_role']} v{one['version']}  ",
        (one["status"], words.style_of(one["status"])),
        f"  {flat(one.get('reason'))}",
    )


def result(one: Json) -> Text:
    """One role's result on a line."""
    fields = one["fields"]
    return styled(
        (f"{one['role']}  ", "bold"),
        f"{fields.get('status')}  ",
        words.figures(fields) or flat(fields.get("summary")),
    )


def talk(event: Json) -> Text:
    """One message on a line."""
    sent = event.get("data") or {}
    if "from_role" not in sent:
        return styled((words.clock(event["timestamp"]), "dim"), f" {flat(event.get('text'))}")
    return styled(
        (words.clock(event["timestamp"]), "dim"),
        (f" {sent['from_role']} → {sent.get('to_role', 'all')} ", "bold"),
        (f"{sent.get('message_type', '')} ", "cyan"),
        flat(sent.get("subject") or event.get("text")),
    )


def happening(event: Json) -> Text:
    """One event on a line."""
    return styled(
        (words.clock(event["timestamp"]), "dim"),
        f" {event['type']:<20} ",
        (f"{event.get('role') or '':<12} ", "bold"),
        flat(event.get("text")),
    )


def gate(name: str, status: str | None, iteration: object) -> Text:
    """One phase with its sign; a phase to come, which has no status, is dim."""
    if status is None:
        return styled(f"○ {name}", style="dim")
    shown = words.phase_name(name, iteration)
    return styled(f"{sign(status)} {shown}", style=words.style_of(status))


def check(phases: Sequence[Json]) -> Text:
    """How the latest check of the latest phase run went."""
    checks = phases[-1].get("checks") or [] if phases else []
    if not checks:
        return styled()
    return styled(("   check ", "dim"), (checks[-1]["status"], words.style_of(checks[-1]["status"])))
