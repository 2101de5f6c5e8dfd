"""The gate of coverage lets through what is asked for, and nothing less."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import coverage_gate

ROOT = Path(__file__).parents[2]


def measured(*, covered: int, missing: int, branches: tuple[tuple[int, int], ...] = ()) -> dict[str, Any]:
    """A file as slipcover says what of it was passed through."""
    return {
        "missing_lines": list(range(1, missing + 1)),
        "missing_branches": branches,
        "summary": {
            "covered_lines": covered,
            "missing_lines": missing,
            "covered_branches": 0,
            "missing_branches": len(branches),
        },
    }


FULL = measured(covered=1000, missing=0)


@pytest.mark.parametrize(
    ("files", "exit_code"),
    [
        ({"models/consensus/decide.py": FULL, "models/errors.py": FULL}, 0),
        ({"models/consensus/decide.py": FULL, "models/errors.py": measured(covered=95, missing=5)}, 0),
        ({"models/consensus/decide.py": FULL, "egg_tasks/services/a.py": measured(covered=94, missing=6)}, 1),
        (
            {
                "models/consensus/decide.py": measured(covered=99_999, missing=0, branches=((7, 0),)),
                "models/errors.py": FULL,
            },
            1,
        ),
        ({"models/consensus/decide.py": FULL}, 1),
        ({}, 1),
    ],
    ids=["all", "just enough", "too little", "one branch of the consensus", "a part not measured", "nothing"],
)
def test_too_little_that_was_passed_through_fails(
    files: dict[str, Any], exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"files": files}))
    monkeypatch.setattr(sys, "argv", ["coverage_gate", str(tmp_path / "run.json")])

    with pytest.raises(SystemExit) as ended:
        coverage_gate.main()

    assert ended.value.code == exit_code


def test_what_was_left_out_is_named_by_its_lines() -> None:
    decide = measured(covered=99_997, missing=2, branches=((7, 0), (2, 3)))

    found = coverage_gate.findings(
        {"files": {"models/consensus/decide.py": decide, "models/errors.py": FULL}}
    )

    assert [line for line, _ in found] == [
        "models/consensus/decide.py: 1, 2, 7->exit",
        "models/consensus: 99.99 % of lines and branches, where 100 % are asked for",
        "the rest of models, and services: 100 % of lines and branches, where 95 % are asked for",
    ]


def test_no_line_is_marked_to_be_left_out() -> None:
    files = (
        file
        for part in coverage_gate.PARTS
        for folder in part.within
        for file in ROOT.glob(f"{folder}**/*.py")
    )

    assert [file for file in files if re.search("pragma|TYPE_CHECKING", file.read_text())] == []
