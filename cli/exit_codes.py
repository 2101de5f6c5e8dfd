"""Exit codes: what each number means and which each command gives. Help and reference say it from here."""

from collections.abc import Mapping

import click

DONE = 0
FAILED = 1
USAGE = 2
WAITS = 3
TIMED_OUT = 4
CANCELLED = 5
PARTIAL = 6
INTERRUPTED = 130

MEANINGS: Mapping[int, str] = {
    DONE: "done",
    FAILED: "failed or refused",
    USAGE: "usage, or faults in a definition file",
    WAITS: "waits for a person",
    TIMED_OUT: "timed out",
    CANCELLED: "cancelled",
    PARTIAL: "ended partial",
    INTERRUPTED: "interrupted",
}
"""All there are; the same number means the same everywhere."""

EVERYWHERE: Mapping[int, str] = {
    DONE: "done",
    FAILED: "failed or refused",
    USAGE: "usage",
    INTERRUPTED: "interrupted",
}
"""What every command gives."""

OF_A_FILE = {USAGE: "usage, or faults in the file"}
OF_AN_END: Mapping[int, str] = {
    DONE: "complete",
    FAILED: "failed or refused",
    WAITS: "waits for a person (--wait)",
    TIMED_OUT: "a phase was aborted at its deadline, or --timeout is over",
    CANCELLED: "cancelled",
    PARTIAL: "complete, but lacking something",
    INTERRUPTED: "left with q or Ctrl-C, which changes nothing",
}
"""What following a pipeline to its end gives."""

OF: Mapping[str, Mapping[int, str]] = {
    "egg demo": {code: meaning for code, meaning in OF_AN_END.items() if code != WAITS},
    "egg status": {FAILED: "no server answers, or a process of the local stack does not run"},
    "egg doctor": {FAILED: "something that is needed is missing, or agents could not work in the image"},
    "egg run": {**OF_AN_END, **OF_A_FILE},
    "egg watch": OF_AN_END,
    "egg validate": {DONE: "sound", FAILED: "could not be looked at", **OF_A_FILE},
    "egg pipeline create": OF_A_FILE,
    "egg pipeline rebase": {
        DONE: "merged, or it waits for its turn",
        WAITS: "it conflicts, and you are asked",
    },
    "egg pipeline rerun": {**OF_AN_END, **OF_A_FILE},
    "egg merge": {DONE: "merged, or there was nothing to merge", WAITS: "it conflicts: mend it, or abort"},
    "egg decision get": {DONE: "answered", WAITS: "waits for a person"},
}
"""What a command gives besides, or means by it in particular."""

OF_ANOTHER_PROGRAM = frozenset(
    {"egg api", "egg gateway", "egg worker control", "egg worker agents", "egg reconcile", "egg flower"}
)
"""They become another program: they print no result of ours, and its exit code is its own."""
WITHOUT_RESULT = OF_ANOTHER_PROGRAM | {"egg completion", "egg example-agent"}
"""What prints nothing that could be JSON; a script for a shell is none, nor what an agent tells its log."""


def of(path: str) -> Mapping[int, str]:
    """The exit codes of the command that is typed as *path* (`egg run`), each with what it means."""
    return dict(sorted({**EVERYWHERE, **OF.get(path, {})}.items()))


def line(codes: Mapping[int, str]) -> str:
    """Exit codes as help and reference write them."""
    return "Exit codes: " + " · ".join(f"{code} {meaning}" for code, meaning in codes.items())


def describe(command: click.Command, path: str) -> None:
    """Write into the help of a command, and of all below it, which exit codes it gives."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            describe(below, f"{path} {name}")
    elif path not in OF_ANOTHER_PROGRAM:
        command.epilog = line(of(path))


def end(context: click.Context, code: int) -> None:
    """End the command with *code*; a bug if its help does not say that code."""
    names: list[str] = []
    at: click.Context | None = context
    while at is not None and at.parent is not None:
        names.insert(0, str(at.info_name))
        at = at.parent
    path = " ".join(["egg", *names])
    if code not in of(path):
        raise LookupError(f"`{path}` ends with {code}, which is not in cli.exit_codes.OF")
    context.exit(code)
