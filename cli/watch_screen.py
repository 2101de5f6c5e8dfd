"""The live screen: what one look at a pipeline shows, as pure functions of the server's answers."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, Group
from rich.rule import Rule
from rich.text import Text

from cli import formatting, typed
from cli import watch_lines as line
from cli.event_stream import ENDED
from cli.render import is_terminal
from cli.report import ANSWER
from cli.styled import styled
from egg_tasks.client import Json
from models.foreign import counted, flat

STANDING = frozenset({"open", "answered"})
SHOWN_OBJECTIONS = 4
QUESTION_LINES = 3
QUESTION_WIDTH = 100
ASKED = "? "
"""What each line of a question begins with, so that none passes for one that answers it."""


@dataclass(frozen=True)
class Moment:
    """What the server answered at one moment."""

    pipeline: Json
    status: Json
    phases: Sequence[Json] = ()
    events: Sequence[Json] = ()


def draw(look: Moment, *, width: int, height: int, now: datetime) -> Group:
    """The whole screen, exactly *height* lines at most, the most needful first."""
    top = head(look, now=now)
    top += _section("a person is asked", decisions(look.status, width=width))
    top += roles(look, now=now)
    top += _section("objections", objections(look.phases))
    left = max(0, height - len(top) - 2)
    said = [event for event in look.events if event["type"] == "message.sent"]
    happened = [event for event in look.events if event["type"] != "message.sent"]
    talk_lines = min(len(said), left // 2)
    event_lines = max(0, left - talk_lines)
    whole = [
        *top,
        *_section("messages", [line.talk(event) for event in _last(said, talk_lines)]),
        *_section("events", [line.happening(event) for event in _last(happened, event_lines)]),
    ]
    return Group(*(_cut(one, width) for one in whole[:height]))


def head(look: Moment, *, now: datetime) -> list[Text | Rule]:
    """Which pipeline, how it stands, since when; its phases; what it waits for."""
    status = look.status["status"]
    messages = look.status.get("messages_total")
    talk = "" if messages is None else f"  {counted(messages, 'message')}"
    turn = formatting.iteration(look.status.get("iterations_used"), look.status.get("max_iterations"))
    lineage = formatting.lineage(look.status)
    first = styled(
        (look.status["id"], "bold"),
        "  ",
        (f"{line.sign(status)} {status}", formatting.style_of(status)),
        ("  " + elapsed(look.pipeline, now=now), "dim"),
        (talk, "dim"),
        (f"  {turn}" if turn else "", "dim"),
        (f"  {lineage}" if lineage else "", "dim"),
    )
    gates = styled(" → ").join(_gate(name, look) for name in _phase_names(look)) + line.check(look.phases)
    waits = formatting.waits(look.status.get("why"), look.status.get("pending_decisions") or [])
    why = styled(("why: ", "dim"), typed.hint(waits, others=look.status))
    return [first, gates, why] if look.status.get("why") else [first, gates]


def roles(look: Moment, *, now: datetime) -> list[Text | Rule]:
    """One line a role: what it says of itself, and how its agent is doing and how far it is."""
    concurrent = look.status.get("concurrent") or {}
    states: Mapping[str, Json] = (concurrent.get("consensus") or {}).get("agents") or {}
    rounds = {role["role"]: role for role in (look.phases[-1].get("roles") or [])} if look.phases else {}
    runs = {agent["role"]: agent for agent in concurrent.get("agents") or []}
    widest = max([4, *(len(role) for role in states)])
    width = max([9, *(len(formatting.condition(state)) for state in states.values())])
    title = f"{'ROLE':<{widest}}  {'STATE':<{width + 2}}  {'VER':<5} {'ROUND':>5}  {'AGENT':<12} REASON"
    rows: list[Text | Rule] = [Rule(style="dim"), styled(title, style="dim")]
    for role, state in states.items():
        run = runs.get(role, {})
        said = {**state, "reason": line.reason(state, run, now=now)}
        rows.append(line.role(f"{role:<{widest}}", said, rounds.get(role, {}), run, width=width))
    return rows if states else []


def objections(phases: Sequence[Json]) -> list[Text | Rule]:
    """The objections of the latest phase run: those that stand, then the latest of the others."""
    found = phases[-1].get("objections") or [] if phases else []
    in_order = sorted(found, key=lambda one: (one["status"] not in STANDING, -one["number"]))
    lines: list[Text | Rule] = [line.objection(one) for one in in_order[:SHOWN_OBJECTIONS]]
    if len(found) > SHOWN_OBJECTIONS:
        lines.append(styled(f"and {len(found) - SHOWN_OBJECTIONS} more", style="dim"))
    return lines


def decisions(status: Json, *, width: int) -> list[Text | Rule]:
    """What a person is asked, and how to answer."""
    lines: list[Text | Rule] = []
    for asked in status.get("pending_decisions") or []:
        question = textwrap.wrap(flat(asked["question"]), width - len(ASKED))[:QUESTION_LINES]
        lines.extend(styled(ASKED + part, style="bold yellow") for part in question)
        lines.extend(line.wrote(asked.get("failures") or []))
        lines.append(styled(ANSWER, style="dim"))
        for answer in formatting.answers(asked):
            # Cut, it could not be typed.
            lines.extend(map(styled, textwrap.wrap(f"  {answer}", width, subsequent_indent="    ")))
        lines.extend(styled(f"  {part}", style="dim") for part in formatting.after_a_mend(asked))
    return lines


def standing(status: Json) -> Group:
    """What `egg pipeline status` shows: no phases, no clock, no events."""
    look = Moment(pipeline={}, status=status)
    now = datetime.now().astimezone()
    lines = [*head(look, now=now)]
    if status.get("stop_reason") and status["status"] not in ENDED:
        lines.append(styled(("ended by: ", "dim"), status["stop_reason"]))
    lines += roles(look, now=now)
    width = min(QUESTION_WIDTH, Console().width) if is_terminal() else QUESTION_WIDTH
    return Group(*lines, *results(status), *decisions(status, width=width))


def results(status: Json) -> list[Text | Rule]:
    """The results that stand in the current phase run, with their figures."""
    return _section("results", [line.result(one) for one in status.get("results") or []])


def elapsed(pipeline: Json, *, now: datetime) -> str:
    """How long the pipeline has taken so far, or took."""
    if not pipeline.get("started_at"):
        return ""
    end = datetime.fromisoformat(pipeline["ended_at"]) if pipeline.get("ended_at") else now
    return formatting.duration((end - datetime.fromisoformat(pipeline["started_at"])).total_seconds())


def _phase_names(look: Moment) -> list[str]:
    """Every phase of the pipeline in order; those to come from its definition."""
    planned = [phase["name"] for phase in (look.pipeline.get("definition") or {}).get("phases") or []]
    ran = [phase["phase"] for phase in look.phases]
    current = [look.status["current_phase"]] if look.status.get("current_phase") else []
    return list(dict.fromkeys([*planned, *ran, *current]))


def _gate(name: str, look: Moment) -> Text:
    """One phase as it stands in its latest run, or in the status before there is one."""
    ran = [phase for phase in look.phases if phase["phase"] == name]
    if ran:
        return line.gate(name, ran[-1]["status"], ran[-1]["iteration"])
    if name == look.status.get("current_phase"):
        return line.gate(name, look.status.get("phase_status") or "", look.status.get("iteration"))
    return line.gate(name, None, None)


def _section(title: str, lines: Iterable[Text | Rule]) -> list[Text | Rule]:
    """Lines under a title; nothing where there are none."""
    found = list(lines)
    return [Rule(styled(title, style="dim"), align="left", style="dim"), *found] if found else []


def _last(items: Sequence[Json], count: int) -> Sequence[Json]:
    return items[-count:] if count > 0 else ()


def _cut(one: Text | Rule, width: int) -> Text | Rule:
    """A line that is never longer than the screen."""
    if isinstance(one, Text):
        one.truncate(width, overflow="ellipsis")
        one.no_wrap = True
    return one
