"""A set-up in words."""

import pytest

from models.schemas.set_up import CloneSetUp


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
