"""docs/reference/definition.md: every key of the definition file, from the models that read it."""

from collections.abc import Iterator

from models.schemas.definition import PARTS, FormatPart, json_schema
from models.schemas.fault import Path
from reference.markdown import Schema, bounds, code, default, kind, plain, table
from reference.shapes import words

INTRODUCTION = """\
# The definition file

Written from the models that read it by `make reference`; a test fails when it is not up to date.

YAML or JSON: one piece of work on one repository, who does it, and by which rules. `egg validate FILE`
names every fault with its line, `egg schema` prints the same as a JSON Schema for your editor, and `egg
init` writes one to start from. Unknown keys are refused. `--set PATH=VALUE` of `egg run` sets any of these
keys for one run (`--set config.max_rounds=2`, `--set 'phases[0].mode=waves'`).

```yaml
version: 1
repo: .
prompt: Add a token bucket to the public API.
config: {concurrent_execution: true, max_rounds: 4}
agents:
  coder: {backend: command, command: [./agents/coder.sh]}
  tester: {backend: command, command: [./agents/tester.sh]}
phases:
  - name: implement
    roles:
      - {role: coder}
      - {role: tester, needs: [coder], reviews: [coder]}
    check: {run: make test, owner: coder}
```
"""
MAPS = frozenset({"agents", "environment"})
HEADS = ("key", "what it may be", "default", "bounds", "what it does")


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *map(_section, PARTS)])


def keys() -> Iterator[str]:
    """Every key as the page writes it: `config.max_rounds`, `phases[].roles[].needs[].hard`."""
    for part in PARTS:
        for name, field in part.shape.model_fields.items():
            yield f"{_written(part.path)}.{field.alias or name}".removeprefix(".")


def _section(part: FormatPart) -> str:
    shape = part.shape
    schema = json_schema()
    definitions = schema["$defs"]
    assert isinstance(definitions, dict), "pydantic writes them as a map"  # noqa: S101
    own: Schema = schema if not part.path else definitions[shape.__name__]
    place = _written(part.path)
    rows = [
        (
            code(f"{place}.{name}".removeprefix(".")),
            _kind(field, definitions),
            default(field, required=name in own.get("required", ())),
            bounds(field),
            plain(field.get("description")),
        )
        for name, field in own["properties"].items()
    ]
    unbuilt = ", ".join(code(name) for name in sorted(shape.not_built))
    later = f"Refused by name, as not built yet: {unbuilt}.\n" if unbuilt else ""
    parts = [f"## {_title(part)}\n", f"{plain(shape.__doc__)}\n", table(HEADS, rows), later]
    return "\n".join(part for part in parts if part)


def _kind(field: Schema, definitions: dict[str, Schema]) -> str:
    """What the value may be: the words of an enumeration themselves, other shapes by their sections."""
    names = words(definitions)
    names |= {part.shape.__name__: f"[{_written(part.path)}](#{_anchor(_title(part))})" for part in PARTS}
    return kind(field, names=names)


def _written(path: Path) -> str:
    """A path as people write it: a list's members are `[]`, an agent's or a variable's name is NAME."""
    text = ""
    for step, before in zip(path, (None, *path), strict=False):
        if step == "*":
            text += ".NAME" if before in MAPS else "[]"
        else:
            text += f".{step}"
    return text.removeprefix(".")


def _title(part: FormatPart) -> str:
    """The heading of a section."""
    place = code(_written(part.path)) if part.path else "At the top"
    told_by = f"backend: {part.backend}" if part.backend else part.key
    return f"{place} with {code(told_by)}" if told_by else place


def _anchor(title: str) -> str:
    """Where GitHub jumps to for a section's heading."""
    return "".join(each for each in title.lower().replace(" ", "-") if each.isalnum() or each in "-_")
