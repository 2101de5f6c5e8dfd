"""egg init: a definition to begin with."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import options, render, server, shell, typed
from cli.definition_choice import NAME
from models.errors import Conflict, Unprocessable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.check_command import FoundCheck
    from cli.own_repository import Own


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--output", "target", metavar="FILE", help=f"Write another file than {NAME} at the top; - prints it."
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@options.output
def init(*, directory: Path, target: str | None, force: bool, output: str) -> None:
    """Write a definition to begin with, for your repository.

    The commented egg.yaml it writes runs as it is, with scripted agents that need no key and no model. Base
    branch and test command are found in the repository, of which nothing is run; DIRECTORY is any
    directory in it (default: this one).

    Example:  egg init
    """
    from cli import check_command, definition_notes, first_definition, own_repository
    from egg_tasks import agent_tools

    own = own_repository.around(directory)
    checks = check_command.find(own, path=agent_tools.agents_path(shell.environ(), server.home()))
    file = None if target == "-" else Path(target) if target else own.top / NAME
    text = first_definition.text(own, repo=_repo(own, file), checks=checks)
    if file is not None:
        _write(file, text, force=force)
    check = first_definition.chosen(checks)
    if output:
        shown = {"file": str(file.absolute())} if file else {"text": text}
        render.write_json({**shown, "repo": str(own.top), "base": own.base, "check": check and check.run})
    elif file is None:
        render.say(*text.splitlines())
    else:
        _tell(own, file, checks)
    if note := definition_notes.unseen(own.source, but=file):
        render.say(f"note: {note}", err=True)


def _repo(own: "Own", file: Path | None) -> str:
    """The repository as the file names it: from where that lies, if it lies in the repository."""
    place = (file.absolute().parent if file else Path.cwd()).resolve()
    top = own.top.resolve()
    return os.path.relpath(top, place) if place.is_relative_to(top) else str(top)


def _write(file: Path, text: str, *, force: bool) -> None:
    """Write the file whole or not at all, in no other's place unless that is wanted."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    if os.path.lexists(file) and not force:
        raise _taken(file)
    try:
        try:
            draft.write_text(text, encoding="utf-8")
            _place(draft, file, force=force)
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _taken(file) from error
    except OSError as error:
        raise Unprocessable(
            f"cannot write {file} ({error.strerror or error}): name another place, as in "
            "`egg init --output FILE`"
        ) from error


def _taken(file: Path) -> Conflict:
    return Conflict(
        f"{file} is there already, and is left as it is: `egg run` runs it, `egg init --force` writes over "
        "it, and `egg init --output FILE` writes another one"
    )


def _place(draft: Path, file: Path, *, force: bool) -> None:
    """Give the finished file its name. Unlike a rename, a link never takes the place of one that has come."""
    if not force:
        try:
            os.link(draft, file)
        except FileExistsError:
            raise
        except OSError:
            # A file system without such links.
            force = True
    if force:
        draft.replace(file)


def _tell(own: "Own", file: Path, checks: "Sequence[FoundCheck]") -> None:
    """Say what was written, what was found, and what to type next."""
    from cli import first_definition

    shown = file.name if file.absolute().parent == Path.cwd() else typed.path(file.absolute())
    base = f"base {own.base}" if own.base else "no branch is checked out, so the base is HEAD"
    check = first_definition.chosen(checks)
    found = f"check `{check.run}` ({check.why})" if check else _no_check(checks)
    render.say(f"wrote {shown}: {base}; {found}", err=True)
    # The one at the top is found from everywhere in the repository.
    name = "" if file == own.top / NAME else f" {shown}"
    render.say(
        "It runs as it is, with two scripted agents, no key and no model:",
        typed.hint("  egg run") + name,
        "Its comments say how to put in programs of yours.",
        err=True,
    )


def _no_check(checks: "Sequence[FoundCheck]") -> str:
    if not checks:
        return "no check, since no test command was found"
    return f"no check, since `{checks[0].run}` cannot run: {checks[0].lacks}"
