"""What a pipeline's branches are called is said in one module, and so is how ids are written."""

import re
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import CheckConstraint

import models
from models import git_names
from models.schemas.text import pipeline_id_fault
from models.tables import Pipeline

RUN = UUID("3f9a1c2e-0000-4000-8000-000000000000")
ROOT = Path(models.__file__).parents[1]


def test_every_branch_of_a_pipeline_lies_below_its_own_name() -> None:
    found = {
        git_names.role_branch("shop", "coder"): "egg/shop/coder",
        git_names.work_branch("shop"): "egg/shop/work",
        git_names.salvage_branch("shop", RUN, number=1): f"egg/shop/salvage/{RUN}",
        git_names.salvage_branch("shop", RUN, number=2): f"egg/shop/salvage/{RUN}.2",
        git_names.stray_branch("shop", RUN, "topic"): f"egg/shop/salvage/{RUN}-topic",
    }

    assert list(found) == list(found.values())
    assert all(name.startswith(f"{git_names.result_branch('shop')}/") for name in found)


@pytest.mark.parametrize("digits", [git_names.SHA1_DIGITS, git_names.SHA256_DIGITS])
def test_a_commit_is_written_in_full(digits: int) -> None:
    assert re.fullmatch(git_names.COMMIT, "a" * digits)
    assert not re.fullmatch(git_names.COMMIT, "a" * (digits - 1))
    assert not re.fullmatch(git_names.COMMIT, "A" * digits)


def test_the_database_takes_the_ids_that_a_definition_may_have() -> None:
    written = [str(one.sqltext) for one in Pipeline.__table_args__ if isinstance(one, CheckConstraint)]

    assert any(f"'^{git_names.PIPELINE_ID}$'" in each for each in written)
    assert pipeline_id_fault("issue-42") is None


def test_no_other_module_writes_a_branchs_name_or_a_commits_pattern_itself() -> None:
    spelled = re.compile(
        r'f"egg/\{|\[0-9a-f\]\{40\}\|\[0-9a-f\]\{64\}"\)?$|SHA(?:1|256)_DIGITS = ', re.MULTILINE
    )

    found = [
        str(path.relative_to(ROOT))
        for folder in ("models", "egg_tasks", "cli")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "git_names.py" and spelled.search(path.read_text())
    ]

    assert found == []
