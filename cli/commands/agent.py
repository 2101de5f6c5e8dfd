"""egg agent: the agent runs of a pipeline."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import click

from cli import formatting, options, paging, render, server, typed
from cli.paging import Page
from egg_tasks.client import Client, Json
from models.errors import NotFound

TOLD = frozenset({"said", "log_tail", "logs"})
"""What is told of a run below its other fields."""
CHECK = "check"
"""What a run is called that plays no role: the phase's check."""


def short_id(agent: Json) -> str:
    """What a run is typed as: the beginning of its id."""
    return str(agent["run"])[:8]


def took(agent: Json) -> str:
    """How long a run took, or has taken so far; nothing for one that has not started."""
    if not agent.get("started_at"):
        return ""
    end = datetime.fromisoformat(agent["ended_at"]) if agent.get("ended_at") else datetime.now(UTC)
    return formatting.duration(max(0.0, (end - datetime.fromisoformat(agent["started_at"])).total_seconds()))


WHERE: Mapping[object, str] = {"process": "process", "docker": "container"}
CONTAINED = "a container of its own"
"""So long that it stands beneath its row where there is no room, rather than a word that one looks for."""
COLUMNS: render.Columns = {
    "RUN": short_id,
    "ROLE": lambda agent: f"{agent['role'] or CHECK} {agent['number']}",
    "PHASE": lambda agent: formatting.phase_name(agent["phase"], agent["iteration"]),
    "STATUS": formatting.condition,
    "VERDICT": "verdict",
    "STARTED": lambda agent: formatting.when(agent.get("started_at")),
    "TOOK": took,
    "WHY": lambda agent: agent.get("said") or agent.get("error"),
    "BECAUSE": "causes",
    "NODE": "node",
    "IN": lambda agent: WHERE.get(agent.get("isolation"), ""),
}
"""As many beside each other as 80 columns hold: a role is named with the number of its run."""


def _columns(agents: Sequence[Json]) -> render.Columns:
    """The columns of a list of runs; on a screen without what is the same of all."""
    if not render.is_terminal():
        return COLUMNS
    nodes = {agent["node"] for agent in agents if agent.get("node")}
    same = {"NODE"} if len(nodes) <= 1 else set()
    same |= {"IN"} if len({agent.get("isolation") for agent in agents}) <= 1 else set()
    columns = {**COLUMNS, "IN": lambda agent: CONTAINED if agent.get("isolation") == "docker" else ""}
    return {title: show for title, show in columns.items() if title not in same}


@click.group()
def agent() -> None:
    """Look at agent runs and their logs, stop them, run them again.

    Example:  egg agent logs rate-limit coder --follow
    """


@agent.command(name="list")
@options.pipeline_argument
@paging.paged
@options.listing
def list_(*, pipeline: str, page: Page, output: str) -> None:
    """List the agent runs of a pipeline, the newest first.

    Example:  egg agent list rate-limit
    """
    answer = server.operator().get(f"/pipelines/{pipeline}/agents")
    answer = page.of({**answer, "agents": answer["agents"][::-1]}, "agents", name=short_id)
    render.write_list(
        answer, "agents", _columns(answer["agents"]), output=output, nothing="no agent has been started"
    )
    if render.is_terminal() and {each.get("isolation") for each in answer["agents"]} == {"docker"}:
        render.say(f"each of them in {CONTAINED}", err=True)
    paging.say_more(answer)


@agent.command()
@options.pipeline_argument
@options.run_argument
@options.output
def get(*, pipeline: str, run: str, output: str) -> None:
    """Show one agent run. RUN is its id, the beginning of it, or a role (its latest run).

    Example:  egg agent get rate-limit coder
    """
    found = find(server.operator(), pipeline, run)
    if render.wants_json(output):
        render.write_json(found)
        return
    from cli import report

    render.write_record({name: value for name, value in found.items() if name not in TOLD}, output=output)
    if found.get("said"):
        render.say(report.failures([found]))
    else:
        render.say(f"all it wrote: {typed.hint(found['logs'])}")


@agent.command()
@options.pipeline_argument
@options.run_argument
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Begin at this byte.")
@click.option("--setup", is_flag=True, help="What its set-up wrote, before it started.")
@options.output
def logs(*, pipeline: str, run: str, follow: bool, offset: int, setup: bool, output: str) -> None:
    """Print what an agent run wrote. RUN is its id, the beginning of it, or a role (its latest run).

    On a terminal its lines are indented, and what could move the terminal stands escaped; piped, it is as
    it was written.

    Example:  egg agent logs rate-limit coder --follow
    """
    client = server.follower() if follow else server.operator()
    found = find(client, pipeline, run)
    path = f"/pipelines/{pipeline}/agents/{found['run']}/logs"
    pieces = _pieces(client, path, {"setup": "true"} if setup else {}, offset=offset, follow=follow)
    if output:
        render.write_json({"run": str(found["run"]), "text": "".join(pieces)})
        return
    rest, is_empty = "", not offset
    for text in pieces:
        is_empty = is_empty and not text
        rest = render.pass_on(rest + text)
    if rest:
        render.pass_on(rest, is_end=True)
    if is_empty:
        so_far = "" if follow or found.get("ended_at") else " so far"
        inside = ", in a container" if found.get("isolation") == "docker" else ""
        who = f"{'the set-up of ' if setup else ''}{found['role'] or CHECK} (run {found['number']}{inside})"
        render.say(f"{who} wrote nothing{so_far}", err=True)


def _pieces(client: Client, path: str, asked: Json, *, offset: int, follow: bool) -> Iterator[str]:
    """What a log holds, piece by piece, and what comes, to its end."""
    was_live = True
    while True:
        page = client.get(path, {"offset": offset, **asked})
        yield page["text"]
        if page["next_offset"] == offset:
            if not (follow and was_live):
                return
            was_live = page["is_live"]
            time.sleep(0.5 if was_live else 0)
        offset = page["next_offset"]


@agent.command()
@options.pipeline_argument
@options.run_argument
@options.output
def stop(*, pipeline: str, run: str, output: str) -> None:
    """Stop an agent that runs. RUN is its id, the beginning of it, or a role (its latest run).

    Its work is kept on its branch. It counts as failed, so that the role's on_failure says what follows;
    where that is `ask`, you are asked.

    Example:  egg agent stop rate-limit coder
    """
    client = server.operator()
    found = find(client, pipeline, run)
    stopped = client.post(f"/pipelines/{pipeline}/agents/{found['run']}/stop", repeatable=True)
    said = f"{found['role'] or CHECK} (run {found['number']}) is asked to end"
    render.answer(stopped, said, output=output)


@agent.command()
@options.pipeline_argument
@options.run_argument
@options.output
def retry(*, pipeline: str, run: str, output: str) -> None:
    """Run a role once more whose last agent is over. RUN is an id, the beginning of one, or a role.

    A question that waits for your word on this role is answered by it.

    Example:  egg agent retry rate-limit coder
    """
    client = server.operator()
    found = find(client, pipeline, run)
    retried = client.post(f"/pipelines/{pipeline}/agents/{found['run']}/retry")
    render.answer(retried, f"{found['role'] or CHECK} runs again", output=output)


def find(client: Client, pipeline: str, run: str) -> Json:
    """The agent run meant by an id, the beginning of one, or a role; `NotFound` naming the roles."""
    agents: list[Json] = client.get(f"/pipelines/{pipeline}/agents")["agents"]
    found = [
        agent for agent in agents if run == (agent["role"] or CHECK) or str(agent["run"]).startswith(run)
    ]
    if not found:
        roles = ", ".join(dict.fromkeys(agent["role"] or CHECK for agent in agents)) or "nobody yet"
        raise NotFound(f"pipeline {pipeline} has no agent run {run}; roles that have run: {roles}")
    return found[-1]
