"""egg signal: what an agent says of its own state."""

import contextlib
import subprocess

import click

from cli import completing, options, render, server, shell
from egg_tasks import protocol
from egg_tasks.client import Json
from models.errors import Conflict, Unprocessable
from models.foreign import flat
from models.states import Failure, Readiness

LOOK_SECONDS = 120
KINDS = [str(kind) for kind in (Failure.QUOTA, Failure.AUTH, Failure.NETWORK, Failure.CONTEXT_OVERFLOW)]
"""What an agent may say that went wrong."""


@click.group()
def signal() -> None:
    """Say where you stand.

    Your verdict, your progress, that you live, or an error.

    Example:  egg signal readiness --state READY --reason "all tests pass"
    """


@signal.command()
@options.own_pipeline
@click.option(
    "--state",
    required=True,
    type=options.Word(*Readiness),
    help="Your verdict, or WORKING to go on.",
)
@click.option("--reason", default="", help="Why, on one line, in words the others can act on.")
@click.option("--on", shell_complete=completing.roles, help="With BLOCKED: the role you wait for.")
@click.option(
    "--about", shell_complete=completing.roles, help="With OBJECTING: the role whose work is wrong."
)
@click.option(
    "--answer", "answers", multiple=True, metavar='N="TEXT"', help="With READY: answer objection N in words."
)
@options.own_role
@options.output
def readiness(
    *,
    pipeline: str,
    state: str,
    reason: str,
    on: str | None,
    about: str | None,
    answers: tuple[str, ...],
    role: str | None,
    output: str,
) -> None:
    """Give your verdict. READY takes your last commit as your next version.

    Prints whether all agree, and who is still missing.

    Example:  egg signal readiness --state OBJECTING --about coder --reason "limit 0 lets one through"
    """
    fields = {
        "signal_type": "readiness",
        "state": state,
        "reason": reason,
        "on": on,
        "about": about,
        "answers": dict(_answer(text) for text in answers) or None,
        "role": role,
    }
    answer = _give(pipeline, fields)
    render.answer(answer, in_text(answer), output=output)


@signal.command()
@options.own_pipeline
@click.option("--percent", type=click.IntRange(0, 100), help="How much is done.")
@click.option("--message", "text", default="", help="What you do now, on one line.")
@options.own_role
@options.output
def progress(*, pipeline: str, percent: int | None, text: str, role: str | None, output: str) -> None:
    """Say how far you are.

    Example:  egg signal progress --percent 40 --message "tests written"
    """
    fields = {"signal_type": "progress", "reason": text, "percent": percent, "role": role}
    _tell(pipeline, fields, output)


@signal.command()
@options.own_pipeline
@options.own_role
@options.output
def heartbeat(*, pipeline: str, role: str | None, output: str) -> None:
    """Say that you still work, where you print nothing for long.

    Example:  egg signal heartbeat
    """
    _tell(pipeline, {"signal_type": "heartbeat", "role": role}, output)


@signal.command()
@options.own_pipeline
@click.option("--error", "--text", "text", help="What went wrong; its lines become one.")
@click.option("--kind", type=options.Word(*KINDS), help="What kind of error, if it ends your work.")
@click.option(
    "--retry-at", metavar="ISO8601", help="With --kind: when it may be tried again, a day from now at most."
)
@options.own_role
@options.output
def error(
    *, pipeline: str, text: str | None, kind: str | None, retry_at: str | None, role: str | None, output: str
) -> None:
    """Put an error on record; it is no verdict.

    With --kind it also says why your run fails, if it does: a quota is waited for until --retry-at, and for
    60 seconds at least, twice as long each further time up to an hour; a network is tried again soon, a
    credential is asked about at once.

    Example:  egg signal error --kind quota --retry-at 2026-11-21T15:00:00Z --error "5 hour limit"
    """
    if not (text or kind):
        raise click.UsageError("Say what went wrong: --error TEXT, or --kind.")
    # What went wrong is mostly in a program's words, which have lines.
    said = None if text is None else flat(text)
    fields = {"signal_type": "error", "reason": said, "kind": kind, "retry_at": retry_at, "role": role}
    _tell(pipeline, fields, output)


@signal.command(hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def complete(rest: tuple[str, ...]) -> None:  # noqa: ARG001  refused whatever follows
    """Refuse egg's older signal, which means nothing here.

    Example:  egg signal readiness --state READY
    """
    raise Unprocessable(
        "complete means nothing here, work ends by agreement: "
        'say `egg signal readiness --state READY --reason "..."`'
    )


def in_text(answer: Json) -> str:
    """What a verdict led to: where the role stands, and who is still missing."""
    said, consensus = answer["readiness"], answer["consensus"]
    version = f" at version {said['version']}" if said.get("version") else ""
    agreed = "consensus is reached" if consensus["is_complete"] else _lacking(said, consensus)
    return f"{said['role']} is {said['state']}{version}; {agreed}"


def _lacking(said: Json, consensus: Json) -> str:
    """What is still to come before all agree; a role that is not READY needs not be told so itself."""
    found = consensus.get("lacking") or []
    own = said["state"] != "READY"
    told = [
        f"{one['role']} {one['why']}" if one.get("role") else str(one["why"])
        for one in found
        if not (own and one.get("role") == said["role"])
    ]
    return f"no consensus yet: {'; '.join(told)}" if told else "no consensus yet"


def _answer(text: str) -> tuple[str, str]:
    """Split N="TEXT"."""
    number, separator, words = text.partition("=")
    if not separator or not number.isdecimal() or not words.strip():
        raise click.BadParameter(f'--answer must look like 3="why it is right as it is", not {text!r}')
    return number, words


def _give(pipeline: str, fields: Json) -> Json:
    """Give a verdict; where it turns on what filters make of files, let the agent's own git look first."""
    try:
        return _post(pipeline, fields, seconds=protocol.LOOK_SECONDS)
    except Conflict as refusal:
        if not refusal.details.get("filters"):
            raise
    look = ["git", "-C", shell.clone() or ".", "update-index", "-q", "--refresh"]
    # Whatever comes of it: the second answer says what is still uncommitted.
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run([*look, "--force-write-index"], capture_output=True, check=False, timeout=LOOK_SECONDS)
    return _post(pipeline, fields, seconds=protocol.LOOK_SECONDS)


def _tell(pipeline: str, fields: Json, output: str) -> None:
    """Give a signal that has no answer but in JSON."""
    taken = _post(pipeline, fields)
    if output:
        render.write_json(taken)


def _post(pipeline: str, fields: Json, *, seconds: float = protocol.READ_SECONDS) -> Json:
    """Signals say how things are, so one that was sent twice has said nothing new."""
    body = {name: value for name, value in fields.items() if value is not None}
    return server.agent().post(f"/pipelines/{pipeline}/signal", body, repeatable=True, seconds=seconds)
