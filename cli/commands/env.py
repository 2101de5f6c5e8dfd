"""egg env: what a shell needs to talk to the local stack the ordinary way."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import options, render, server, shell, typed
from models.errors import Forbidden, Unavailable

if TYPE_CHECKING:
    from egg_tasks.stack.manifest import Manifest

TAKING = 'eval "$(egg env)"'


@click.command()
@options.output
def env(*, output: str) -> None:
    """Print what a shell needs to talk to the local stack. URLs and the operator's token, as variables.

    Then Celery, curl, psql and the single processes of egg work as they do anywhere. The token is a secret:
    it opens all that this server does. bash and zsh take it by eval "$(egg env)", fish by egg env | source.

    Example:  eval "$(egg env)" && celery -A egg_tasks.app inspect active
    """
    if shell.is_agents():
        raise Forbidden("this command is for people; you are an agent, and have all you may use")
    from egg_tasks.stack import lifecycle

    found = lifecycle.find(server.home())
    if found is None:
        raise Unavailable(f"no stack runs in {server.home()}: start it with `egg up`")
    variables, notes = _variables(found)
    celery = Path(sys.executable).with_name("celery")
    if output:
        render.write_json({"variables": variables, "celery": str(celery), "notes": notes})
        return
    for name, value in variables.items():
        render.say(f"export {name}={shlex.quote(value)}")
    render.say(f"# celery is {shlex.quote(str(celery))}")
    for note in notes:
        render.say(f"# {note}")
    if render.is_terminal():
        render.say(f"# to take them: {TAKING.replace('egg', typed.egg())}")


def _variables(found: "Manifest") -> tuple[dict[str, str], list[str]]:
    """The variables of a stack, and what is to be known of them."""
    from egg_tasks import settings_file
    from egg_tasks.settings_table import BROKER_URL, DATABASE_URL, REDIS_URL

    home = server.home()
    here = settings_file.completed_if_read(shell.environ(), home)
    variables = {
        "EGG_HOME": str(home),
        "EGG_ORCHESTRATOR_URL": found.api_url,
        "EGG_OPERATOR_TOKEN": found.operator_token,
    }
    own = {DATABASE_URL: found.database_url, REDIS_URL: found.redis_url, BROKER_URL: ""}
    notes = []
    for name, url in own.items():
        is_given = name in found.frozen
        value = (here.get(name) if is_given else "") or url
        if value:
            variables[name] = value
        if is_given and not here.get(name):
            notes.append(
                f"{name} was set where the stack was started; its password is kept nowhere: set it here"
            )
    owner = (home / "stack.json").stat().st_uid
    if owner != os.geteuid() and DATABASE_URL not in found.frozen:
        notes.append(f"PostgreSQL lets in the user who started the stack alone (uid {owner}), not you")
    return variables, notes
