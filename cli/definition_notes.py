"""What a person should know of a sound definition before it runs: what its agents will not find."""

import itertools
import os
import posixpath
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from egg_tasks import secret_files, settings_file
from egg_tasks.workspace.git import GitFailed
from egg_tasks.workspace.sources import Source
from models.errors import EggError, NotSet
from models.schemas.definition import Agent, Definition
from models.schemas.variables import looks_like_a_key

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
LANGUAGES = re.compile(r"(python|ruby|perl|php)[0-9.]*|Rscript")
EXECUTABLE = "100755"
UNKNOWN_BEYOND = frozenset({"120000", "160000"})
"""Links and submodules: what lies behind them is not in the commit."""


@dataclass(frozen=True)
class NamedFile:
    """A file of the repository that the definition names."""

    where: str
    path: str
    is_started: bool
    """Whether it is itself the program, rather than what a program reads."""
    is_bare: bool = False
    """Whether it is a mere name, which is looked for on the PATH and was not found there."""


def notes(definition: Definition, source: Source, commit: str, *, file: Path | None = None) -> Iterator[str]:
    """Say which of the files it names *commit* lacks, and how many of a person's agents will not see.

    The definition's own *file* is none that agents need.
    """
    changed = source.uncommitted()
    made = _made_by_set_ups(definition)
    for named in dict.fromkeys(_named(definition)):
        if any(PurePosixPath(named.path).is_relative_to(path) for path in made):
            continue
        if sentence := _lack(named, source, commit, changed or frozenset()):
            yield f"{named.where}: {sentence}"
    if sentence := unseen(source, but=file, changed=changed):
        yield sentence


def _made_by_set_ups(definition: Definition) -> frozenset[str]:
    """What set-ups are said to make, and so is in no commit."""
    set_ups = (definition.workspace, *(agent.workspace for agent in definition.agents.values()))
    return frozenset(path for each in set_ups if each and each.cache for path in each.cache.paths)


def of_variables(
    definition: Definition, environ: Mapping[str, str] | None, secrets: Path | None
) -> Iterator[str]:
    """Say which variables hold what should not be stored, and which are not at hand, where that counts.

    *environ* is this shell's, *secrets* the directory of this machine's.
    """
    for name, agent in definition.agents.items():
        where = f"agents.{name}.environment"
        for variable, value in agent.literals.items():
            if looks_like_a_key(variable, value):
                yield (
                    f"{where}.{variable}: looks like a key, and would be stored and shown with the pipeline: "
                    f"put it into your shell and write {{from: {variable}}}, or into a file for secrets and "
                    f"write {{secret: {variable}}}"
                )
        for variable, source in agent.taken.items():
            if environ is not None and not environ.get(source):
                yield (
                    f"{where}.{variable}: {source} is not set in this shell; the agent starts only if it "
                    "was in the one in which `egg up` was typed"
                )
        yield from _lacking(name, agent, secrets) if secrets else ()


def _lacking(name: str, agent: Agent, secrets: Path) -> Iterator[str]:
    for secret in dict.fromkeys(agent.secret.values()):
        try:
            secret_files.value(secrets, secret)
        except NotSet as error:
            yield f"agents.{name}: {error}"


def past_networks(definition: Definition) -> Iterator[str]:
    """Say which agents that are held to a network can send past it by a provider of models."""
    held = {
        seat.agent or seat.role: None
        for position, phase in enumerate(definition.phases)
        for seat in phase.roles
        for isolation in [definition.isolation_of(position, seat.role)]
        if isolation.container and not (isolation.network and isolation.network.mode == "open")
    }
    for name in held:
        if providers := definition.agents[name].providers:
            yield (
                f"agents.{name}.providers: `network` does not hold {' and '.join(providers)}: by tools of a "
                "provider's own (web search, MCP, what it loads by URL) it sends to any host; switch those "
                "off in the provider's account where that matters"
            )


def of_providers(definition: Definition, home: Path) -> Iterator[str]:
    """Say which providers of models this machine does not know, whose stack is in *home*."""
    try:
        known = settings_file.read(home).providers
    except EggError:
        return
    for name, agent in definition.agents.items():
        for provider in agent.providers:
            if provider not in known:
                yield (
                    f"agents.{name}.providers: {provider} is not known here, and the agent would not start: "
                    f"add [providers.{provider}] to {home / settings_file.NAME}"
                )


def unseen(source: Source, *, but: Path | None, changed: frozenset[str] | None = None) -> str | None:
    """Say how many files of a person's no commit holds, *but* their definition; None if there is none."""
    changed = source.uncommitted() if changed is None else changed
    own = os.path.relpath(but.resolve(), source.path.resolve()) if but else ""
    count = len((changed or frozenset()) - {own})
    if not count:
        return None
    files = "1 uncommitted file" if count == 1 else f"{count} uncommitted files"
    return f"{files} in {source.path} will not be seen by agents: commit what they need"


def _lack(named: NamedFile, source: Source, commit: str, changed: frozenset[str]) -> str | None:
    path = named.path
    parents = [posixpath.join(*path.split("/")[: depth + 1]) for depth in range(path.count("/") + 1)]
    try:
        modes = source.modes(commit, parents)
    except GitFailed:
        return None
    if any(modes.get(part) in UNKNOWN_BEYOND for part in parents):
        return None
    if named.is_bare:
        return f"{path} is looked for on the PATH alone: write ./{path}" if path in modes else None
    if path not in modes:
        return _missing(path, source, commit, changed)
    if named.is_started and modes[path] != EXECUTABLE:
        way = f"`git update-index --chmod=+x {shlex.quote(path)}`, then commit"
        return f"{path} is not executable in {commit[:10]}: {way}"
    if path in changed:
        return f"{path} has uncommitted changes, and agents get it as it is in {commit[:10]}: commit them"
    return None


def _missing(path: str, source: Source, commit: str, changed: frozenset[str]) -> str:
    here = source.has_files and (source.path / path).exists()
    if here and path in changed:
        way = f"`git add {shlex.quote(path)}`, then commit"
        return f"{path} is not committed, so agents will not find it: {way}"
    if here:
        return (
            f"{path} is not in {commit[:10]}, where agents start: commit it there (`git add -f` if ignored)"
        )
    return (
        f"{path} is not in {commit[:10]}, where agents start: add and commit it, unless a role makes it first"
    )


def _named(definition: Definition) -> Iterator[NamedFile]:
    for name, agent in definition.agents.items():
        yield from _of_command(f"agents.{name}.command", agent.command, agent.literals)
    for number, phase in enumerate(definition.phases):
        if phase.check:
            yield from _of_command(f"phases[{number}].check.run", _first_command(phase.check.run), {})


def _of_command(where: str, words: Sequence[str], environment: Mapping[str, str]) -> Iterator[NamedFile]:
    """The program of a command if it lies in the repository, or the script an interpreter is given."""
    program = words[0] if words else ""
    if "/" in program:
        yield from _inside(where, program, is_started=True)
        return
    if program and not _is_on_path(program, environment):
        yield from _inside(where, program, is_started=True, is_bare=True)
    script = _script(program, words[1:])
    if script and not (program in SHELLS and _is_on_path(script, environment)):
        yield from _inside(where, script, is_started=False)


def _inside(where: str, path: str, *, is_started: bool, is_bare: bool = False) -> Iterator[NamedFile]:
    normal = posixpath.normpath(path)
    if (
        not normal.startswith(("/", "../", "~"))
        and not re.search(r"[$`*?=\x00-\x1f\x7f]", normal)
        and normal not in {".", ".."}
    ):
        yield NamedFile(where, normal, is_started, is_bare)


def _script(program: str, words: Sequence[str]) -> str | None:
    """The file an interpreter reads; None where options may mean that it reads none."""
    if program not in SHELLS and not LANGUAGES.fullmatch(program):
        return None
    # Flags without a value; all else may be followed by code, a module's name or a value.
    flags = r"-[eux]+" if program in SHELLS else r"-[uBIsE]+" if program.startswith("python") else r"(?!)"
    rest = itertools.dropwhile(lambda word: re.fullmatch(flags, word), words)
    script = next(rest, "-")
    return None if script.startswith("-") else script


def _is_on_path(name: str, environment: Mapping[str, str]) -> bool:
    return "/" not in name and shutil.which(name, path=environment.get("PATH")) is not None


def _first_command(text: str) -> list[str]:
    """The words of a shell line's first command; none where only a shell could tell."""
    lexer = shlex.shlex(text.strip().partition("\n")[0], posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        for word in lexer:
            if set(word) <= set("();<>|&"):
                break
            words.append(word)
    except ValueError:
        return []
    return words
