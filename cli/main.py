"""The command line's front door, and the one place where an error becomes an exit code."""

import importlib
import sys
from collections.abc import Mapping
from contextlib import suppress

import click

from cli import exit_codes, options, render, shell, streams, typed
from models.errors import EggError, Unavailable
from models.foreign import flat, hanging, indented
from models.masking import masked

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Begin": {
        "demo": "cli.commands.demo:demo",
        "up": "cli.commands.stack:up",
        "down": "cli.commands.stack:down",
        "doctor": "cli.commands.stack:doctor",
        "settings": "cli.commands.settings:settings",
        "env": "cli.commands.env:env",
        "logs": "cli.commands.logs:logs",
    },
    "Work": {
        "init": "cli.commands.init:init",
        "run": "cli.commands.run:run",
        "validate": "cli.commands.definition:validate",
        "schema": "cli.commands.definition:schema",
        "pipeline": "cli.commands.pipeline:pipeline",
        "decision": "cli.commands.decision:decision",
        "stop-all": "cli.commands.halt:stop_all",
        "gc": "cli.commands.gc:gc",
    },
    "Take the work": {
        "diff": "cli.commands.work:diff",
        "log": "cli.commands.work:log",
        "checkout": "cli.commands.work:checkout",
        "merge": "cli.commands.work:merge",
        "apply": "cli.commands.work:apply",
    },
    "Look": {
        "status": "cli.commands.status:status",
        "watch": "cli.commands.watch:watch",
        "why": "cli.commands.watch:why",
        "events": "cli.commands.events:events",
        "phase": "cli.commands.phase:phase",
        "agent": "cli.commands.agent:agent",
        "egress": "cli.commands.egress:egress",
        "usage": "cli.commands.usage:usage",
    },
    "What agents say": {
        "message": "cli.commands.message:message",
        "signal": "cli.commands.signal:signal",
        "result": "cli.commands.result:result",
        "sync": "cli.commands.sync:sync",
        "context": "cli.commands.context:context",
        "example-agent": "cli.commands.example_agent:example_agent",
    },
    "Processes of a cluster": {
        "api": "cli.commands.processes:api",
        "gateway": "cli.commands.processes:gateway",
        "worker": "cli.commands.processes:worker",
        "reconcile": "cli.commands.processes:reconcile",
        "flower": "cli.commands.processes:flower",
        "db": "cli.commands.db:db",
    },
    "Your shell": {
        "completion": "cli.commands.completion:completion",
    },
}


OF_NO_STACK = frozenset(
    {"up", "doctor", "settings", "env", *SECTIONS["Processes of a cluster"], "completion"}
)
"""Commands that say themselves which version a stack is of, or that talk to none."""


class Commands(click.Group):
    """A group that imports a command when it is asked for: agents must start fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Every command, in the order of the sections."""
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  as above
        """Import one command."""
        for section in SECTIONS.values():
            if cmd_name in section:
                module, _, attribute = section[cmd_name].partition(":")
                command = getattr(importlib.import_module(module), attribute)
                if not isinstance(command, click.Command):
                    raise TypeError(f"{section[cmd_name]} is no command")
                exit_codes.describe(command, f"egg {cmd_name}")
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list per section."""
        for title, section in SECTIONS.items():
            with formatter.section(title):
                commands = {name: self.get_command(ctx, name) for name in section}
                formatter.write_dl(
                    [(name, command.get_short_help_str(75)) for name, command in commands.items() if command]
                )


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=exit_codes.line(exit_codes.MEANINGS),
)
@click.version_option(package_name="egg-tasks", prog_name="egg")
@click.pass_context
def egg(ctx: click.Context) -> None:
    """Several AI coding agents work on one repository and must agree before the work moves on.

    See it first:  egg demo
    """
    # Agents, who type commands thousands of times, import nothing for it.
    if ctx.invoked_subcommand not in OF_NO_STACK and not shell.is_agents():
        from cli import versions

        versions.tell_of_stack()


def run() -> int:
    """Run one command; the process's exit code, one of `exit_codes.MEANINGS`."""
    streams.prepare()
    render.Written.is_document = False
    try:
        code = egg.main(standalone_mode=False)
        streams.finish()
    except click.Abort:
        return _ended(exit_codes.INTERRUPTED, "interrupted")
    except click.exceptions.NoSuchCommand as error:
        from cli import suggestions

        return _misused(click.UsageError(suggestions.told(error, egg, sys.argv[1:]), error.ctx))
    except click.ClickException as error:
        return _misused(error)
    except EggError as error:
        return _refused(error)
    except Exception as error:  # noqa: BLE001  the last one to see it: a bug gets a sentence, not a traceback
        refused = streams.refused(error)
        return _refused(refused) if refused else _bug(error)
    return code if isinstance(code, int) else exit_codes.DONE


def _misused(error: click.ClickException) -> int:
    """Say what cannot be done with what was typed."""
    with suppress(OSError):
        _harmless(error).show()
    return _ended(error.exit_code, flat(error.format_message()))


def _ended(code: int, message: str, **more: object) -> int:
    """Have a program that asked for JSON find why in it, as it would find the answer; *code*."""
    words = sys.argv[1:]
    asked = "--json" in (words[: words.index("--")] if "--" in words else words)
    if asked and not render.Written.is_document:
        # Where that cannot be written, the exit code says it.
        with suppress(OSError):
            render.write_json({"error": {"message": message, "exit_code": code, **more}})
            streams.finish()
    return code


def _harmless(error: click.ClickException) -> click.ClickException:
    """The same error on one line: what it quotes may be anybody's words. What is ours has lines."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError | options.Explained):
        return error
    said = flat(error.format_message())
    return (
        click.UsageError(said, error.ctx)
        if isinstance(error, click.UsageError)
        else click.ClickException(said)
    )


def _refused(error: EggError) -> int:
    """Say what was refused; a faulty definition file is a matter of usage, and says all its faults."""
    _say(hanging(f"error: {_of_the_disk(error)}{typed.hint(error.message, others=error.details)}"))
    lines = error.details.get("lines")
    for line in lines if isinstance(lines, list) else ():
        _say(line)
    details = {"details": error.details} if error.details else {}
    return _ended(exit_code(error), error.message, status=error.status, **details)


def exit_code(error: EggError) -> int:
    """The exit code of what was refused; only faults of a definition file, which have lines, are usage."""
    return exit_codes.USAGE if isinstance(error.details.get("lines"), list) else exit_codes.FAILED


def _of_the_disk(error: EggError) -> str:
    """What a full disk of the local stack adds to why the server is away: it may be all there is to say."""
    is_told = " disk " in error.message
    if is_told or not isinstance(error, Unavailable) or shell.is_agents():
        return ""
    from cli import server
    from egg_tasks import disk

    directory = server.own_home()
    short = disk.shortage(directory) if directory else None
    return f"{short}; " if short else ""


def _say(text: str) -> None:
    """Tell the person; where that cannot be written either, the exit code says it."""
    with suppress(OSError):
        render.say(text, err=True)


def _bug(error: Exception) -> int:
    """Say that this is our fault; the traceback only for who asks."""
    if shell.said("EGG_DEBUG") == "1":
        import traceback

        _say(indented(masked("".join(traceback.format_exception(error)))))
    said = f"{type(error).__name__}: {masked(str(error))}"
    _say(
        f"error: this is a bug in egg ({said}); please report it as CONTRIBUTING.md "
        "says, with what EGG_DEBUG=1 prints"
    )
    return _ended(exit_codes.FAILED, f"this is a bug in egg ({said})")
