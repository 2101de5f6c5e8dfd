"""egg diff, log, checkout, merge and apply: a pipeline's work, in the person's own repository."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from cli import (
    completing,
    exit_codes,
    local_branch,
    options,
    pager,
    persons_git,
    persons_place,
    render,
    server,
    taking_over,
    typed,
    work_log,
)
from cli.pipeline_work import PipelineWork, find
from cli.taking_over import Takeover
from egg_tasks.client import Client, Json
from models.errors import NotFound
from models.foreign import indented, named

F = TypeVar("F", bound=Callable[..., Any])
NAMED = 10


def _of_pipeline(command: F) -> F:
    """Add PIPELINE, ROLE, -C and --json."""
    role = click.argument("role", required=False, shell_complete=completing.roles)
    place = click.option(
        "-C",
        "directory",
        metavar="DIR",
        default=".",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="As if you stood there.",
    )
    return options.pipeline_argument(role(place(options.output(command))))


@click.command()
@_of_pipeline
@click.option("--stat", is_flag=True, help="Only which files, and how much.")
@click.argument("paths", nargs=-1, type=click.Path())
def diff(
    *, pipeline: str, role: str | None, directory: Path, stat: bool, paths: tuple[str, ...], output: str
) -> None:
    """Show what a pipeline has changed since its base.

    Of one ROLE what its branch holds, with what it merged of others. In your pager and colours; in a pipe a
    patch, byte for byte. The work comes into your repository as branch egg/PIPELINE, or egg/PIPELINE@ROLE;
    a branch of yours is never moved. Paths go behind the role, or behind --.

    Example:  egg diff rate-limit --stat
    """
    client = server.operator()
    work, paths = _found(client, pipeline, role, paths)
    place, branch = _reading_place(directory, work)
    between = (work.start, work.commit, "--", *paths)
    if output:
        said = persons_git.ask(place, "diff-tree", "-r", "--numstat", "-z", "--no-renames", *between)
        files = [_counted(line) for line in said.split("\0") if line]
        render.write_json({**_about(work), "branch": branch, "base": work.start, "files": files})
    elif not render.is_terminal():
        persons_git.pass_through(place, "diff", *(["--stat"] if stat else []), *between)
    else:
        colours = pager.Paint.of(place).codes()
        kind = [f"--stat={_width()}"] if stat else []
        text = pager.git_lines(place, "diff", "--no-color", *kind, *between)
        lines = pager.stat_lines(text, colours) if stat else pager.diff_lines(text, colours)
        pager.show(place, lines, command="diff")


@click.command()
@_of_pipeline
def log(*, pipeline: str, role: str | None, directory: Path, output: str) -> None:
    """Show who made which version, the newest first.

    Each merged version with its commits, and what was objected to it. Of one ROLE the commits of its branch.

    Example:  egg log rate-limit
    """
    client = server.operator()
    work = find(client, pipeline, role)
    place, branch = _reading_place(directory, work)
    found = work_log.document(place, work, client.get(f"/pipelines/{pipeline}/phases")["phases"])
    if output:
        render.write_json({**_about(work), "branch": branch, "base": work.start, "log": found})
    elif not found:
        render.say(f"{pipeline} has changed nothing yet", err=True)
    else:
        pager.show(place, work_log.lines(found, pager.Paint.of(place).code("commit")), command="log")


@click.command()
@_of_pipeline
def checkout(*, pipeline: str, role: str | None, directory: Path, output: str) -> None:
    """Check a pipeline's work out, as branch egg/PIPELINE.

    Or a ROLE's, as egg/PIPELINE@ROLE. Refused while tracked files have uncommitted changes. Done again, it
    goes on to the work as it is then. A branch of yours is never moved: the work takes the next name.

    Example:  egg checkout rate-limit
    """
    work = find(server.operator(), pipeline, role)
    place = persons_place.to_work_in(directory, work, verb="checkout")
    persons_place.refuse_uncommitted(place, work, verb="checkout")
    before = place.here
    taken = taking_over.check_out(place, work)
    _tell(taken)
    _tell_state(work)
    sentences = [f"{taken.branch} is checked out, at {work.commit[:10]}"]
    if before != taken.branch:
        sentences.append(f"back: git checkout {before.removeprefix('HEAD at ')}")
    answer = {**_about(work), "branch": taken.branch, "repository": str(place.top)}
    render.answer(answer, *sentences, output=output)


@click.command()
@_of_pipeline
@click.option("-m", "--message", help="The merge's message; else git's own.")
@click.pass_context
def merge(
    ctx: click.Context, *, pipeline: str, role: str | None, directory: Path, message: str | None, output: str
) -> None:
    """Merge a pipeline's work into what you have checked out.

    Your git does it, as you, with your hooks. Refused while tracked files have uncommitted changes. Where it
    conflicts, that is said with the way on and the way back.

    Example:  egg merge rate-limit
    """
    work = find(server.operator(), pipeline, role)
    place = persons_place.to_work_in(directory, work, verb="merge")
    persons_place.refuse_uncommitted(place, work, verb="merge")
    _tell_state(work)
    into = place.here
    taken = taking_over.merge(place, work, message=message)
    _tell(taken)
    answer = {
        **_about(work), "branch": taken.branch, "repository": str(place.top), "into": into,
        "is_changed": taken.is_new, "conflicts": list(taken.conflicts),
    }  # fmt: skip
    if taken.conflicts:
        render.answer(answer, *_conflict(taken.branch, into, taken.conflicts), output=output)
        exit_codes.end(ctx, exit_codes.WAITS)
    elif not taken.is_new:
        render.answer(answer, f"{into} has all of it already", output=output)
    else:
        render.answer(answer, f"{taken.branch} is merged into {into}, at {place.head[:10]}", output=output)


@click.command()
@_of_pipeline
def apply(*, pipeline: str, role: str | None, directory: Path, output: str) -> None:
    """Put a pipeline's changes into your files, uncommitted.

    On top of what you have changed yourself; your index and branches stay as they are. Where both do not go
    together nothing is changed.

    Example:  egg apply rate-limit
    """
    work = find(server.operator(), pipeline, role)
    place = persons_place.to_work_in(directory, work, verb="apply")
    _tell_state(work)
    paths = taking_over.put_on_top(place, work)
    answer = {**_about(work), "repository": str(place.top), "paths": list(paths)}
    said = (
        f"changed, uncommitted: {named(paths, most=NAMED)}" if paths else "your files have all of it already"
    )
    render.answer(answer, said, output=output)


def _found(
    client: Client, pipeline: str, role: str | None, paths: tuple[str, ...]
) -> tuple[PipelineWork, tuple[str, ...]]:
    """The work, and what to look at of it: a file where a role may stand is a file."""
    try:
        return find(client, pipeline, role), paths
    except NotFound as error:
        if role is None or "roles" not in error.details:
            raise
        work = find(client, pipeline, None)
        if not (Path(role).exists() or persons_git.answer(work.source, "ls-tree", work.commit, "--", role)):
            raise
        return work, (role, *paths)


def _reading_place(directory: Path, work: PipelineWork) -> tuple[Path, str | None]:
    """Where to read the work, and the branch of it there: elsewhere, in the pipeline's own repository."""
    place = persons_place.around(directory, work)
    if place is None or local_branch.owner_to_be_spared(place.top or place.directory):
        why = (
            "you are not in the repository it began from" if place is None else "this repository is not yours"
        )
        render.say(f"{why} ({work.pipeline['repo']}): shown as egg has it", err=True)
        return work.source, None
    return place.directory, taking_over.looked_at(place, work)


def _about(work: PipelineWork) -> Json:
    return {
        "pipeline": work.name,
        "status": work.pipeline["status"],
        "role": work.role,
        "commit": work.commit,
    }


def _counted(line: str) -> Json:
    added, deleted, path = line.split("\t", 2)
    return {
        "path": path,
        "added": None if added == "-" else int(added),
        "deleted": None if deleted == "-" else int(deleted),
    }


def _width() -> int:
    return shutil.get_terminal_size().columns


def _tell_state(work: PipelineWork) -> None:
    """Say so where what is taken over is not what all have agreed on."""
    if work.is_final:
        return
    what = (
        f"{work.role}'s own branch, which may hold more and less than the work"
        if work.role
        else "the work as it is now"
    )
    render.say(f"{work.name} is {work.pipeline['status']}: this is {what}", err=True)


def _tell(taken: Takeover) -> None:
    """Say what git and the person's hooks said, and which of those did not run."""
    if taken.said:
        render.say(indented(taken.said), err=True)
    if taken.hooks_off:
        render.say(
            f"your hooks did not run: they are in {taken.hooks_off}, among the files that agents may change",
            err=True,
        )


def _conflict(branch: str | None, into: str, paths: Sequence[str]) -> Sequence[str]:
    return [
        f"{branch} and {into} conflict in {named(paths, most=NAMED)}:",
        "  mend what is between <<<<<<< and >>>>>>>, `git add` each file, then: git commit",
        typed.hint("  or give it up, as if nothing had been: git merge --abort"),
    ]
