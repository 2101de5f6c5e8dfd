"""A set-up in words."""

import pytest

from models.schemas.definition import validate
from models.schemas.set_up import CloneSetUp
from tests.unit.test_definition import definition, faults


@pytest.mark.parametrize(
    ("setup", "said"),
    [
        ("uv sync --frozen\n", "uv sync --frozen"),
        (["npm", "ci"], "npm ci"),
        ("python3 -m venv .venv\n.venv/bin/pip install .", "python3 -m venv .venv …"),
        ("x" * 100, f"{'x' * 80} …"),
    ],
)
def test_a_command_is_said_in_one_line_that_ends(setup: object, said: str) -> None:
    assert CloneSetUp.model_validate({"setup": setup}).said == said


@pytest.mark.parametrize("holder", ["of all", "an agent's own"])
@pytest.mark.parametrize(
    ("include", "is_refused"),
    [
        ("deps/js/.npmrc", True),
        ("deps/js", True),
        ("deps", True),
        ("*/js/.npmrc", True),
        ("deps/.npmrc", False),
        ("**/.npmrc", False),
        (".npmrc", False),
    ],
)
def test_what_is_included_is_in_nothing_that_a_cache_keeps(
    holder: str, include: str, is_refused: bool
) -> None:
    workspace = {"setup": "make", "include": ["x", include], "cache": {"paths": ["out", "deps/js"]}}
    document = definition(workspace=workspace) if holder == "of all" else definition()
    if holder != "of all":
        document["agents"]["coder"]["workspace"] = workspace  # type: ignore[index]

    if not is_refused:
        validate(document)
        return
    ((path, sentence),) = faults(document).items()
    assert path == ("workspace.include" if holder == "of all" else "agents.coder.workspace.include")
    assert sentence == f"names {include}, and `cache` keeps deps/js: keep them apart"
