"""The whole installation in ten lines, as pure functions of what the server and the local stack say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from cli import formatting, typed
from cli.styled import Part, styled
from egg_tasks.client import Json
from models.answers import usual
from models.foreign import flat, one_line
from models.sizes import in_words
from models.states import PipelineStatus

LABEL = 11
SHOWN_FAILURES = 2
IN_ORDER = tuple(str(status) for status in PipelineStatus)


@dataclass(frozen=True)
class Stack:
    """The local stack, if commands talk to it."""

    home: str
    since: str | None
    """When it was started; None while none runs."""
    version: str
    processes: Sequence[Json]
    is_busy: bool = False
    """Whether it is starting or stopping just now."""
    agents_without: int = 0
    """How many agents run although it does not."""
    agents_unknown: str = ""
    """Of which agents nobody can say whether they do, and why."""

    @property
    def dead(self) -> Sequence[str]:
        """The processes that do not run though they are to."""
        return [str(each["name"]) for each in self.processes if each["pid"] is None]


@dataclass(frozen=True)
class Overview:
    """What one look at an installation found."""

    url: str
    now: datetime
    stack: Stack | None = None
    away: str | None = None
    """Why the server does not say how it is."""
    overview: Json | None = None

    @property
    def is_well(self) -> bool:
        """Whether the server answers and all of a local stack runs."""
        return self.overview is not None and not (self.stack and self.stack.dead)


def lines(seen: Overview, *, width: int | None = None) -> list[Text]:
    """How everything is, and what needs the person who asks; others' words are cut where *width* ends."""
    found = _server(seen)
    if seen.overview is None:
        return found
    told = seen.overview
    found += [_workers(seen, told), _agents(told), _pipelines(told)]
    found += _questions(told, now=seen.now, width=width)
    if told["halt"]:
        found.append(_line("halt", (formatting.halted(told["halt"]), "bold yellow")))
    return [
        *found,
        _disk(told["disk"]),
        *_held_up(told, width=width),
        *_failures(told, now=seen.now, width=width),
    ]


def _server(seen: Overview) -> list[Text]:
    """Whether there is a server, since when, and how to get one."""
    stack = seen.stack
    if stack is None:
        state: Part = (f"away: {flat(seen.away)}", "red") if seen.away else ("answers", "green")
        return [_line("server", f"{seen.url} ", state)]
    if stack.since is None:
        if stack.is_busy:
            return [_line("stack", ("starts or stops just now", "bold yellow"), f" in {stack.home}")]
        found = [_line("stack", ("down", "bold red"), f" in {stack.home}; start it: {typed.egg()} up")]
        if stack.agents_without:
            text = f"{stack.agents_without} still run without it; `{typed.egg()} up` picks them up"
            found.append(_line("agents", text))
        if stack.agents_unknown:
            label = "" if stack.agents_without else "agents"
            found.append(_line(label, (flat(stack.agents_unknown), "bold yellow")))
        return found
    took = age(stack.since, now=seen.now)
    told = f" since {formatting.moment(stack.since)} ({took}), egg {stack.version}, in {stack.home}"
    if seen.away:
        sign = ("up, but its server does not answer", "bold red")
        return [_line("stack", sign, told), _line("", flat(seen.away))]
    return [_line("stack", ("up", "green"), told)]


def _workers(seen: Overview, told: Json) -> Text:
    """Whether what decides and what hosts agents is at work."""
    late = told["late"]
    ticked = f"last sign of life {age(told['ticked_at'], now=seen.now)} ago" if told["ticked_at"] else ""
    if seen.stack and seen.stack.dead:
        dead = ", ".join(seen.stack.dead)
        verb = "does" if len(seen.stack.dead) == 1 else "do"
        return _line("workers", (f"{dead} {verb} not run", "bold red"), f"; see: {typed.egg()} logs {dead}")
    if late["number"]:
        since = age(late["since"], now=seen.now)
        what = "phase waits" if late["number"] == 1 else "phases wait"
        text = f"{late['number']} {what} for a worker, for {since}"
        return _line("workers", (text, "bold yellow"), f"; {ticked}" if ticked else "")
    if not ticked:
        return _line("workers", ("none has ever run", "bold yellow"))
    number = len(seen.stack.processes) if seen.stack else 0
    return _line("workers", f"all {number} processes run; " if number else "", ticked)


def _agents(told: Json) -> Text:
    """How many agents run, of how many there is room for, and how many wait."""
    nodes = [_node(node) for node in told["nodes"]]
    waiting = told["waiting_runs"]
    waits = f"; {waiting} wait{'s' if waiting == 1 else ''} for a place" if waiting else ""
    shown = ", ".join(nodes[:3]) + (f" and {len(nodes) - 3} more nodes" if nodes[3:] else "")
    return _line("agents", shown or "none has run yet", (waits, "yellow"))


def _node(node: Json) -> str:
    inside = node.get("contained", 0)
    contained = f", {inside} by {'a container' if inside == 1 else 'containers'}" if inside else ""
    return f"{node['taken']} of {node['places']} places taken on {node['name']}{contained}"


def _pipelines(told: Json) -> Text:
    """How many pipelines there are, by state."""
    counts = told["pipelines"]
    known = [status for status in IN_ORDER if counts.get(status)]
    if not known:
        return _line("pipelines", f"none yet; make one: {typed.egg()} run FILE, or {typed.egg()} demo")
    parts: list[Part] = []
    for status in known:
        parts += [", "] if parts else []
        parts.append((f"{counts[status]} {status}", formatting.style_of(status)))
    return _line("pipelines", *parts)


def _questions(told: Json, *, now: datetime, width: int | None) -> list[Text]:
    """What a person is asked: how much, the most urgent one, and what answers it."""
    asked = told["first_questions"]
    if not asked:
        return [_line("needs you", "nothing")]
    first, number = asked[0], told["questions"]
    more = f", and {number - 1} more: {typed.egg()} decision list" if number > 1 else ""
    what = f"decision {first['id']} of {first['pipeline_id']} ({waits_for(first)}{default(first, now=now)})"
    answer = usual(first["id"], options=first["options"], program=typed.egg())
    head = _line("needs you", (what, "bold yellow"), more)
    return [head, _cut(_line("", question(first)), width), _line("", "answer: ", answer)]


def _disk(disk: Json) -> Text:
    if disk["shortage"]:
        return _line("disk", (flat(disk["shortage"]), "bold red"))
    return _line("disk", f"{in_words(disk['free_bytes'])} free")


def _failures(told: Json, *, now: datetime, width: int | None) -> list[Text]:
    """What went wrong last."""
    found: list[Text] = []
    for one in told["failures"][:SHOWN_FAILURES]:
        name = one["pipeline"] if width is None else short(one["pipeline"])
        why = flat(one["text"]) if one["phase"] else f"the pipeline failed: {flat(one['text'])}"
        text = f"{age(one['at'], now=now)} ago {name}: {why}"
        found.append(_cut(_line("" if found else "failures", text), width))
    return found or [_line("failures", "none")]


def _held_up(told: Json, *, width: int | None) -> list[Text]:
    """What is tried in vain, and needs somebody who mends what is the matter."""
    found: list[Text] = []
    for one in told.get("held_up", ()):
        name = one["pipeline"] if width is None else short(one["pipeline"])
        line = _line("" if found else "held up", (f"{name}: {flat(one['text'])}", "bold yellow"))
        found.append(_cut(line, width))
    return found


def age(moment: str, *, now: datetime) -> str:
    """How long ago something was."""
    return formatting.duration(max(0.0, (now - datetime.fromisoformat(moment)).total_seconds()))


def short(name: str, *, most: int = 24) -> str:
    """A name that leaves room for the rest of its line, with a sign where it is cut."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def question(asked: Json) -> str:
    """The first line of a question; a sign where there are more."""
    first, _, rest = str(asked["question"]).strip().partition("\n")
    return f"{one_line(first.strip())} …" if rest else one_line(first)


def waits_for(asked: Json) -> str:
    """Who waits for the answer to a question."""
    if asked["pipeline_status"] == PipelineStatus.PAUSED:
        return "its pipeline is paused"
    if asked["holds"] == "pipeline":
        return "its pipeline waits"
    if asked["holds"] == "roles":
        return f"{', '.join(asked['roles'])} wait{'s' if len(asked['roles']) == 1 else ''}"
    return "nobody waits"


def default(asked: Json, *, now: datetime) -> str:
    """That a question answers itself, and when; nothing where it waits for ever."""
    if not asked.get("deadline") or not asked.get("default"):
        return ""
    left = (datetime.fromisoformat(asked["deadline"]) - now).total_seconds()
    return f"; {flat(asked['default'])} in {formatting.duration(max(0.0, left))}"


def _line(label: str, *parts: Part) -> Text:
    return styled((f"{label:<{LABEL}}", "dim"), *parts)


def _cut(line: Text, width: int | None) -> Text:
    """A line of others' words with a sign where it is cut; whole where nobody's screen is the bound."""
    if width is not None:
        line.truncate(width, overflow="ellipsis")
    return line
