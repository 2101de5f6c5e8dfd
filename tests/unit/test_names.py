"""What a pipeline may be called: the definition and the repository say the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egg_tasks.repository_places import checked_pipeline
from egg_tasks.workspace.names import branch_ref
from models.errors import Malformed
from models.git_names import work_branch
from models.schemas.definition import validate
from models.schemas.fault import Faulty
from tests.integration.world import definition

UNFIT = ("abc.", "abc.lock", "a..b", ".a", "-a", "", "a" * 65, "a/b", "a b", "a\n", "ä", "a.")


def is_valid(name: str) -> bool:
    """Whether a definition may have this name."""
    try:
        validate(definition({"role": "coder"}) | {"name": name})
    except Faulty:
        return False
    return True


def is_usable(name: str) -> bool:
    """Whether a repository can be made for it."""
    try:
        checked_pipeline(name)
        branch_ref(work_branch(name))
    except Malformed:
        return False
    return True


@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_name_is_refused_by_both(name: str) -> None:
    assert (is_valid(name), is_usable(name)) == (False, False)


@given(st.from_regex(re.compile(r"[A-Za-z0-9._-]{1,66}", re.ASCII), fullmatch=True))
def test_what_a_definition_may_be_called_a_repository_can_be_made_for(name: str) -> None:
    assert is_valid(name) == is_usable(name)


@pytest.mark.parametrize("name", ["a", "A-1", "issue-42", "a.b_c-d", "v1.2", "a.lock.b", "a" * 64])
def test_a_fit_name_is_taken_by_both(name: str) -> None:
    assert (is_valid(name), is_usable(name)) == (True, True)
