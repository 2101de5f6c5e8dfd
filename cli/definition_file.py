"""Reads definition files: YAML or JSON in, a checked document out, every fault with its line."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import yaml

from cli import server, shell, streams, whereabouts
from cli.definition_notes import notes, of_providers, of_variables, past_networks
from cli.definition_repository import Far, Start, far_faults, resolved, start, submodule_notes
from cli.yaml_loader import MAX_BYTES, Loader
from cli.yaml_positions import Positions, duplicate_keys
from models.errors import Unprocessable
from models.schemas.definition import Definition, Fault, Faulty, validate
from models.schemas.source import is_remote, split

STDIN = Path("-")
_STEPS = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*((\.[A-Za-z0-9_-]+)|(\[[0-9]+\]))*")


class FaultyFile(Unprocessable):
    """A definition file is refused; `lines` says why, one fault each."""

    @classmethod
    def of(cls, name: str, lines: Sequence[str]) -> "FaultyFile":
        """Build the error of at least one line."""
        count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
        return cls(f"{name} has {count}; nothing was stored", {"lines": list(lines)})

    @property
    def lines(self) -> Sequence[str]:
        """Each fault as `file:line: path: what is wrong`."""
        return cast("list[str]", self.details["lines"])


@dataclass(frozen=True)
class Loaded:
    """A definition file as it was read: not yet a definition."""

    document: object
    positions: Positions
    faults: tuple[Fault, ...] = ()
    """What is wrong with it as a file: keys that stand twice."""


def load(path: Path, *, overrides: Sequence[tuple[str, str]] = ()) -> Loaded:
    """Read a file (`-`: standard input) and lay the overrides of `--set` over it; their values are YAML.

    Raises `FaultyFile` when it is no YAML or JSON, `Unprocessable` when it cannot be read at all.
    """
    name = named(path)
    text = _text(path)
    is_json = path.suffix.lower() == ".json"
    # In JSON a tab can only be white space, which YAML does not take it for.
    loaded = _parse(text.replace("\t", " ") if is_json else text, name)
    document = _parse_json(text, name) if is_json else loaded.document
    given = [_steps(key) for key, _ in overrides]
    return Loaded(
        _laid_over(document, overrides), Positions(name, loaded.positions.root, given), loaded.faults
    )


def _laid_over(document: object, overrides: Sequence[tuple[str, str]]) -> object:
    for key, value in overrides:
        document = _replaced(document, _steps(key), _parse(value, f"--set {key}").document, key)
    return document


def named(path: Path) -> str:
    """What a definition file is called where its faults are told."""
    return "<stdin>" if path == STDIN else str(path)


def _text(path: Path) -> str:
    if path == STDIN:
        return streams.read().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    try:
        with path.open("rb") as file:
            found = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unprocessable(f"cannot read {path}: {error.strerror}") from error
    if len(found) > MAX_BYTES:
        raise FaultyFile.of(str(path), [f"{path}: is larger than {MAX_BYTES // 2**20} MiB"])
    try:
        return found.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise FaultyFile.of(str(path), [f"{path}: is not UTF-8 text"]) from error


@dataclass(frozen=True)
class Checked:
    """A definition file without a fault, and what it is submitted with."""

    name: str
    positions: Positions
    document: Mapping[str, object]
    """The definition, `repo` absolute and without a password; `base_commit` in it where that is known."""
    source: str = field(repr=False)
    """The repository as git is to be given it."""
    notes: tuple[str, ...] = ()
    """What a person should know before it runs."""
    file: Path | None = None
    """Where it was read from; None for what was stored."""
    overrides: Sequence[tuple[str, str]] = ()
    """What was set over it."""

    @property
    def definition(self) -> Definition:
        """The same document, understood."""
        return validate(self.document)

    def refused(self, faults: Iterable[Fault]) -> FaultyFile:
        """Build the error of faults that were found later."""
        return FaultyFile.of(self.name, faults_with_lines(faults, self.positions))


def read(path: Path, *, overrides: Sequence[tuple[str, str]] = ()) -> Mapping[str, object]:
    """Read, validate and check a definition file; the document to submit, its `repo` absolute.

    Raises `FaultyFile` with every fault there is.
    """
    return check(path, overrides=overrides).document


def check(path: Path, *, overrides: Sequence[tuple[str, str]] = (), far: Far = Far.ASKED) -> Checked:
    """Read, validate and check a definition file, its repository too.

    Raises `FaultyFile` with every fault there is.
    """
    loaded = load(path, overrides=overrides)
    file = None if path == STDIN else path.absolute()
    checked = _checked(loaded, directory=path.absolute().parent, file=file, far=far)
    return replace(checked, file=file, overrides=overrides)


def check_stored(
    document: Mapping[str, object], *, name: str, overrides: Sequence[tuple[str, str]] = (), far: Far
) -> Checked:
    """The same for a definition that a server has kept; *name* is what it is called in faults."""
    given = [_steps(key) for key, _ in overrides]
    laid = _laid_over(dict(document), overrides)
    loaded = Loaded(laid, Positions(name, None, given))
    return replace(_checked(loaded, directory=Path.cwd(), far=far), overrides=overrides)


def _checked(loaded: Loaded, *, directory: Path, far: Far, file: Path | None = None) -> Checked:
    """Validate what was read; its `repo` is taken from *directory*."""
    name = loaded.positions.name
    faults = list(loaded.faults)
    definition = None
    try:
        definition = validate(loaded.document)
    except Faulty as error:
        faults.extend(error.faults)
    document = dict(loaded.document) if isinstance(loaded.document, Mapping) else {}
    found = None
    if all(fault.path[:1] not in {("repo",), ("base",), ("base_commit",)} for fault in faults):
        try:
            found = _repository(document, directory=directory, far=far)
        except Faulty as error:
            faults.extend(error.faults)
    if faults or definition is None:
        raise FaultyFile.of(name, faults_with_lines(faults, loaded.positions))
    source = str(document["repo"])
    document["repo"] = split(source)[0]
    is_here = far is not Far.ELSEWHERE
    told = tuple(
        of_variables(definition, shell.environ() if is_here else None, server.secrets() if is_here else None)
    )
    told += tuple(whereabouts.warnings(definition))
    told += tuple(past_networks(definition))
    told += tuple(of_providers(definition, server.home())) if is_here else ()
    told += tuple(notes(definition, found.source, found.commit, file=file)) if found else ()
    if found and far is Far.ASKED:
        told += tuple(submodule_notes(found))
    return Checked(name, loaded.positions, document, source, told)


def _repository(document: dict[str, object], *, directory: Path, far: Far) -> Start | None:
    """Make `repo` absolute, and find what `base` names there; None for a URL. `Faulty` if that fails."""
    repo, base = document.get("repo"), document.get("base_commit") or document.get("base")
    if not isinstance(repo, str) or not (base is None or isinstance(base, str)):
        return None
    document["repo"] = resolved(repo, directory=directory)
    if is_remote(repo):
        if faults := list(far_faults(repo, base=base, far=far)):
            raise Faulty.of(faults)
        return None
    found = start(str(document["repo"]), base=base)
    document["base_commit"] = found.commit
    return found


def faults_with_lines(faults: Iterable[Fault], positions: Positions) -> list[str]:
    """Write each fault as `file:line: path: what is wrong`, in the order of the file."""
    written: list[tuple[float, str]] = []
    for fault in faults:
        line = positions.line(fault.path)
        if positions.is_overridden(fault.path):
            written.append((float("inf"), f"--set {fault}"))
        else:
            written.append((line or 0, f"{positions.name}:{line or 1}: {fault}"))
    return [text for _, text in sorted(written, key=lambda each: each[0])]


def _parse(text: str, name: str) -> Loaded:
    try:
        loader = Loader(text)
        root = loader.get_single_node()
        # Before the values are made: that lays merged keys (`<<`) among a mapping's own.
        faults = tuple(duplicate_keys(root))
        document = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise FaultyFile.of(name, [f"{where}: {error.problem or error.context}"]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise FaultyFile.of(name, [f"{name}:{line}: holds a control character"]) from error
    except RecursionError as error:
        raise FaultyFile.of(name, [f"{name}: is nested too deeply"]) from error
    return Loaded(document, Positions(name, root), faults)


def _parse_json(text: str, name: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FaultyFile.of(name, [f"{name}:{error.lineno}:{error.colno}: {error.msg}"]) from error
    except (ValueError, RecursionError) as error:
        raise FaultyFile.of(name, [f"{name}: is nested too deeply, or holds too long a number"]) from error


def _steps(key: str) -> tuple[str | int, ...]:
    """Read a path as people write it: `config.max_rounds`, `phases[0].mode`."""
    if not _STEPS.fullmatch(key):
        raise Unprocessable(f"--set {key}: write a path such as config.max_rounds or phases[0].mode")
    return tuple(int(step) if step.isdecimal() else step for step in re.findall(r"[^.\[\]]+", key))


def _replaced(node: object, steps: tuple[str | int, ...], value: object, key: str) -> object:
    """Copy *node* with *value* at the end of *steps*; mappings on the way are made when they are missing."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int) and isinstance(node, list) and step < len(node):
        return [*node[:step], _replaced(node[step], rest, value, key), *node[step + 1 :]]
    if isinstance(step, str) and (node is None or isinstance(node, dict)):
        present = node or {}
        return {**present, step: _replaced(present.get(step), rest, value, key)}
    raise Unprocessable(f"--set {key}: the file has no place for `{step}`")
