"""The words a shell completes: names the server knows, asked for in well under a second, or none at all."""

import io
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from enum import StrEnum
from typing import TYPE_CHECKING

import click

from cli import server
from egg_tasks.client import Client, Json
from models.foreign import flat

if TYPE_CHECKING:  # agents must start fast
    from click.shell_completion import CompletionItem

SECONDS = 0.8
"""A shell that hangs at a Tab is worse than one that knows nothing."""
MOST = 100
LONGEST_HELP = 60


class LateError(Exception):
    """It takes too long; no OSError, after which a client would try again."""


Named = Iterable[tuple[str, str]]
"""Words, each with what is said of it."""
Completion = Callable[[click.Context, click.Parameter, str], "list[CompletionItem[str]]"]


def of(*words: str) -> Completion:
    """Words that are always the same."""

    def complete(
        _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem[str]]":
        return _items(((word, "") for word in words), incomplete)

    return complete


def states(kind: type[StrEnum]) -> Completion:
    """The states of a kind of thing."""
    return of(*(str(state) for state in kind))


def asked(find: Callable[[Client, click.Context], Named]) -> Completion:
    """Words that *find* asks a server for; none where it is away, slow or refuses."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
        # A message would stand in the middle of what is being typed.
        with suppress(Exception), redirect_stderr(io.StringIO()), _at_most(SECONDS):
            return _items(find(server.anyone(), ctx), incomplete)
        return []

    return complete


@asked
def pipelines(client: Client, _ctx: click.Context) -> Named:
    """The newest pipelines."""
    found = client.get("/pipelines", {"limit": MOST})["pipelines"]
    return [(each["id"], each["status"]) for each in found]


@asked
def phases(client: Client, ctx: click.Context) -> Named:
    """The phases of the pipeline that was typed before."""
    return [(phase["name"], "") for phase in _definition(client, ctx)["phases"]]


@asked
def roles(client: Client, ctx: click.Context) -> Named:
    """The roles of the pipeline that was typed before."""
    return [(role, "") for role in _roles(client, ctx)]


@asked
def recipients(client: Client, ctx: click.Context) -> Named:
    """Whom a message may go to."""
    return [(name, "") for name in (*_roles(client, ctx), "all", "human", "orchestrator")]


@asked
def runs(client: Client, ctx: click.Context) -> Named:
    """The agent runs of the pipeline that was typed before: roles, which mean their latest, then ids."""
    agents = client.get(f"/pipelines/{_pipeline(ctx)}/agents")["agents"][::-1]
    latest = {str(agent["role"] or "check"): agent["status"] for agent in reversed(agents)}
    ids = {
        str(agent["run"])[:8]: f"{agent['role'] or 'check'} {agent['number']} {agent['status']}"
        for agent in agents[:MOST]
    }
    return [*latest.items(), *ids.items()]


@asked
def decisions(client: Client, _ctx: click.Context) -> Named:
    """The questions that wait for a person, in any pipeline."""
    found = client.get("/decisions", {"status": "pending", "limit": MOST})["decisions"]
    return [(str(each["id"]), f"{each['pipeline_id']}: {each['question']}") for each in found]


@asked
def answers(client: Client, ctx: click.Context) -> Named:
    """The answers to the question that was typed before: the first word of each, or its number."""
    options = client.get(f"/decisions/{ctx.params['number']}")["decision"]["options"]
    words = [flat(option).partition(" ")[0] for option in options]
    is_plain = all(word.isalnum() for word in words) and len({word.casefold() for word in words}) == len(
        words
    )
    return [
        (word if is_plain else str(number), flat(option))
        for number, (word, option) in enumerate(zip(words, options, strict=True), 1)
    ]


def _roles(client: Client, ctx: click.Context) -> Iterable[str]:
    phases = _definition(client, ctx)["phases"]
    return dict.fromkeys(str(role["role"]) for phase in phases for role in phase["roles"])


def _definition(client: Client, ctx: click.Context) -> Json:
    found: Json = client.get(f"/pipelines/{_pipeline(ctx)}")["pipeline"]["definition"]
    return found


def _pipeline(ctx: click.Context) -> str:
    given = ctx.params.get("pipeline_argument") or ctx.params.get("pipeline")
    # Behind an option whose value is being typed click leaves what came before.
    return str(given or ctx.args[0])


def _items(named: Named, incomplete: str) -> "list[CompletionItem[str]]":
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(word, help=flat(said)[:LONGEST_HELP] or None)
        for word, said in named
        if word.casefold().startswith(incomplete.casefold())
    ]


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise LateError in what takes longer, whatever it waits for; again, where something swallowed it."""

    def end(_number: int, _frame: object) -> None:
        raise LateError

    before = signal.signal(signal.SIGALRM, end)
    # What is raised in a finalizer, or in a callback of the collector, is only told.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
