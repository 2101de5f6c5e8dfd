"""All running pipelines on one screen, as pure functions of the server's answers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rich.console import Group
from rich.rule import Rule
from rich.text import Text

from cli import formatting, overview, typed
from cli.styled import Part, styled
from cli.watch_lines import SIGNS, sign
from egg_tasks.client import Json
from models.answers import usual
from models.foreign import flat
from models.states import PipelineStatus

FADES_AFTER = timedelta(seconds=30)
"""So long a pipeline that has ended stays on the screen."""
QUESTION_LINES = ("  ? ", "    ")
"""How the lines of a question begin: what is asked, and what answers it."""
FOOT = "q leaves; one of them: egg watch PIPELINE"
ASKED_FOOT = "q leaves; answers: egg decision get ID; one of them: egg watch PIPELINE"


@dataclass(frozen=True)
class EndedPipeline:
    """A pipeline that has ended while it was watched."""

    pipeline: Json
    seen_at: datetime


@dataclass(frozen=True)
class Watched:
    """What is on the screen: what runs, and what has ended since it was looked at first."""

    running: Sequence[Json] = ()
    total: int = 0
    halt: Json | None = None
    ended: Sequence[EndedPipeline] = field(default=())

    def after(self, page: Json, ended: Sequence[Json], *, now: datetime) -> "Watched":
        """The next screen: what the server answers now, and the pipelines that have just ended."""
        there = {one["id"] for one in page["pipelines"]}
        kept = [one for one in self.ended if now - one.seen_at < FADES_AFTER]
        kept += [EndedPipeline(one, now) for one in ended]
        return replace(
            self,
            running=page["pipelines"],
            total=page["total"],
            halt=page["halt"],
            ended=[one for one in kept if one.pipeline["id"] not in there],
        )

    def missing(self, page: Json) -> list[str]:
        """Those that were on the last page and are not on this one, though it holds all there are."""
        there = {one["id"] for one in page["pipelines"]}
        return [one["id"] for one in self.running if one["id"] not in there]


def draw(watched: Watched, *, width: int, height: int, now: datetime) -> Group:
    """The whole screen, *height* lines at most: what needs a person first, and how many more there are."""
    lines = [_head(watched)]
    if watched.halt:
        lines.append(styled((formatting.halted(watched.halt), "bold yellow")))
    lines.append(Rule(style="dim"))
    ended = [_end(one, now=now) for one in watched.ended][-max(0, height // 4) :]
    room = max(0, height - len(lines) - len(ended) - 1)
    is_whole = watched.total <= min(room, len(watched.running))
    shown = watched.running[: room if is_whole else max(0, room - 1)]
    spare = room - len(shown) - (0 if is_whole else 1)
    widest = min(max(16, width // 3), max([0, *(len(one["id"]) for one in shown)]))
    for one in shown:
        # Those that come first have their question in full, as long as there is a line for each.
        is_told = bool(one.get("first_question")) and spare >= len(QUESTION_LINES)
        spare -= len(QUESTION_LINES) if is_told else 0
        name = f"{overview.short(one['id'], most=widest):<{widest}}"
        lines += _block(one, name, width=width, now=now, is_told=is_told)
    foot = ASKED_FOOT if any(one["questions"] for one in shown) else FOOT
    if left := watched.total - len(shown):
        lines.append(styled(f"… and {left} more: {typed.egg()} why", style="bold"))
    lines += [*ended, styled(typed.hint(foot), style="dim")]
    return Group(*(_cut(one, width) for one in lines[:height]))


def text(one: Json) -> str:
    """A pipeline in one line, for a log: it is told anew when it reads otherwise."""
    asked = one.get("first_question")
    why = overview.question(asked) if asked else flat(one["why"])
    number = f"decision {asked['id']}: " if asked else ""
    return f"{standing(one)}: {number}{why}"


def standing(one: Json) -> str:
    """Where a pipeline stands, as `egg why` says it."""
    return f"{one['id']} is {one['status']}, phase {_phase(one)}"


def end(pipeline: Json) -> str:
    """How a pipeline has ended, in one line."""
    why = f": {flat(pipeline['why'])}" if pipeline.get("why") else ""
    return f"{pipeline['id']} is {pipeline['status']}{why}"


def _head(watched: Watched) -> Text | Rule:
    if not watched.total:
        nothing = f"no pipeline runs; begin one: {typed.egg()} run FILE"
        return styled((nothing, "bold"))
    asking = sum(1 for one in watched.running if one["questions"])
    needs = f", {asking} need{'s' if asking == 1 else ''} you" if asking else ""
    plural = "" if watched.total == 1 else "s"
    return styled((f"{watched.total} pipeline{plural}", "bold"), (needs, "bold yellow"))


def _block(one: Json, name: str, *, width: int, now: datetime, is_told: bool) -> list[Text | Rule]:
    """A pipeline: how it stands on one line; and, if *is_told*, what it asks and what answers that."""
    asked, status = one.get("first_question"), one["status"]
    took = overview.age(one["started_at"], now=now) if one.get("started_at") else ""
    head: list[Part] = [
        (f"{sign(status)} ", formatting.style_of(status)),
        (f"{name}  ", "bold"),
        f"{_phase(one)} ",
        (f"{took} ", "dim"),
        *_roles(one["roles"]),
    ]
    if asked is None:
        last = one.get("last_event")
        happened = _happened(last) if last else flat(one["why"])
        paused = f"{status} " if status == PipelineStatus.PAUSED else ""
        return [styled(*head, (paused, "bold"), (f" {happened}", "dim"))]
    if not is_told:
        return [styled(*head, (f" decision {asked['id']}: {overview.question(asked)}", "bold yellow"))]
    more = f" (and {one['questions'] - 1} more)" if one["questions"] > 1 else ""
    waits = f" {overview.waits_for(asked)}{overview.default(asked, now=now)}{more}"
    answer = usual(asked["id"], options=asked["options"], program=typed.egg())
    if len(answer) > width - 4:
        # A command that is cut would be pasted as it is: a short one leads to it.
        answer = f"{typed.egg()} decision get {asked['id']}"
    ask, how = QUESTION_LINES
    return [
        styled(*head, (waits, "bold yellow")),
        styled((f"{ask}{overview.question(asked)}", "bold yellow")),
        styled(f"{how}{answer}"),
    ]


def _happened(event: Json) -> str:
    """What happened last, and to whom, if it does not begin with that."""
    text, role = flat(event["text"]), event["role"] or ""
    return text if text.startswith(role) else f"{role} {text}"


def _roles(roles: Sequence[Json]) -> list[Part]:
    """How many roles are doing how, by the signs and colours of the words for that."""
    said = [formatting.condition(role) for role in roles]
    counts = Counter((sign(word), formatting.style_of(word)) for word in said)
    order = list(dict.fromkeys((sign(word), formatting.style_of(word)) for word in (*SIGNS, *said)))
    return [(f"{shown}{counts[shown, style]} ", style) for shown, style in order if counts[shown, style]]


def _end(one: EndedPipeline, *, now: datetime) -> Text:
    gone = overview.age(one.seen_at.isoformat(), now=now)
    status = one.pipeline["status"]
    return styled(
        (f"{sign(status)} ", formatting.style_of(status)), (f"{end(one.pipeline)}  {gone} ago", "dim")
    )


def _phase(one: Json) -> str:
    return formatting.phase_name(one["phase"], one["iteration"])


def _cut(one: Text | Rule, width: int) -> Text | Rule:
    if isinstance(one, Text):
        one.truncate(width, overflow="ellipsis")
        one.no_wrap = True
    return one
