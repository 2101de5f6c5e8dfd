"""What others depend on, line by line: commands, HTTP, events, definition, settings, files, tasks in a queue.

`python -m tests.interface` writes tests/data/interface/<version>.json, which is done at a release; a test
compares what is there now with the last release.
"""

import ast
import dataclasses
import json
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

import cli
from cli.main import egg
from cli.reference import INTRODUCTION
from egg_tasks.api.app import create_app
from egg_tasks.settings_table import SETTINGS
from egg_tasks.stack.manifest import Manifest
from models.events import EventType
from models.schemas.definition import Definition

KEPT = Path(__file__).parent / "data/interface"
SOURCES = Path(cli.__file__).parents[1]
PACKAGES = ("cli", "egg_tasks", "models", "migrations")
SETTING = re.compile(r"[A-Z][A-Z0-9_]+")
BREAKING = "Changed (breaking)"
PLAIN = (str, int, float, bool, tuple, list)

Lines = dict[str, str]
"""By `kind: place: name`, what it is; what is only there is empty."""


def read() -> Lines:
    """Everything that is promised now."""
    found: Lines = {}
    parts = (_commands(egg, "egg"), _routes(), _events(), _definition(), _settings(), _tasks(), _others())
    for part in parts:
        found |= dict(part)
    return dict(sorted(found.items()))


def unannounced(before: Mapping[str, str], now: Mapping[str, str], changelog: str) -> list[str]:
    """What is gone or is something else, and whose name is not under *Changed (breaking)* of Unreleased."""
    unreleased = changelog.partition("## Unreleased\n")[2].partition("\n## ")[0]
    sections = re.split(r"^### ", unreleased, flags=re.MULTILINE)
    breaking = "".join(section for section in sections if section.startswith(BREAKING))
    said = re.findall(r"`([^`]+)`", breaking)
    # What was only there may say more of itself now.
    lost = [line for line, what in before.items() if line not in now or (what and now[line] != what)]
    return [
        f"{line} ({before[line] or 'there'} before, {now.get(line, 'gone')} now)"
        for line in lost
        if not any(line.rpartition(": ")[2] in words for words in said)
    ]


def last_release() -> Path:
    """The interface of the newest release that is kept."""
    return max(KEPT.glob("*.json"), key=lambda path: [int(number) for number in path.stem.split(".")])


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    yield f"command: {name}", ""
    for each in command.params:
        kind = "argument" if isinstance(each, click.Argument) else "option"
        default = each.default if isinstance(each.default, PLAIN) else None
        what = {
            "type": list(each.type.choices) if isinstance(each.type, click.Choice) else each.type.name,
            "required": each.required,
            "default": default,
            "nargs": each.nargs,
        }
        for spelled in (*each.opts, *each.secondary_opts):
            yield f"{kind}: {name}: {spelled}", json.dumps(what, default=str)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            inner = command.get_command(context, word)
            assert inner is not None
            yield from _commands(inner, f"{name} {word}")


def _routes() -> Iterator[tuple[str, str]]:
    document = create_app().openapi()
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            name = f"{method.upper()} {path}"
            yield f"route: {name}", ""
            for each in route.get("parameters", ()):
                what = {"in": each["in"], "required": each.get("required", False), **_kind(each["schema"])}
                yield f"parameter: {name}: {each['name']}", json.dumps(what, sort_keys=True)
            yield from _fields(f"body: {name}", _json_of(route.get("requestBody", {})), document, ())
            for status, answer in route["responses"].items():
                if status.startswith("2"):
                    yield f"answer: {name}: {status}", ""
                    yield from _fields(f"answer: {name}", _json_of(answer), document, (), is_answer=True)


def _json_of(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a body that is JSON; an empty one for any other."""
    schema: Mapping[str, Any] = described.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _definition() -> Iterator[tuple[str, str]]:
    schema = Definition.model_json_schema()
    yield from _fields("definition", schema, schema, ())


def _fields(
    place: str,
    schema: Mapping[str, Any],
    document: Mapping[str, Any],
    above: tuple[str, ...],
    *,
    is_answer: bool = False,
) -> Iterator[tuple[str, str]]:
    """The fields of a JSON schema and of those in it, by path; what holds itself is not entered again."""
    for part in _parts(schema):
        if (reference := part.get("$ref")) and reference not in above:
            target = document
            for step in reference.removeprefix("#/").split("/"):
                target = target[step]
            yield from _fields(place, target, document, (*above, reference), is_answer=is_answer)
        for name, field in part.get("properties", {}).items():
            what = _kind(field) | ({} if is_answer else {"required": name in part.get("required", ())})
            yield f"{place}: {name}", json.dumps(what, sort_keys=True)
            yield from _fields(f"{place}.{name}", field, document, above, is_answer=is_answer)


def _parts(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A schema, and what it says its value or its members may be."""
    yield schema
    for word in ("anyOf", "allOf", "oneOf"):
        for each in schema.get(word, ()):
            yield from _parts(each)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from _parts(schema[word])
    for each in schema.get("patternProperties", {}).values():
        yield from _parts(each)


def _kind(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a value may be, and its default."""
    kinds = {str(part.get("type") or part.get("$ref")) for part in _parts(schema)} - {"None"}
    said = {name: schema[name] for name in ("default", "enum") if name in schema}
    return {"type": sorted(kinds), **said}


def _tasks() -> Iterator[tuple[str, str]]:
    """Tasks and their arguments in order: what the release before has sent lies in the queue of the next."""
    for tree in _trees("egg_tasks/tasks"):
        for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
            for sent in (each for each in function.decorator_list if isinstance(each, ast.Call)):
                if ast.unparse(sent.func) == "app.task":
                    (name,) = (_text(word.value) for word in sent.keywords if word.arg == "name")
                    taken = [each for each in function.args.args if each.arg != "self"]
                    yield f"task: {name}", ", ".join(ast.unparse(each) for each in taken)


def _events() -> Iterator[tuple[str, str]]:
    """The types that are told."""
    for tree in _trees("egg_tasks/services", "egg_tasks/api"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "EventType":
                yield f"event: {EventType[node.attr]}", ""


def _settings() -> Iterator[tuple[str, str]]:
    """Variables of ours wherever they are named, and others where they are read, with their defaults."""
    nodes = [node for tree in _trees(*PACKAGES) for node in ast.walk(tree)]
    defaults = {setting.variable: setting.default for setting in SETTINGS if setting.variable}
    for call in (node for node in nodes if isinstance(node, ast.Call)):
        words = [_text(argument) for argument in call.args]
        defaults |= {
            name: default for name, default in pairwise(words) if default and name.startswith("EGG_")
        }
    for node in nodes:
        name = _text(node) if _text(node).startswith("EGG_") else _read_variable(node)
        if SETTING.fullmatch(name) and not name.endswith("_"):
            yield f"setting: {name}", defaults.get(name, "")


def _read_variable(node: ast.AST) -> str:
    """The variable of the environment that is read here; empty for anything else."""
    if isinstance(node, ast.Subscript) and "environ" in ast.unparse(node.value):
        return _text(node.slice)
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("environ.get"):
        return _text(node.args[0])
    return ""


def _others() -> Iterator[tuple[str, str]]:
    codes = INTRODUCTION.partition("Exit codes: ")[2].partition("\n\n")[0]
    for code in " ".join(codes.split()).rstrip(".").split(" · "):
        number, _, meaning = code.partition(" ")
        yield f"exit code: exit code {number}", meaning
    for each in dataclasses.fields(Manifest):
        yield f"file: stack.json: {each.name}", ""
    for setting in SETTINGS:
        if setting.key:
            yield f"file: settings.toml: {setting.key}", f"{setting.kind}, {setting.default}"


def _trees(*folders: str) -> Iterator[ast.Module]:
    for folder in folders:
        for path in sorted((SOURCES / folder).rglob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


if __name__ == "__main__":
    from importlib.metadata import version

    kept = KEPT / f"{sys.argv[1] if sys.argv[1:] else version('egg-tasks')}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(read(), indent=1) + "\n", encoding="utf-8")
