"""What a stranger may have meant by a command that does not exist. Read only when one is refused."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

import click

from cli import typed
from models.foreign import flat

SUGGESTED = 3
ALIKE = 0.75
"""How much of a word a slip of it must have, as difflib measures."""
OF_ANY_GROUP: Mapping[str, str] = {
    **dict.fromkeys(("ls", "all", "index"), "list"),
    **dict.fromkeys(("show", "view", "info", "describe", "inspect", "details", "cat"), "get"),
    **dict.fromkeys(("rm", "remove", "del", "destroy"), "delete"),
    **dict.fromkeys(("new", "add", "make"), "create"),
}
"""What a word means in each group that has such a command."""

MEANT: Mapping[str, Mapping[tuple[str, ...], Sequence[str]]] = {
    "": {
        ("list", "ls", "jobs"): ["pipeline list"],
        ("ps",): ["status", "agent list"],
        ("top", "monitor", "follow", "attach", "view"): ["watch"],
        ("show", "get", "inspect", "describe", "info", "report"): ["pipeline get", "status"],
        ("start",): ["up", "pipeline start", "run"],
        ("server", "serve"): ["up"],
        ("stop",): ["pipeline cancel", "agent stop", "down"],
        ("kill",): ["agent stop", "pipeline cancel"],
        ("cancel", "abort", "terminate", "end"): ["pipeline cancel"],
        ("shutdown", "exit", "quit"): ["down"],
        ("halt", "freeze"): ["stop-all", "pipeline pause"],
        ("restart",): ["pipeline rerun", "phase restart"],
        ("rerun", "again", "redo", "repeat"): ["pipeline rerun"],
        ("retry",): ["agent retry", "pipeline rerun"],
        ("pause",): ["pipeline pause"],
        ("resume", "continue", "unpause"): ["pipeline resume"],
        ("extend",): ["pipeline extend"],
        ("rebase",): ["pipeline rebase"],
        ("delete", "rm", "remove", "del"): ["pipeline delete"],
        ("clean", "cleanup", "prune", "purge"): ["gc"],
        ("create", "submit"): ["run", "pipeline create"],
        ("new", "setup", "bootstrap", "install"): ["init"],
        ("launch", "exec", "go"): ["run"],
        ("tutorial", "quickstart", "example", "try"): ["demo"],
        ("answer", "resolve", "approve", "reject", "reply"): ["decision resolve"],
        ("ask",): ["decision ask", "decision create"],
        ("inbox", "questions", "todo"): ["decision list"],
        ("send", "say", "tell"): ["message send"],
        ("poll", "receive", "read"): ["message poll", "message list"],
        ("chat", "talk", "conversation"): ["message list"],
        ("ready", "done", "readiness", "blocked", "objecting"): ["signal readiness"],
        ("progress",): ["signal progress"],
        ("heartbeat",): ["signal heartbeat"],
        ("tail", "output"): ["logs", "agent logs"],
        ("changes", "patch"): ["diff"],
        ("switch",): ["checkout"],
        ("pull", "fetch", "take"): ["merge", "checkout"],
        ("history", "timeline"): ["events"],
        ("explain", "reason", "blockers"): ["why"],
        ("config", "configure", "set"): ["settings"],
        ("check", "lint", "verify", "test"): ["validate", "doctor"],
        ("health", "diagnose", "debug"): ["doctor"],
        ("migrate", "upgrade"): ["db upgrade"],
        ("advance", "skip", "next"): ["phase advance"],
        ("accept",): ["phase advance", "decision resolve"],
        ("version",): ["--version"],
        ("help",): ["--help"],
    },
    "pipeline": {
        ("stop", "kill", "abort", "end", "terminate"): ["pipeline cancel", "pipeline pause"],
        ("run", "submit"): ["run", "pipeline create"],
        ("retry", "restart", "again", "repeat", "redo"): ["pipeline rerun"],
        ("continue", "unpause", "unfreeze"): ["pipeline resume"],
        ("log",): ["agent logs", "events"],
        ("answer", "approve"): ["decision resolve"],
    },
    "agent": {
        ("kill", "cancel", "abort", "end"): ["agent stop"],
        ("restart", "rerun", "run", "start", "again"): ["agent retry"],
        ("log", "output", "tail"): ["agent logs"],
        ("message", "tell", "send"): ["message send"],
    },
    "phase": {
        ("skip", "next", "accept", "finish"): ["phase advance"],
        ("retry", "rerun", "redo", "again"): ["phase restart"],
    },
    "decision": {
        ("answer", "reply", "approve", "reject", "accept", "give", "choose", "set"): ["decision resolve"],
        ("pending", "inbox", "open"): ["decision list"],
        ("new", "make"): ["decision create"],
    },
    "message": {
        ("post", "write", "say", "reply", "create", "new"): ["message send"],
        ("read", "receive", "fetch", "wait", "inbox"): ["message poll", "message list"],
        ("get", "show", "history", "view", "cat"): ["message list"],
        ("count", "stats"): ["message status"],
    },
    "signal": {
        ("ready", "done", "finish", "finished", "working", "blocked", "objecting", "verdict"): [
            "signal readiness"
        ],
        ("fail", "failed"): ["signal error"],
        ("alive", "ping"): ["signal heartbeat"],
    },
    "result": {
        ("get", "show", "view"): ["result list"],
        ("post", "send", "add", "create", "report"): ["result submit"],
    },
    "settings": {("list", "show", "ls"): ["settings"], ("remove", "rm", "delete"): ["settings unset"]},
    "db": {("migrate",): ["db upgrade"], ("version", "status", "show"): ["db current"]},
    "worker": {("agent",): ["worker agents"], ("start", "run"): ["worker control", "worker agents"]},
}
"""By group (the first has those of the top), what words mean that are none of its commands."""


def told(error: click.exceptions.NoSuchCommand, root: click.Group, words: Sequence[str]) -> str:
    """The refusal of a command, with what may have been meant; *words* are all that was typed."""
    context = error.ctx
    assert context is not None, "click gives it"  # noqa: S101
    group, word = context.command, error.command_name
    assert isinstance(group, click.Group), "only a group has commands"  # noqa: S101
    name = "" if group is root else str(context.info_name)
    rest = list(words)[list(words).index(word) + 1 :] if word in words else []
    lines = [_line(root, command, rest) for command in meant(root, name, word)]
    if not lines:
        return f"No such command '{flat(word)}'."
    ways = ", or ".join(f"`{line}`" for line in lines)
    return f"No such command '{flat(word)}'. Did you mean {typed.hint(ways)}?"


def meant(root: click.Group, name: str, word: str) -> Sequence[str]:
    """The commands *word* may mean at the top or in the group called *name*, the likeliest first."""
    here = known(root, name)
    table = {each: commands for spellings, commands in MEANT.get(name, {}).items() for each in spellings}
    alike = {f"{noun}s": [f"{noun} list"] for noun in root.list_commands(_no_context(root))}
    alike |= {
        spelling: [f"{name} {verb}"] for spelling, verb in OF_ANY_GROUP.items() if name and verb in here
    }
    # What is a command at the top is one wherever it is typed.
    above = {each: [each] for each in known(root, "") if name}
    own = {each: [f"{name} {each}".strip()] for each in here}
    all_known = {**alike, **above, **table, **own}
    plain = word.casefold().lstrip("-")
    found = all_known.get(plain)
    if found is None:
        near = get_close_matches(plain, all_known, n=2, cutoff=ALIKE)
        # A noun is as near as its plural.
        near = [each for each in near if each.removesuffix("s") not in near or not each.endswith("s")]
        found = list(dict.fromkeys(command for each in near for command in all_known[each]))
    return [command for command in found if command.startswith("-") or find(root, command)][:SUGGESTED]


def known(root: click.Group, name: str) -> Sequence[str]:
    """The commands of a group that can be seen; those of the top where *name* is empty."""
    group = find(root, name) if name else root
    if not isinstance(group, click.Group):
        return ()
    commands = {
        each: group.get_command(_no_context(group), each) for each in group.list_commands(_no_context(group))
    }
    return [each for each, command in commands.items() if command is not None and not command.hidden]


def find(root: click.Group, line: str) -> click.Command | None:
    """The command that is typed so behind `egg`; None if there is none."""
    command: click.Command | None = root
    for word in line.split():
        if not isinstance(command, click.Group):
            return None
        command = command.get_command(_no_context(command), word)
    return command


def _line(root: click.Group, command: str, rest: Sequence[str]) -> str:
    """What to type: with what was typed behind the wrong word, else with what the command must be given."""
    found = find(root, command)
    behind = shlex.join(rest) if rest and found else " ".join(_needed(found)) if found else ""
    return f"egg {command} {flat(behind)}".strip()


def _needed(command: click.Command) -> Iterator[str]:
    for each in command.params:
        if each.required:
            option = each.opts[0] if isinstance(each, click.Option) else ""
            yield f"{option} {each.make_metavar(_no_context(command))}".strip()


def _no_context(command: click.Command) -> click.Context:
    return click.Context(command)
