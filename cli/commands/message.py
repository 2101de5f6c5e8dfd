"""egg message: talk on a pipeline's bus."""

import json
from collections.abc import Mapping

import click

from cli import completing, options, paging, render, server, typed
from egg_tasks.client import Json, NewMessage, Wanted
from models.foreign import Shown, flat, indented, page

SENT: Mapping[str, str] = {
    "PROGRESS": "what you have done; wakes nobody",
    "QUESTION": "to be answered; wakes the role it is for",
    "RESPONSE": "an answer; wakes the role it is for",
    "STATUS": "how things are; wakes nobody",
    "HANDOFF": "your work is the next role's now; wakes it",
    "DIRECTIVE": "a person's word; wakes the role it is for; agents cannot send it",
}
"""What may be sent, and what each type is for; to `all`, none wakes anybody."""
AGENT_TYPES = tuple(word for word in SENT if word != "DIRECTIVE")
TYPES = (*AGENT_TYPES, "AGENT_FAILED", "CONVERGE", "FINALIZE", "DIRECTIVE")
"""Those of `models.schemas.message`, which imports too much for agents."""


LONGEST_SUBJECT = 200


@click.group()
def message() -> None:
    """Send and read the messages of a pipeline.

    Example:  egg message send --to tester --type HANDOFF --subject "limits.py is ready"
    """


@message.command()
@options.words_in_pipeline
@click.option(
    "--to",
    "to_role",
    default="all",
    show_default=True,
    shell_complete=completing.recipients,
    help="A role, all, orchestrator or human.",
)
@click.option(
    "--type",
    "message_type",
    metavar="TYPE",
    shell_complete=completing.of(*SENT),
    help=f"{', '.join(AGENT_TYPES)} (people also: DIRECTIVE); it must be given.",
)
@click.option("--subject", default="", help="One line, up to 200 characters.")
@click.option("--body", default="", help="The text, up to 64 KiB; - reads standard input.")
@click.option("--metadata", help="A JSON object, up to 16 KiB.")
@click.option("--reply-to", type=int, help="The id of the message this answers.")
@click.option("--key", help="Sending again with the same key sends nothing new.")
@options.own_role
@options.output
def send(
    *,
    pipeline: str,
    to_role: str,
    message_type: str | None,
    subject: str,
    body: str,
    text: str,
    metadata: str | None,
    reply_to: int | None,
    key: str | None,
    role: str | None,
    output: str,
) -> None:
    """Send a message and print its id. TEXT is its subject; what is longer than a line is its body.

    With --subject TEXT is the body; - reads it from standard input. Only a QUESTION, RESPONSE, HANDOFF or
    DIRECTIVE to a role itself wakes that role.

    Example:  egg message send --to tester --type HANDOFF "limits.py is ready"
    """
    subject, body = _said(text, subject, body)
    draft = NewMessage(
        _type(message_type),
        to_role=to_role,
        subject=subject,
        body=body,
        metadata=_object(metadata),
        in_reply_to=reply_to,
        key=key,
        from_role=role,
    )
    sent = server.anyone().send(pipeline, draft)
    render.answer({"message": sent}, str(sent["id"]), output=output)


@message.command()
@options.own_pipeline
@click.option(
    "--since", "since_id", type=int, help="Read after this id (default: where your role last stopped)."
)
@click.option("--limit", type=click.IntRange(1, 500), help="At most so many (default 100).")
@click.option("--wait", type=click.IntRange(0, 60), help="Wait up to so many seconds for the first message.")
@click.option(
    "--type",
    "message_type",
    type=options.Word(*TYPES),
    metavar="TYPE",
    shell_complete=completing.of(*TYPES),
    help="Only messages of this type.",
)
@click.option(
    "--scope",
    type=click.Choice(["phase", "pipeline"]),
    help="This phase run (default), or all of them: from the first message on with --since 0.",
)
@click.option("--own", is_flag=True, help="Also what you sent yourself.")
@click.option(
    "--role",
    shell_complete=completing.recipients,
    help="Whose messages: people must say it, for agents it must be their own.",
)
@options.listing
def poll(
    *,
    pipeline: str,
    since_id: int | None,
    limit: int | None,
    wait: int | None,
    message_type: str | None,
    scope: str | None,
    own: bool,
    role: str | None,
    output: str,
) -> None:
    """Print new messages as text, oldest first, also when piped. --json and --jsonl print JSON.

    Each message starts a line with its id; its body follows, indented, and is never cut.

    Example:  egg message poll --wait 30
    """
    wanted = Wanted(
        since=since_id,
        limit=limit,
        wait=wait,
        types=[message_type] if message_type else [],
        scope=scope,
        own=own,
        role=role,
    )
    page = server.anyone().poll(pipeline, wanted)
    if output == "json":
        render.write_json(page)
    elif output == "jsonl":
        render.write_lines(page["messages"])
    else:
        _write_page(page)


@message.command(name="list")
@options.pipeline_argument
@click.option(
    "--role", shell_complete=completing.roles, help="What a role has said, and what was said to it alone."
)
@click.option(
    "--from",
    "from_role",
    shell_complete=completing.recipients,
    help="What a role has said; also human and orchestrator.",
)
@click.option(
    "--to",
    "to_role",
    shell_complete=completing.recipients,
    help="What was said to a role; also all, human and orchestrator.",
)
@click.option(
    "--type",
    "types",
    multiple=True,
    type=options.Word(*TYPES),
    metavar="TYPE",
    shell_complete=completing.of(*TYPES),
    help="Only messages of this type; may be given several times.",
)
@click.option("--after", type=click.IntRange(min=0), default=0, help="Begin behind this message.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many (default: all).")
@click.option("--follow", "-f", is_flag=True, help="Go on until the pipeline has ended.")
@options.listing
def list_(
    *,
    pipeline: str,
    types: tuple[str, ...],
    after: int,
    limit: int | None,
    follow: bool,
    output: str,
    **who: str,
) -> None:
    """Print the whole conversation of a pipeline, for people.

    As it was, oldest first; no agent's place in it moves. Each message is a line (time, id, who to whom,
    type, subject) and its body, indented and never cut; piped,
    too. --json and --jsonl print JSON.

    Example:  egg message list rate-limit --role coder --type QUESTION --type RESPONSE
    """
    if output == "json" and follow:
        raise click.UsageError("--json is one document, and --follow has no end: take --jsonl")
    # Agents, who do not, import nothing for it.
    from cli.conversation import ConversationOptions

    client = server.follower() if follow else server.operator()
    talk = ConversationOptions(client, pipeline, {**who, "type": list(types)})
    talk.show(talk.coming(after, limit) if follow else talk.stored(after, limit), output)
    if talk.has_more:
        paging.say_more({"next_after": talk.next_after})


@message.command()
@options.own_pipeline
@options.output
def status(*, pipeline: str, output: str) -> None:
    """Count the messages by type, and show who has received what.

    Example:  egg message status
    """
    path = f"/pipelines/{pipeline}/messages/status"
    render.write_record(server.anyone().get(path), output=output)


def in_text(sent: Mapping[str, object]) -> Shown:
    """A message as its reader sees it: id, type, who to whom, subject; the body indented below."""
    reply = f" (re {sent['in_reply_to']})" if sent.get("in_reply_to") else ""
    head = f"{sent['id']} {sent['message_type']} {sent['from_role']} -> {sent['to_role']}{reply}"
    subject = f": {sent['subject']}" if sent.get("subject") else ""
    return page([f"{head}{subject}", *([indented(sent["body"])] if sent.get("body") else [])])


def _write_page(page: Json) -> None:
    for sent in page["messages"]:
        render.say(in_text(sent))
    if not page["messages"]:
        render.say("no new messages", err=True)
    elif page.get("has_more"):
        render.say(typed.hint(f"there are more: egg message poll --since {page['next_since_id']}"), err=True)


def _type(given: str | None) -> str:
    """What kind of message is meant; what kinds there are, where none is said or there is no such one."""
    if given is not None and given.upper() in SENT:
        return given.upper()
    head = (
        "Say what kind of message it is"
        if given is None
        else f"There is no message of type '{flat(given)}': give it"
    )
    width = max(map(len, SENT))
    raise options.Explained(
        "\n".join(
            [f"{head}, with --type one of:", *(f"  {word:<{width}}  {what}" for word, what in SENT.items())]
        )
    )


def _said(text: str, subject: str, body: str) -> tuple[str, str]:
    """The subject and the body of what was given in any of three ways."""
    text, body = options.read_text(text), options.read_text(body)
    is_line = len(text) <= LONGEST_SUBJECT and len(text.splitlines()) <= 1
    if not text or (is_line and not subject):
        return text or subject, body
    if body:
        raise click.UsageError("TEXT and --body are both the body: leave one of them out.")
    return subject, text


def _object(text: str | None) -> Json | None:
    """The JSON object given as text."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"--metadata is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.BadParameter('--metadata must be a JSON object, like {"file": "limits.py"}')
    return found
