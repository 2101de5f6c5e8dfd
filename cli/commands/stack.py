"""egg up, egg down, egg doctor: the local stack."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli import exit_codes, formatting, options, render, server, shell, typed
from models.errors import EngineAway, Unavailable
from models.foreign import counted

if TYPE_CHECKING:
    from egg_tasks.stack.doctor import Finding

SIGNS: Mapping[bool | None, tuple[str, str | None]] = {
    True: ("ok  ", "green"),
    False: ("BAD ", "red"),
    None: ("-   ", None),
}


@click.command()
@click.option(
    "--keep-version", "keeps_version", is_flag=True, help="Let a stack of another version run as it is."
)
@options.output
def up(*, keeps_version: bool, output: str) -> None:
    """Start the local stack.

    PostgreSQL, Valkey, API, gateway, workers, reconciler and Flower, in EGG_HOME. Starting it twice is no
    mistake; one that another version of egg has started is started anew. Agents that run go on meanwhile,
    and find the PATH of this shell, or the one in EGG_HOME/settings.toml; see egg doctor.

    Example:  egg up
    """
    from egg_tasks.stack import lifecycle

    manifest = lifecycle.up(server.home(), environ=shell.environ(), report=say, keeps_version=keeps_version)
    _tell_of_newer_runs()
    known = {
        "home": str(server.home()),
        "api_url": manifest.api_url,
        "gateway_port": manifest.gateway_port,
        "flower_url": manifest.flower_url,
        "flower_login": manifest.flower_login,
    }
    flower = f"Flower  {manifest.flower_url}  (login: {manifest.flower_login})"
    render.answer(known, f"API     {manifest.api_url}", flower, output=output)


@click.command()
@click.option("--agents", "stops_agents", is_flag=True, help="Stop running agents too; their work is kept.")
@options.output
def down(*, stops_agents: bool, output: str) -> None:
    """Stop the local stack.

    What is stored stays. Agents that run go on, and the next `egg up` picks them up; with --agents they
    are asked to end, and the next `egg up` saves their work and starts them anew.

    Example:  egg down
    """
    from egg_tasks import local_runs
    from egg_tasks.stack import lifecycle

    was_running = lifecycle.down(server.home(), report=say)
    if not was_running:
        say(f"no stack runs in {server.home()}")
    runs = local_runs.look(server.home())
    _tell_of_newer_runs()
    if stops_agents:
        local_runs.stop(server.home(), runs)
        say(counted(runs.live, "running agent was", "running agents were") + " asked to end")
    elif runs.live:
        run = counted(runs.live, "agent still runs", "agents still run")
        say(f"{run}; the next `egg up` goes on with what runs, `egg down --agents` ends it")
    if runs.unknown and not stops_agents:
        say(f"{runs.doubt}; the next `egg up` goes on with what runs")
    if output:
        told = {"was_running": was_running, "agents_live": runs.live, "agents_asked_to_end": stops_agents}
        render.write_json({**told, "agents_unknown": len(runs.unknown)})
    if runs.unknown and stops_agents:
        raise EngineAway(f"{runs.doubt}; then `egg down --agents` again")


@click.command()
@click.option(
    "--image", metavar="NAME", help="Start a container of this image once, and say what agents lack in it."
)
@options.output
@click.pass_context
def doctor(ctx: click.Context, *, image: str | None, output: str) -> None:
    """Look at all a local stack needs, and say how to mend it.

    Versions, disk, ports, database, broker, container engine, agent programs; changes nothing. With --image
    only the engine is looked at, and one of its images is tried as agents would have it.

    Example:  egg doctor
    """
    findings = _of_image(image) if image else _of_stack()
    if render.wants_json(output):
        render.write_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            sign, colour = SIGNS[finding.ok]
            mend = [f"      {typed.hint(finding.mend)}"] if not finding.ok and finding.mend else []
            render.say_signed(sign, colour, f" {finding.name:<15} {finding.text}", *mend)
    is_lacking = any(finding.ok is False for finding in findings)
    exit_codes.end(ctx, exit_codes.FAILED if is_lacking else exit_codes.DONE)


def _of_stack() -> "list[Finding]":
    from egg_tasks import local_engine, settings_file
    from egg_tasks.stack.doctor import examine

    home = server.home()
    of_engine = local_engine.examine(settings_file.completed_if_read(shell.environ(), home))
    return [*examine(home, shell.environ()), *of_engine, *_newer_runs(), *_halt()]


def _of_image(image: str) -> "list[Finding]":
    from egg_tasks import image_trial, settings_file
    from egg_tasks.settings_table import number, said

    home = server.home()
    environ = settings_file.completed_if_read(shell.environ(), home)
    url, uid = said(environ, "EGG_DOCKER_HOST"), number(environ, "EGG_AGENT_UID")
    say(f"trying {image}")
    return list(image_trial.examine(image, url=url, agent_uid=uid, home=home))


def _tell_of_newer_runs() -> None:
    """Say which agents only a newer egg can attend."""
    from egg_tasks import local_runs

    if newer := local_runs.processes(server.home()).list_newer():
        were = counted(len(newer), "agent was", "agents were")
        say(f"{were} started by a newer egg; what it started is left alone until it runs again")


def _newer_runs() -> "list[Finding]":
    """Agents that only a newer egg can attend."""
    from egg_tasks import local_runs
    from egg_tasks.stack.doctor import Finding

    newer = local_runs.processes(server.home()).list_newer()
    mend = "start the stack with that egg again: it attends them"
    text = f"{len(newer)} were started by a newer egg and are left alone"
    return [Finding("agents", ok=None, text=text, mend=mend)] if newer else []


def _halt() -> "list[Finding]":
    """Whether all is stopped, where a server answers."""
    from egg_tasks.stack.doctor import Finding

    if not server.is_reachable():
        return []
    try:
        halt = server.operator(patience=0).get("/halt")["halt"]
    except Unavailable:
        # It answers without its database: what is wrong with that is found elsewhere.
        return []
    if halt is None:
        return []
    return [Finding("stop-all", ok=None, text=formatting.halted(halt))]


def ensure_stack() -> None:
    """Start the local stack unless the environment names a server or one answers."""
    if server.is_given():
        return
    from egg_tasks.stack import lifecycle

    if server.is_reachable() and not lifecycle.is_uprooted(server.home()):
        return
    lifecycle.up(server.home(), environ=shell.environ(), report=say)


def say(text: str) -> None:
    """Tell the person what goes on; stdout is for results."""
    render.say(typed.hint(text), err=True)
