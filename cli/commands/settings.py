"""egg settings: what there is to say about this machine, what holds, and why."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import options, render, server, shell, typed
from models.errors import Forbidden, Malformed, Unprocessable

if TYPE_CHECKING:
    from egg_tasks.settings_table import Setting
    from egg_tasks.stack.settings_in_use import InUse


class SettingsGroup(click.Group):
    """A group to which the name of a setting is as good as `get` and the name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, and what is left for it."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["get", *args])


@click.group(cls=SettingsGroup, invoke_without_command=True)
@options.output
@click.pass_context
def settings(ctx: click.Context, *, output: str) -> None:
    """Show every setting: its value, where that comes from, and what it does.

    A value comes from the environment, else from EGG_HOME/settings.toml, else it is the default. Where the
    running stack was started with another one, that is said. Secrets are not shown.

    Example:  egg settings
    """
    if shell.is_agents():
        raise Forbidden("this command is for people; you are an agent, and settings are not yours to see")
    if ctx.invoked_subcommand is not None:
        return
    found = _all()
    if render.wants_json(output):
        render.write_json({"file": str(_path()), "settings": [_record(each) for each in found]})
        return
    _show(found)


@settings.command()
@click.argument("name", metavar="SETTING")
@options.output
def get(*, name: str, output: str) -> None:
    """Show one setting, by its key in the file or its variable.

    Example:  egg settings get node.capacity
    """
    from egg_tasks import settings_edit

    setting = settings_edit.find(name)
    found = next(each for each in _all() if each.setting == setting)
    render.write_record({name: value for name, value in _record(found).items() if value}, output=output)


@settings.command("set")
@click.argument("name", metavar="SETTING")
@click.argument("value", metavar="VALUE")
@options.output
def put(*, name: str, value: str, output: str) -> None:
    """Say a value in EGG_HOME/settings.toml; your comments there stay.

    A secret is read from standard input, with - for VALUE: what is typed here, others see in `ps`.

    Example:  egg settings set node.capacity 20
    """
    from egg_tasks import settings_edit
    from egg_tasks.settings_table import Kind

    setting = settings_edit.find(name)
    if setting.is_secret and value != "-" and setting.kind is not Kind.VARIABLES:
        raise Unprocessable(
            f"{setting.name} is a secret, and what is typed here, others see in `ps` and the shell's history:"
            f" give it on standard input, `egg settings set {setting.name} -`"
        )
    text = options.read_text(value).rstrip("\r\n")
    if not text:
        raise Malformed(f"no value was given: `egg settings unset {setting.name}` takes it away")
    _prepare()
    path = settings_edit.put(server.home(), setting, text)
    _tell(setting, path, f"{setting.key} is in {path}", output=output)


@settings.command()
@click.argument("name", metavar="SETTING")
@options.output
def unset(*, name: str, output: str) -> None:
    """Take a value out of EGG_HOME/settings.toml.

    Example:  egg settings unset node.capacity
    """
    from egg_tasks import settings_edit

    setting = settings_edit.find(name)
    _prepare()
    path = settings_edit.put(server.home(), setting, None)
    _tell(setting, path, f"{setting.key} is not in {path}", output=output)


@settings.command()
@options.output
def example(*, output: str) -> None:
    """Print a settings.toml with all settings, as comments.

    Example:  egg settings example > ~/.local/share/egg/settings.toml
    """
    from egg_tasks import settings_edit

    text = settings_edit.example()
    if render.wants_json(output):
        render.write_json({"file": str(_path()), "text": text})
        return
    for line in text.split("\n"):
        render.say(line)


def _all() -> "list[InUse]":
    from egg_tasks.stack import settings_in_use

    return list(settings_in_use.of(server.home(), shell.environ()))


def _path() -> Path:
    from egg_tasks import settings_file

    return server.home() / settings_file.NAME


def _prepare() -> None:
    """Have the directory there, if it is one of ours."""
    from egg_tasks.stack import home

    home.begin(server.home())


def _record(found: "InUse") -> dict[str, object]:
    setting = found.setting
    running = {} if found.running is None else {"running": found.running or "not set"}
    return {
        "key": setting.key,
        "variable": setting.variable,
        "value": found.value,
        "from": found.origin,
        **({"fault": found.fault} if found.fault else {}),
        **running,
        "does": setting.help,
        "kind": str(setting.kind),
        "unit": setting.unit,
        "default": setting.default or setting.otherwise,
        "is_secret": setting.is_secret,
        "takes_effect": str(setting.effect),
    }


def _show(found: "list[InUse]") -> None:
    """The list, on a terminal: two lines for each, and the tables they are in."""
    from egg_tasks.settings_table import TABLES

    render.say(*_lines([each for each in found if not each.setting.key]))
    for table, says in TABLES.items():
        render.say("")
        render.say(f"[{table}]  {says}")
        render.say(*_lines([each for each in found if each.setting.table == table]))
    path = _path()
    there = "" if path.exists() else " (not there yet; `egg settings example` shows one)"
    render.say("")
    render.say(f"The file is {path}{typed.hint(there)}.")
    if any(each.running is not None for each in found):
        render.say(typed.hint("The stack takes what differs at the next `egg down` and `egg up`."))


def _lines(found: "list[InUse]") -> Iterator[str]:
    width = max(len(each.setting.name) for each in found)
    for each in found:
        value = each.value or "-"
        running = "" if each.running is None else f"; the running stack: {each.running or 'not set'}"
        fault = each.fault and f": it {each.fault}"
        yield f"  {each.setting.name:<{width}}  {value}  ({each.origin}{running}{fault})"
        yield f"      {each.setting.help}"


def _tell(setting: "Setting", path: Path, said: str, *, output: str) -> None:
    """Say what was changed, when it takes effect, and what keeps it from doing so."""
    from egg_tasks.config import surroundings, webhook_of

    wins = bool(setting.variable) and setting.variable in shell.environ()
    if output:
        record = {"key": setting.key, "file": str(path), "takes_effect": str(setting.effect)}
        render.write_json({**record, "is_hidden_by_environment": wins})
        return
    render.say(f"{said}; it takes effect {typed.hint(str(setting.effect))}")
    if wins:
        render.say(f"{setting.variable} is set in this shell, and wins over the file here", err=True)
    try:
        webhook_of(surroundings())
    except Unprocessable as error:
        render.say(f"so far a stack would not start: {error}", err=True)
