"""Options that several commands share."""

import functools
import json
import re
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import click

from cli import completing, shell, streams

F = TypeVar("F", bound=Callable[..., Any])

SIZE = re.compile(r"([0-9]{1,18})([KMGT]?)(i?B)?", re.IGNORECASE)


class Size(click.ParamType[int]):
    """A number of bytes, as people write it: 1048576, 512K, 256M, 1G."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        found = SIZE.fullmatch(str(value).strip())
        if not found:
            self.fail(f"{value!r} is no size: write 512M or 1G", param, ctx)
        power = " KMGT".index(found[2].upper() or " ")
        return int(found[1]) << 10 * power


class Word(click.Choice[str]):
    """One of some words, in capitals or not; it is refused, and shown in help, as the words are spelled."""

    def __init__(self, *words: object) -> None:
        super().__init__([str(word) for word in words])
        self._is_upper = all(word.isupper() for word in self.choices)

    def normalize_choice(self, choice: object, ctx: click.Context | None) -> str:  # noqa: ARG002  click's
        """The word as it is spelled."""
        return str(choice).upper() if self._is_upper else str(choice).lower()


class Explained(click.UsageError):
    """What was typed lacks something, in lines of ours that explain it."""


pipeline_argument = click.argument("pipeline", metavar="PIPELINE", shell_complete=completing.pipelines)
run_argument = click.argument("run", shell_complete=completing.runs)
phase_argument = click.argument("name", metavar="PHASE", shell_complete=completing.phases)
decision_argument = click.argument("number", metavar="ID", type=int, shell_complete=completing.decisions)


def output(command: F) -> F:
    """Add --json, and hand the command `output`: "json" or ""."""
    return click.option("--json", "output", flag_value="json", default="", help="Print one JSON document.")(
        command
    )


def json_anyway(command: F) -> F:
    """Add --json to a command whose answer is JSON whether one says so or not."""
    return click.option("--json", is_flag=True, expose_value=False, help="It is JSON anyway.")(command)


def listing(command: F) -> F:
    """Add --json, --jsonl and --table, and hand the command `output`: "json", "jsonl", "table" or ""."""
    lines = click.option("--jsonl", "output", flag_value="jsonl", help="Print one JSON object a line.")
    table = click.option(
        "--table", "output", flag_value="table", help="Print a table with titles, also in a pipe."
    )
    return output(lines(table(command)))


_pipeline_option = click.option(
    "--pipeline",
    envvar=["EGG_PIPELINE_ID", "PIPELINE_ID"],
    shell_complete=completing.pipelines,
    help="The pipeline; agents have it in EGG_PIPELINE_ID.",
)
WHICH = "Which pipeline? Give PIPELINE (agents have EGG_PIPELINE_ID)."


def own_pipeline(command: Callable[..., None]) -> Callable[..., None]:
    """Add PIPELINE, optional, and --pipeline; agents have it in their environment."""
    return _pipeline_or(command, is_needed=lambda: True)


def words_in_pipeline(command: Callable[..., None]) -> Callable[..., None]:
    """Add PIPELINE and --pipeline as `own_pipeline` does, and TEXT behind it: the command's `text`.

    Who has a pipeline otherwise need not name it: all words are the text then, but for its name as the first.
    """

    @click.argument("words", metavar="[PIPELINE] [TEXT]...", nargs=-1, shell_complete=completing.pipelines)
    @_pipeline_option
    @functools.wraps(command)
    def chosen(*, words: tuple[str, ...], pipeline: str | None, **rest: Any) -> None:
        named = words[:1] if words[:1] == (pipeline,) or not pipeline else ()
        found = named[0] if named else pipeline
        if not found:
            raise click.UsageError(WHICH)
        command(pipeline=found, text=" ".join(words[len(named) :]), **rest)

    return chosen


def any_pipeline(command: Callable[..., None]) -> Callable[..., None]:
    """Add PIPELINE and --pipeline as `own_pipeline` does; a person who gives none means them all."""
    return _pipeline_or(command, is_needed=shell.is_agents)


def _pipeline_or(command: Callable[..., None], *, is_needed: Callable[[], bool]) -> Callable[..., None]:
    @click.argument(
        "pipeline_argument", metavar="[PIPELINE]", required=False, shell_complete=completing.pipelines
    )
    @_pipeline_option
    @functools.wraps(command)
    def chosen(*, pipeline_argument: str | None, pipeline: str | None, **rest: Any) -> None:
        found = pipeline_argument or pipeline
        if not found and is_needed():
            raise click.UsageError(WHICH)
        command(pipeline=found, **rest)

    return chosen


def definition(command: Callable[..., None]) -> Callable[..., None]:
    """Add FILE, and hand the command `file`: a definition, or the repository's egg.yaml if none is named."""
    from pathlib import Path

    @click.argument("file", metavar="[FILE]", type=click.Path(path_type=Path), required=False)
    @functools.wraps(command)
    def chosen(*, file: Path | None, **rest: Any) -> None:
        from cli import definition_choice

        command(file=file or definition_choice.nearest(Path.cwd()), **rest)

    return chosen


def overrides(command: Callable[..., None]) -> Callable[..., None]:
    """Add --set, --name, --repo and --prompt, and hand the command `given`: paths in the file with YAML."""

    @click.option(
        "--set", "settings", multiple=True, metavar="K=V", help="Set one value of the file; V is YAML."
    )
    @click.option("--name", help="The pipeline's id.")
    @click.option("--repo", help="The repository: a path, or a git URL.")
    @click.option("--prompt", help="What is to be done; - reads standard input.")
    @functools.wraps(command)
    def chosen(
        *, settings: tuple[str, ...], name: str | None, repo: str | None, prompt: str | None, **rest: Any
    ) -> None:
        spoken = {
            "name": name,
            "repo": repo and _from_here(repo),
            "prompt": prompt and read_text(prompt),
        }
        given = [setting(text) for text in settings]
        # A JSON string is a YAML string, whatever it looks like.
        given += [(key, json.dumps(text, ensure_ascii=False)) for key, text in spoken.items() if text]
        command(given=given, **rest)

    return chosen


class Duration(click.ParamType[float]):
    """How long: a number of seconds, or with s, m, h or d behind it."""

    name = "duration"
    seconds: ClassVar[dict[str, int]] = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600}

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds it stands for."""
        found = re.fullmatch(r"([0-9]+(?:[.][0-9]+)?)([smhd]?)", str(value).strip())
        if found is None or not float(found[1]):
            self.fail(f"{value!r} is not a time: give 90, 90s, 30m, 2h or 1d", param, ctx)
        return float(found[1]) * self.seconds[found[2]]


def following(command: F) -> F:
    """Add --wait and --timeout, to commands that follow a pipeline."""
    wait = click.option("--wait", is_flag=True, help="End with exit code 3 as soon as a person is asked.")
    timeout = click.option(
        "--timeout",
        type=Duration(),
        metavar="TIME",
        help="End with exit code 4 after 90s, 30m or 2h; the pipeline goes on.",
    )
    return wait(timeout(command))


def detaching(command: F) -> F:
    """Add --detach, to commands that start a pipeline and follow it."""
    return click.option("--detach", is_flag=True, help="Start it, print its id, and go.")(command)


def setting(text: str) -> tuple[str, str]:
    """K=V in its two parts."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise click.BadParameter(f"--set must look like config.max_rounds=4, not {text!r}")
    return key, value


def _from_here(repo: str) -> str:
    """A path that was typed is meant from where it was typed, not from the file; a URL stays."""
    from pathlib import Path

    return repo if ":" in repo.partition("/")[0] else str(Path(repo).expanduser().absolute())


def own_role(command: F) -> F:
    """Add --role: agents may say who they are, and it must agree with their credential."""
    option: Callable[[F], F] = click.option(
        "--role",
        shell_complete=completing.roles,
        help="Your role, if you want it checked; your credential says it anyway.",
    )
    return option(command)


def read_text(given: str) -> str:
    """What was given, or standard input for `-`."""
    return streams.read() if given == "-" else given
