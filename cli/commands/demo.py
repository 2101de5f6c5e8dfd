"""egg demo: the whole thing once, on this machine, with nothing set up before."""

import json
import re
from pathlib import Path

import click

from cli import event_stream, exit_codes, options, render, server, shell, watch_one
from cli.commands.stack import say
from egg_tasks.client import Client

DOCKER = "docker"


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option(
    "--isolation",
    type=options.Word("process", "docker"),
    default="process",
    help="Where its agents run: as you, or each in a container of its own, which wants a container engine.",
)
@click.option("--image", metavar="NAME", help="What their containers are made from (egg-agent:latest).")
@options.output
@click.pass_context
def demo(
    ctx: click.Context, *, directory: Path | None, isolation: str, image: str | None, output: str
) -> None:
    """See it all once: scripted agents work on a small change until they agree.

    Brings up the local stack, makes a real git repository (in DIRECTORY, or where the stack keeps its own),
    runs a planner and then three agents at once; one of them objects on the way.
    No key, no Docker, no server installed.
    With --isolation docker the agents are in containers, and all else is as before.

    Example:  egg demo
    """
    from cli import submitting
    from egg_tasks.demo.repository import make_repository
    from egg_tasks.stack import lifecycle

    if image and isolation != DOCKER:
        raise click.UsageError("--image is of containers: add --isolation docker")
    home = server.home()
    if isolation == DOCKER:
        _need_image(home, image)
    manifest = lifecycle.up(home, environ=shell.environ(), report=say)
    client = Client(manifest.api_url, manifest.operator_token)
    name = _unused(client, home / "demo")
    repository = make_repository(directory or home / "demo" / name)
    over = [("name", name), ("isolation", json.dumps(_isolation(isolation, image)))]
    submitting.create(client, submitting.check(repository / "egg.yaml", overrides=over))
    client.post(f"/pipelines/{name}/start", repeatable=True)
    say(f"{name} works on {repository}")
    code = watch_one.follow(client, name, output=output)
    flower = f"Flower, Celery at work: {manifest.flower_url}  (login: {manifest.flower_login})"
    render.say(flower, err=bool(output))
    say("The stack goes on running; stop it with: egg down")
    exit_codes.end(ctx, code)


def _need_image(home: Path, image: str | None) -> None:
    """Refuse, before anything is made, where no container can be."""
    from cli import submitting
    from egg_tasks import local_engine

    if url := submitting.docker_host(home):
        wanted = {image or local_engine.DEFAULT_IMAGE: ("the demo's agents",)}
        without = "see it without containers: `egg demo`"
        local_engine.refuse(wanted, url=url, without=without, naming="`--image NAME`")


def _isolation(kind: str, image: str | None) -> dict[str, str]:
    """What the definition is told of all its agents."""
    return {"kind": kind, **({"image": image} if image else {})}


def _unused(client: Client, directory: Path) -> str:
    """The first name demo-N that neither a pipeline nor a directory has."""
    names = [pipeline["id"] for pipeline in event_stream.pipelines(client)]
    names += [path.name for path in directory.iterdir()] if directory.exists() else []
    numbers = [int(found[1]) for name in names if (found := re.fullmatch(r"demo-(\d{1,9})", name))]
    return f"demo-{max(numbers, default=0) + 1}"
