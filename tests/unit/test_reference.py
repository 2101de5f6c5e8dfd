"""Every command, option, exit code, key, route and event type stands on a page of docs/reference."""

import ast
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from models.events import EVENTS, EventType
from reference.pages import FOLDER, pages
from tests import interface

SERVICES = Path(__file__).parents[2] / "egg_tasks" / "services"
MADE = cache(pages)
"""What the code says now."""
RENEW = "it differs from the code: run `make reference`, look at what changed, and commit it"
UNDECLARED = "declare it in models/events.py (when it happens, what its data holds), then `make reference`"

ELSEWHERE = {
    "command: egg signal complete": "hidden: it says what to type instead",
    "event: branch.unmoved": "a log's",
}


def test_every_generated_page_is_what_the_code_says() -> None:
    missing = [name for name in MADE() if not (FOLDER / name).exists()]

    assert missing == [], "missing in docs/reference: run `make reference`"
    for name, text in MADE().items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"docs/reference/{name}: {RENEW}"


def test_everything_that_is_promised_stands_on_a_page() -> None:
    """What tests/interface.py finds in the code, by other ways than the pages are made by."""
    missing = [line for line in interface.read() if not stands(line, MADE()) and line not in ELSEWHERE]

    assert missing == [], "has no place in docs/reference: see reference/"


def stands(line: str, texts: Mapping[str, str]) -> bool:
    """Whether what `kind: place: name` names stands on the page of its kind."""
    kind, _, rest = line.partition(": ")
    place, _, name = rest.rpartition(": ")
    if kind.partition(".")[0] == "definition":
        return f"{kind}.{rest}".removeprefix("definition.") in keys(texts["definition.md"])
    match kind:
        case "command":
            return rest == "egg" or f"### `{rest}" in texts["cli.md"]
        case "option":
            return place == "egg" or bool(re.search(rf"`[^`]*{re.escape(name)}\b", entry(place, texts)))
        case "route":
            return f"### `{rest}`" in texts["http.md"]
        case "parameter" | "body":
            return f"`{name}`" in texts["http.md"] or f"{{{name}}}" in texts["http.md"]
        case "setting":
            return f"| `{rest}` |" in texts["settings.md"]
        case "exit code":
            return f"| {rest.removeprefix('exit code ')} |" in texts["exit-codes.md"]
        case "file":
            return place != "settings.toml" or f"| `{name}` |" in texts["settings.md"]
        case "event":
            return name.endswith(".") or f"### `{rest}`" in texts["events.md"]
    return True


def keys(page: str) -> set[str]:
    """The keys of the definition's page, without what only says that there may be many."""
    found = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    return {key.replace("[]", "").replace(".NAME", "") for key in found}


def entry(command: str, texts: Mapping[str, str]) -> str:
    """What cli.md says of a command."""
    _, _, rest = texts["cli.md"].partition(f"### `{command} ")
    return rest.partition("\n### ")[0]


def test_every_event_type_is_declared_and_told() -> None:
    told = {
        node.attr
        for path in SERVICES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "EventType"
    }

    assert set(EventType) == set(EVENTS), UNDECLARED
    assert {kind.name for kind in EventType} == told, "nothing tells it: remove it from models/events.py"


def test_what_is_left_out_of_a_page_is_found() -> None:
    lost = "egg pipeline extend|--iterations|max_rounds|pipeline.paused|POST /api/v1/halt|include_own"
    lost += "|EGG_NODE|api.hosts|130"
    texts = {name: re.sub(lost, "", text) for name, text in MADE().items()}

    missing = {line for line in interface.read() if not stands(line, texts)}

    assert missing >= {
        "command: egg pipeline extend",
        "option: egg pipeline extend: --iterations",
        "definition.config: max_rounds",
        "event: pipeline.paused",
        "route: POST /api/v1/halt",
        "setting: EGG_NODE",
        "file: settings.toml: api.hosts",
        "exit code: exit code 130",
        "parameter: GET /api/v1/pipelines/{pipeline_id}/messages: include_own",
    }
