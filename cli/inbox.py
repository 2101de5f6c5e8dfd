"""What all pipelines ask a person and wait for, printed: the most urgent first."""

from datetime import UTC, datetime

import click

from cli import formatting, overview, render, report, typed, watch_all_screen
from cli.paging import Page
from egg_tasks.client import Client, Json
from models.foreign import flat

PENDING = "pending"


def columns(now: datetime) -> render.Columns:
    """The columns of the questions of all pipelines, at one moment."""
    return {
        "ID": "id",
        "PIPELINE": "pipeline_id",
        "WAITS": lambda asked: overview.waits_for(asked).partition(" wait")[0],
        "ASKED": lambda asked: f"{overview.age(asked['created_at'], now=now)} ago",
        "ANSWERS ITSELF": lambda asked: overview.default(asked, now=now).removeprefix("; ") or "no",
        "QUESTION": overview.question,
    }


def answered_columns() -> render.Columns:
    """The columns of questions that need not wait any more."""
    return {
        "ID": "id",
        "PIPELINE": "pipeline_id",
        "STATUS": "status",
        "QUESTION": overview.question,
        "ANSWER": formatting.answer,
        "ASKED": lambda asked: formatting.moment(asked["created_at"]),
    }


def show(client: Client, *, status: str | None, page: Page, output: str) -> Json:
    """Print a page of the questions of all pipelines; those that wait, unless *status* says otherwise."""
    if page.after is not None and not page.after.isdecimal():
        raise click.UsageError(f"--after takes the number of a decision, not {page.after!r}")
    wanted = {"status": status or PENDING, "limit": page.limit, "after": page.after}
    answer = client.get("/decisions", wanted)
    shown = columns(datetime.now(UTC)) if wanted["status"] == PENDING else answered_columns()
    nothing = f"no decision is {status}" if status else "nobody is asked anything"
    render.write_list(answer, "decisions", shown, output=output, nothing=nothing)
    if wanted["status"] == PENDING and answer["decisions"] and render.is_terminal() and not output:
        number = answer["decisions"][0]["id"]
        hint = f"answers and how to give them: egg decision get {number}, egg why PIPELINE"
        render.say(typed.hint(hint), err=True)
    return answer


def tell_running(answer: Json) -> None:
    """Print what each running pipeline waits for and what it asks, what needs a person first."""
    now = datetime.now(UTC)
    if answer.get("halt"):
        render.say(formatting.halted(answer["halt"]))
    for one in answer["pipelines"]:
        asked = one["first_question"]
        # What is asked stands below, with its answers.
        why = overview.waits_for(asked) if asked and asked["holds"] != "nobody" else one["why"]
        render.say(
            *([""] if one is not answer["pipelines"][0] else []),
            f"{watch_all_screen.standing(one)}: {typed.hint(flat(why), others=one)}",
        )
        if asked:
            took = overview.age(asked["created_at"], now=now)
            more = f"; {one['questions'] - 1} more: egg why {one['id']}" if one["questions"] > 1 else ""
            render.say(typed.hint(f"  asked {took} ago{overview.default(asked, now=now)}{more}"))
            render.say(report.question(asked))
    if not answer["pipelines"]:
        render.say(typed.hint("no pipeline runs; begin one: egg run FILE, or egg demo"), err=True)
