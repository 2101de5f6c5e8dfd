"""READY of a role whose latest version does not go together with the work branch."""

import subprocess

import pytest

from egg_tasks.database import unit_of_work
from models.queries import pipelines
from models.states import MergeStatus
from tests.integration.api_scene import GIT, NAME, Scene, merge


@pytest.fixture
def torn(shop: Scene) -> Scene:
    """A tester whose first version conflicts with the coder's, which is merged."""
    for role in ("coder", "tester"):
        shop.commit(role, "shop.py", f"by {role}")
        shop.say(role, "READY")
        merge(role, 1)
    return shop


def in_clone(shop: Scene, *arguments: str, check: bool = True) -> None:
    subprocess.run([*GIT, *arguments], cwd=shop.clone("tester"), check=check, capture_output=True)


def bring_work(shop: Scene) -> None:
    """Publish the work branch and merge it into the tester's clone, as `egg sync` does."""
    with unit_of_work() as session:
        work = pipelines.get_pipeline(session, pipeline_id=NAME).work_commit
    assert work is not None
    in_clone(shop, "merge", "-q", work, check=False)


def test_ready_with_ones_own_conflict_unmended_is_refused_with_the_paths(torn: Scene) -> None:
    torn.commit("tester", "more.py")

    answer = torn.say("tester", "READY")

    assert (answer.status, answer.body["details"]["paths"]) == (409, ["shop.py"])
    assert "egg sync" in answer.body["message"]


def test_ready_without_a_change_is_no_way_round_a_conflict(torn: Scene) -> None:
    assert torn.say("tester", "READY", reason="it is fine").status == 409


def test_why_names_the_conflict_first(torn: Scene) -> None:
    why = torn.ask("GET", f"/pipelines/{NAME}/why").data

    assert why["waiting"][0]["role"] == "tester"
    assert why["waiting"][0]["why"].startswith("has a conflict of version 1 with the work branch in shop.py")


def test_a_mended_conflict_is_taken_and_merged(torn: Scene) -> None:
    bring_work(torn)
    torn.commit("tester", "shop.py", "by both")

    answer = torn.say("tester", "READY")

    assert answer.data["readiness"]["version"] == 2
    assert merge("tester", 2) is MergeStatus.MERGED


def test_a_conflict_that_went_away_by_anothers_hand_is_merged_at_the_next_ready(torn: Scene) -> None:
    (torn.clone("coder") / "shop.py").unlink()
    torn.commit("coder", "other.py")
    torn.say("coder", "READY")
    merge("coder", 2)

    answer = torn.say("tester", "READY")

    assert answer.data["readiness"]["version"] == 2
    assert merge("tester", 2) is MergeStatus.MERGED
