"""egg decision: questions to a person."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cli import answering, completing, exit_codes, formatting, options, paging, render, server, typed
from cli.paging import Page
from egg_tasks.client import Client, Json
from egg_tasks.protocol import new_key
from models.foreign import flat
from models.states import DecisionStatus

PENDING = "pending"

COLUMNS: render.Columns = {
    "ID": "id",
    "STATUS": "status",
    "PHASE": "phase",
    "ASKED BY": "asked_by",
    "QUESTION": "question",
    "ANSWER": formatting.answer,
}


F = TypeVar("F", bound=Callable[..., Any])


def question(command: F) -> F:
    """Add the options that make a question."""
    given = (
        click.option(
            "--question", required=True, help="What a person is asked, on one line; - reads standard input."
        ),
        click.option("--option", "choices", multiple=True, help="An answer to choose from; up to 10."),
        click.option("--default", help="The option taken when nobody answers in time (else the first)."),
        click.option("--free", is_flag=True, help="Allow an answer in other words, too."),
        click.option(
            "--after-minutes",
            "--deadline",
            "after_minutes",
            type=float,
            help="Take the default after so many minutes; fractions are good.",
        ),
        click.option("--key", help="Asking again with the same key asks nothing new."),
    )
    for option in reversed(given):
        command = option(command)
    return command


@click.group()
def decision() -> None:
    """Ask a person, see what a person is asked, and answer.

    Example:  egg decision resolve 7 "Accept current state"
    """


@decision.command(name="list")
@options.any_pipeline
@click.option(
    "--status",
    type=options.Word(*DecisionStatus),
    metavar="STATE",
    shell_complete=completing.states(DecisionStatus),
    help="Only decisions in this state, like pending.",
)
@paging.paged
@options.listing
def list_(*, pipeline: str | None, status: str | None, page: Page, output: str) -> None:
    """List the questions of a pipeline, or those of all that wait.

    Of a pipeline those that wait, then the newest. Without PIPELINE those of all that wait, the most urgent
    first: what holds up its pipeline, then whose default is taken sooner, then what was asked earlier.

    Example:  egg decision list rate-limit --status pending
    """
    if pipeline is None:
        # Agents, who have one, import nothing for it.
        from cli import inbox

        paging.say_more(inbox.show(server.operator(), status=status, page=page, output=output))
        return
    answer = server.anyone().get(f"/pipelines/{pipeline}/decisions", {"status": status})
    answer["decisions"].sort(key=lambda asked: (asked["status"] != PENDING, -asked["id"]))
    answer = page.of(answer, "decisions", name=lambda asked: str(asked["id"]))
    render.write_list(answer, "decisions", COLUMNS, output=output, nothing="nobody has been asked anything")
    paging.say_more(answer)


@decision.command()
@options.decision_argument
@options.output
@click.pass_context
def get(ctx: click.Context, *, number: int, output: str) -> None:
    """Show one question; exit code 3 while nobody has answered it.

    Example:  egg decision get 7
    """
    found = _find(number)
    render.write_record(found, output=output)
    exit_codes.end(ctx, exit_codes.WAITS if found["status"] == PENDING else exit_codes.DONE)


@decision.command()
@options.own_pipeline
@question
@options.output
def ask(*, pipeline: str, output: str, **given: Any) -> None:
    """Ask a person, as an agent, without waiting. Prints the decision's id.

    The answer comes to you as a DIRECTIVE message, which also wakes you; without options it is in free words.

    Example:  egg decision ask --question "May f(0) be 0?" --option yes --option no
    """
    _ask(server.agent(), pipeline, output, **given)


@decision.command()
@options.pipeline_argument
@question
@options.output
def create(*, pipeline: str, output: str, **given: Any) -> None:
    """Ask whoever answers, as an operator. All agents are told the answer. Prints the decision's id.

    Example:  egg decision create rate-limit --question "Which name?" --option egg --option hen --deadline 30
    """
    _ask(server.operator(), pipeline, output, **given)


@decision.command()
@options.decision_argument
@click.argument("answer", metavar="[ANSWER]", nargs=-1, shell_complete=completing.answers)
@click.option("--resolution", help="The same as ANSWER.")
@options.output
def resolve(*, number: int, answer: tuple[str, ...], resolution: str | None, output: str) -> None:
    """Answer a question; the pipeline goes on at once.

    ANSWER is an option's text, its number, or as much of its beginning as no other option has; capitals do
    not matter. Where own words are allowed they may be any. What was taken is said; without ANSWER it is said
    what there is to choose from.

    Example:  egg decision resolve 7 retry
    """
    if answer and resolution is not None:
        raise click.UsageError("Give ANSWER or --resolution, not both.")
    asked = _find(number)
    given = " ".join(answer) if answer else resolution
    if given is None:
        raise click.UsageError(f"{asked['question']} Answer with {answering.choices(asked)}")
    path = f"/pipelines/{asked['pipeline_id']}/decisions/{number}/resolve"
    resolved = server.operator().post(path, {"resolution": answering.option(asked, given)})
    taken = resolved["decision"]["resolution"]
    render.answer(resolved, f"decision {number} of {asked['pipeline_id']}: {flat(taken)}", output=output)


def _ask(
    client: Client,
    pipeline: str,
    output: str,
    *,
    question: str,
    choices: tuple[str, ...],
    default: str | None,
    free: bool,
    after_minutes: float | None,
    key: str | None,
) -> None:
    body = {
        "question": options.read_text(question).removesuffix("\n"),
        "options": list(choices),
        "default": default,
        "free": free,
        "after_minutes": after_minutes,
        "client_key": key or new_key(),
    }
    given = {name: value for name, value in body.items() if value is not None}
    asked = client.post(f"/pipelines/{pipeline}/decisions", given)["decision"]
    render.answer(asked, str(asked["id"]), output=output)
    if asked.get("how_to_answer") and not output:
        # Only its first word is ours; the answer is whatever somebody wrote.
        line = str(asked["how_to_answer"]).replace("egg", typed.egg(), 1)
        render.say(f"a person answers it with: {line}", err=True)


def _find(number: int) -> Json:
    found = server.anyone().get(f"/decisions/{number}")["decision"]
    return dict(found)
