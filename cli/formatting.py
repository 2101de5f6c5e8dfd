"""How single values read: states with their colours, times, answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli import typed
from models.answers import RETRY_IS, command, mends
from models.foreign import flat

STYLES: Mapping[str, str] = {
    "complete": "green",
    "succeeded": "green",
    "READY": "green",
    "merged": "green",
    "green": "green",
    "withdrawn": "green",
    "running": "cyan",
    "WORKING": "cyan",
    "starting": "cyan",
    "closing": "cyan",
    "answered": "cyan",
    "awaiting_human": "bold yellow",
    "BLOCKED": "yellow",
    "OBJECTING": "magenta",
    "open": "magenta",
    "failed": "bold red",
    "cannot start": "bold red",
    "no verdict": "bold red",
    "timed out": "bold red",
    "to retry": "yellow",
    "stopping": "yellow",
    "stopped": "bold red",
    "not started": "dim",
    "left out": "dim",
    "timed_out": "bold red",
    "lost": "bold red",
    "red": "red",
    "conflicted": "red",
    "cancelled": "dim",
    "pending": "dim",
    "queued": "dim",
}


def text_of(value: object) -> str:
    """A value in words."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {text_of(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(text_of(part) for part in value)
    return str(value)


def asker(asked: Mapping[str, Any]) -> str:
    """Who asks a person, if it is not the system itself."""
    by = asked.get("asked_by")
    return f", asked by {by}" if by and by != "orchestrator" else ""


def lineage(pipeline: Mapping[str, Any]) -> str:
    """Which pipeline this one repeats; nothing where it repeats none."""
    if not pipeline.get("rerun_of"):
        return ""
    return f"rerun of {pipeline['rerun_of']}{', now deleted' if pipeline.get('is_rerun_of_deleted') else ''}"


def answer(asked: Mapping[str, Any]) -> str:
    """The answer a question got, or those it may get."""
    if asked["status"] != "pending":
        return text_of(asked.get("resolution"))
    default = f"default {asked['default']}" if asked.get("default") else ""
    if default and asked.get("deadline"):
        default += f", taken at {moment(asked['deadline'])}"
    free = ["your own words"] if asked.get("is_free") else []
    return "; ".join(filter(None, (" / ".join([*(asked.get("options") or []), *free]), default)))


def waits(why: object, asked: Sequence[Mapping[str, Any]]) -> str:
    """What is waited for, without the words of questions that are shown beside it."""
    text = flat(why)
    for one in asked:
        text = text.replace(f"decision {one['id']}: {flat(one['question'])}", f"decision {one['id']}")
    return text


def answers(asked: Mapping[str, Any]) -> list[str]:
    """The commands that answer a question, one a line."""
    lines = []
    for option in asked.get("options") or []:
        deadline = f", taken at {moment(asked['deadline'])}" if asked.get("deadline") else ""
        mark = f"   (default{deadline})" if option == asked.get("default") else ""
        lines.append(f"{command(asked['id'], option, program=typed.egg())}{mark}")
    if asked.get("is_free"):
        lines.append(f"{command(asked['id'], '…', program=typed.egg())}   (your own words)")
    return lines


def condition(state: Mapping[str, Any]) -> str:
    """How a role or a run is doing, in a word; of a server that does not say, what it said last of itself."""
    return str(state.get("condition") or state.get("state") or state.get("status") or "")


SAID_BY_THE_WORD = frozenset({"is WORKING", "is about to start", "has not started"})
"""Reasons that say nothing beside the word for a role."""


def reason(state: Mapping[str, Any]) -> str:
    """What to say of a role beside that word: its own reason for its verdict, else why it is not done."""
    is_own = condition(state) == state["state"]
    own, why = text_of(state.get("reason")), text_of(state.get("why"))
    if is_own and (own or state["state"] == "WORKING"):
        return own
    return "" if why in SAID_BY_THE_WORD else why


def after_a_mend(asked: Mapping[str, Any]) -> list[str]:
    """What Retry does not do, and the commands that do, one a line; nothing where Retry is no answer."""
    if not asked.get("note"):
        return []
    ways = mends(str(asked["pipeline_id"]))
    width = max(len(command) for command, _ in ways)
    return [RETRY_IS, *(typed.hint(f"  {command:<{width}}   {does}") for command, does in ways)]


def style_of(word: object) -> str:
    """The colour of a state, the same everywhere; none for other words."""
    return STYLES.get(str(word), "")


def duration(seconds: float) -> str:
    """A stretch of time, short: 7s, 2m05s, 1h03m, 4d07h."""
    whole = int(seconds)
    if whole < 60:  # noqa: PLR2004  seconds of a minute
        return f"{whole}s"
    if whole < 3600:  # noqa: PLR2004  seconds of an hour
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 48 * 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def span(start: object, end: object) -> str:
    """How long something has taken so far, or took, by its ISO timestamps; nothing if it has not begun."""
    from datetime import UTC, datetime

    if not start:
        return ""
    until = datetime.fromisoformat(str(end)) if end else datetime.now(UTC)
    return duration(max(0.0, (until - datetime.fromisoformat(str(start))).total_seconds()))


def phase_name(phase: object, iteration: object) -> str:
    """A phase run as people say it: implement, or implement #2 when it is repeated."""
    if not phase:
        return ""
    return f"{phase} #{iteration}" if isinstance(iteration, int) and iteration > 1 else str(phase)


def moment(timestamp: object) -> str:
    """The local day and time of an ISO timestamp, short; nothing for none."""
    from datetime import datetime

    return datetime.fromisoformat(str(timestamp)).astimezone().strftime("%Y-%m-%d %H:%M") if timestamp else ""


def when(timestamp: object) -> str:
    """The local time of a moment of today, the day of any other, short; nothing for none."""
    from datetime import datetime

    if not timestamp:
        return ""
    at = datetime.fromisoformat(str(timestamp)).astimezone()
    return f"{at:%H:%M:%S}" if at.date() == datetime.now().astimezone().date() else f"{at:%Y-%m-%d}"


def clock(timestamp: object) -> str:
    """The local time of day of an ISO timestamp."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(str(timestamp)).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return "--:--:--"


FIGURES = (
    "test_pass_rate",
    "coverage",
    "critical_issues",
    "requirements_count",
    "task_count",
    "tasks_completed",
    "tests_passing",
    "ready_for_production",
)
COUNTED = ("issues", "blockers", "failed_tests")


def figures(fields: Mapping[str, object]) -> str:
    """The figures of a result in one line; a list counts as its length."""
    told = [f"{name} {_figure(fields[name])}" for name in FIGURES if fields.get(name) is not None]
    lists = ((name, fields.get(name)) for name in COUNTED)
    told += [f"{name} {len(items)}" for name, items in lists if isinstance(items, list) and items]
    return ", ".join(told)


def _figure(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def iteration(used: object, most: object) -> str:
    """Which iteration of how many; nothing where a phase is not repeated."""
    return f"iteration {used} of {most}" if isinstance(most, int) else ""


def halted(halt: Mapping[str, object]) -> str:
    """That all is stopped, since when, why, and the way out."""
    reason = f" ({halt['why']})" if halt.get("why") else ""
    return (
        f"all is stopped since {moment(halt['ordered_at'])}{reason}; lift it: {typed.egg()} stop-all --lift"
    )
