"""egg pipeline: the pieces of work."""

from pathlib import Path

import click

from cli import completing, exit_codes, formatting, options, paging, render, server
from cli.commands import pipeline_delete
from cli.commands.stack import ensure_stack
from cli.paging import Page
from models.states import PipelineStatus

COLUMNS: render.Columns = {
    "ID": "id",
    "STATUS": "status",
    "PHASE": lambda pipeline: formatting.phase_name(pipeline.get("current_phase"), pipeline.get("iteration")),
    "REPO": "repo",
    "CREATED": lambda pipeline: formatting.moment(pipeline.get("created_at")),
    "TOOK": lambda pipeline: formatting.span(pipeline.get("started_at"), pipeline.get("ended_at")),
}


@click.group()
def pipeline() -> None:
    """Create, list, start and stop pipelines.

    Example:  egg pipeline list --status running
    """


@pipeline.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.overrides
@options.output
def create(*, file: Path, given: list[tuple[str, str]], output: str) -> None:
    """Store a definition file as a new pipeline, without starting it. Prints its id.

    Example:  egg pipeline create pipeline.yaml --name rate-limit
    """
    from cli import submitting

    created = submitting.create(server.operator(), submitting.check(file, overrides=given))
    render.answer({"pipeline": created}, str(created["id"]), output=output)


@pipeline.command(name="list")
@click.option(
    "--status",
    type=options.Word(*PipelineStatus),
    metavar="STATE",
    shell_complete=completing.states(PipelineStatus),
    help="Only pipelines in this state.",
)
@paging.paged
@options.listing
def list_(*, status: str | None, page: Page, output: str) -> None:
    """List the pipelines, the newest first.

    Example:  egg pipeline list --jsonl
    """
    query = {"status": status, "limit": page.limit, "after": page.after}
    answer = server.operator().get("/pipelines", query)
    nothing = f"no pipeline is {status}" if status else "no pipelines; make one: egg run FILE"
    is_any_rerun = any(pipeline.get("rerun_of") for pipeline in answer["pipelines"])
    columns = {**COLUMNS, "REPEATS": "rerun_of"} if is_any_rerun else COLUMNS
    render.write_list(answer, "pipelines", columns, output=output, nothing=nothing)
    paging.say_more(answer)


@pipeline.command()
@options.pipeline_argument
@options.output
def get(*, pipeline: str, output: str) -> None:
    """Show a pipeline with its definition.

    Example:  egg pipeline get rate-limit
    """
    render.write_record(server.operator().get(f"/pipelines/{pipeline}")["pipeline"], output=output)


@pipeline.command()
@options.pipeline_argument
@options.output
def status(*, pipeline: str, output: str) -> None:
    """Show where a pipeline stands. Its phase, roles, readiness, agents, messages, decisions.

    Example:  egg pipeline status rate-limit
    """
    answer = server.operator().get(f"/pipelines/{pipeline}/status")
    if render.wants_json(output):
        render.write_json(answer)
        return
    from cli.watch_screen import standing

    render.draw(standing(answer))


@pipeline.command()
@options.pipeline_argument
@options.output
def start(*, pipeline: str, output: str) -> None:
    """Start a pipeline that was created.

    Example:  egg pipeline start rate-limit
    """
    _move(pipeline, "start", output)


@pipeline.command()
@options.pipeline_argument
@click.option("--file", type=click.Path(path_type=Path), help="The definition file; else the first one's.")
@click.option("--as-stored", is_flag=True, help="Take the definition as it was stored, not from a file.")
@options.overrides
@options.detaching
@options.following
@options.output
@click.pass_context
def rerun(
    ctx: click.Context,
    *,
    pipeline: str,
    file: Path | None,
    as_stored: bool,
    given: list[tuple[str, str]],
    detach: bool,
    wait: bool,
    timeout: float | None,
    output: str,
) -> None:
    """Run a pipeline again as a new one. It takes its file as it is now, from where its base is now.

    For after a mend: commit it in your repository first. What was set on the command line counts again,
    unless you set it anew. The new one is called after the first, shop-2, and says which one it repeats.
    Starts a local stack as `egg run` does.

    Example:  egg pipeline rerun shop
    """
    from cli import rerunning, submitting

    if file and as_stored:
        raise click.UsageError("Give --file or --as-stored, not both.")
    ensure_stack()
    client = server.follower()
    first = client.get(f"/pipelines/{pipeline}")["pipeline"]
    checked = rerunning.check(first, file=file, as_stored=as_stored, overrides=given)
    created = submitting.create(
        client, checked, rerun_of=pipeline, is_typed=any(key == "name" for key, _ in given)
    )
    rerunning.tell(first, created)
    code = submitting.start(client, created, detach=detach, wait=wait, timeout=timeout, output=output)
    exit_codes.end(ctx, code)


@pipeline.command()
@options.pipeline_argument
@options.output
@click.pass_context
def rebase(ctx: click.Context, *, pipeline: str, output: str) -> None:
    """Bring the base as it is now into a pipeline that runs.

    For after a mend: commit it in your repository first. The base is merged into the work branch, the agents
    are told, and who was READY looks again. Your repository is only read.

    Example:  egg pipeline rebase shop
    """
    from cli import rebasing

    exit_codes.end(ctx, rebasing.rebase(server.operator(), pipeline, output=output))


@pipeline.command()
@options.pipeline_argument
@options.output
def cancel(*, pipeline: str, output: str) -> None:
    """End a pipeline. Its agents are stopped, and their work is kept on their branches.

    Example:  egg pipeline cancel rate-limit
    """
    _move(pipeline, "cancel", output)


@pipeline.command()
@options.pipeline_argument
@options.output
def pause(*, pipeline: str, output: str) -> None:
    """Let nothing new start in a pipeline; agents that run go on.

    Example:  egg pipeline pause rate-limit
    """
    _move(pipeline, "pause", output)


@pipeline.command()
@options.pipeline_argument
@options.output
def resume(*, pipeline: str, output: str) -> None:
    """Go on with a paused pipeline.

    Example:  egg pipeline resume rate-limit
    """
    _move(pipeline, "resume", output)


@pipeline.command()
@options.pipeline_argument
@click.option(
    "--iterations", type=click.IntRange(1, 1000), help="So many more runs of phases until they converge."
)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="So much later the deadlines.")
@options.output
def extend(*, pipeline: str, iterations: int | None, minutes: float | None, output: str) -> None:
    """Grant a pipeline more iterations, or its current phase more time.

    While it runs, at the latest in the last iteration. What has ended stays ended, and its work is gone on
    with by a new one: egg pipeline rerun shop --set base=egg/shop

    Example:  egg pipeline extend rate-limit --iterations 2
    """
    if iterations is None and minutes is None:
        raise click.UsageError("By what? Give --iterations N, --minutes M or both.")
    given = {"iterations": iterations, "minutes": minutes}
    body = {name: value for name, value in given.items() if value is not None}
    answer = server.operator().post(f"/pipelines/{pipeline}/extend", body)
    moved = answer["pipeline"]
    render.answer(answer, f"{moved['id']} is extended; it is {moved['status']}", output=output)


@pipeline.command()
@options.pipeline_argument
@click.option(
    "--messages", type=options.Size(), required=True, metavar="SIZE", help="So many bytes; 512M, 1G."
)
@options.output
def quota(*, pipeline: str, messages: int, output: str) -> None:
    """Let a pipeline's agents store more messages, or fewer. 256M before anybody says so.

    One agent run may fill a sixteenth of it. How full it is: egg message status PIPELINE

    Example:  egg pipeline quota rate-limit --messages 1G
    """
    path = f"/pipelines/{pipeline}/quota"
    answer = server.operator().post(path, {"messages": messages}, repeatable=True)
    moved = answer["pipeline"]
    said = f"{moved['id']} may store {messages} bytes of messages; it is {moved['status']}"
    render.answer(answer, said, output=output)


pipeline.add_command(pipeline_delete.delete)


def _move(pipeline: str, verb: str, output: str) -> None:
    answer = server.operator().post(f"/pipelines/{pipeline}/{verb}", repeatable=True)
    moved = answer["pipeline"]
    render.answer(answer, f"{moved['id']} is {moved['status']}", output=output)
