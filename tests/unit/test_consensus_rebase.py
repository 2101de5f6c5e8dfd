"""The present base on its way into the work branch, as `decide` sees it."""

from dataclasses import replace
from typing import Any

import pytest

from models.consensus.decide import decide
from models.consensus.snapshot import BASE, RebaseView, Snapshot
from models.consensus.step import (
    KEEP_BASE,
    Ask,
    Assignment,
    Cause,
    CauseKind,
    Close,
    DecisionKind,
    Dispatch,
    Integrate,
    IntegrateBase,
    Wait,
)
from models.states import MergeStatus, Readiness, RebaseStatus
from tests.factories import NOW, decision, fresh, ready, running, snapshot

REBASED = Cause(CauseKind.REBASED, number=7)


def rebasing(status: RebaseStatus, *paths: str) -> RebaseView:
    """A rebase as it stands."""
    return RebaseView(7, status, "c" * 40, paths)


def agreed(**changes: Any) -> Snapshot:
    """A phase that has consensus but for what is changed."""
    return snapshot(ready("coder"), **changes)


def test_a_base_that_waits_is_merged_before_any_version() -> None:
    waiting = snapshot(ready("coder", merge=MergeStatus.PENDING), rebase=rebasing(RebaseStatus.PENDING))

    assert decide(waiting) == IntegrateBase(7)


def test_a_base_waits_for_the_merge_that_is_under_way() -> None:
    merging = snapshot(ready("coder", merge=MergeStatus.MERGING), rebase=rebasing(RebaseStatus.PENDING))

    assert isinstance(decide(merging), Wait)


def test_a_version_waits_for_the_base_that_is_being_merged() -> None:
    merging = snapshot(ready("coder", merge=MergeStatus.PENDING), rebase=rebasing(RebaseStatus.MERGING))

    assert not isinstance(decide(merging), Integrate)


@pytest.mark.parametrize("status", [RebaseStatus.PENDING, RebaseStatus.MERGING, RebaseStatus.CONFLICTED])
def test_a_phase_does_not_end_while_the_base_is_on_its_way(status: RebaseStatus) -> None:
    assert decide(agreed()) != decide(agreed(rebase=rebasing(status)))
    assert not isinstance(decide(agreed(rebase=rebasing(status))), Close)


def test_the_merge_of_the_base_is_what_is_waited_for() -> None:
    verdict = decide(agreed(rebase=rebasing(RebaseStatus.MERGING)))

    assert isinstance(verdict, Wait)
    assert verdict.why == "the merge of the present base"


def test_a_conflict_of_the_base_is_asked_about_with_its_paths() -> None:
    verdict = decide(agreed(rebase=rebasing(RebaseStatus.CONFLICTED, "a.py", "b.py")))

    assert isinstance(verdict, Ask)
    assert (verdict.kind, verdict.default) == (DecisionKind.REBASE, KEEP_BASE)
    assert "at cccccccccc conflicts with the work branch in a.py, b.py" in verdict.question


def test_nobody_is_held_back_by_a_conflict_of_the_base() -> None:
    asked = decision("rebase:7", kind=DecisionKind.REBASE)
    conflicted = snapshot(
        fresh("coder"), rebase=rebasing(RebaseStatus.CONFLICTED, "a.py"), decisions=(asked,)
    )

    assert isinstance(decide(conflicted), Dispatch)


def test_only_a_person_moves_on_what_all_agree_on_but_the_base() -> None:
    asked = decision("rebase:7", kind=DecisionKind.REBASE)
    verdict = decide(agreed(rebase=rebasing(RebaseStatus.CONFLICTED, "a.py"), decisions=(asked,)))

    assert isinstance(verdict, Wait)
    assert verdict.on_person


def test_what_only_a_person_moves_on_is_said_while_the_last_agent_ends() -> None:
    asked = decision("rebase:7", kind=DecisionKind.REBASE)
    ending = running(ready("coder", seen={BASE: 7}), verdict=Readiness.READY)
    verdict = decide(snapshot(ending, rebase=rebasing(RebaseStatus.CONFLICTED, "a.py"), decisions=(asked,)))

    assert isinstance(verdict, Wait)
    assert verdict.why == f"a person's answer to decision {asked.number}"


def test_a_base_of_which_no_commit_is_known_is_asked_about_too() -> None:
    unknown = RebaseView(7, RebaseStatus.CONFLICTED, None, ("a.py",))
    verdict = decide(agreed(rebase=unknown))

    assert isinstance(verdict, Ask)
    assert verdict.question.startswith("The present base conflicts")


def test_who_is_ready_looks_again_once_the_base_has_come_in() -> None:
    assert decide(agreed(base_number=7)) == Dispatch((Assignment("coder", (REBASED,)),))


def test_who_has_seen_the_base_need_not_look_again() -> None:
    assert isinstance(decide(snapshot(ready("coder", seen={BASE: 7}), base_number=7)), Close)


def test_who_works_when_the_base_comes_in_is_left_alone() -> None:
    assert isinstance(decide(snapshot(running(fresh("coder")), base_number=7)), Wait)


def test_a_base_that_nobody_looked_at_is_forgiven_while_the_phase_converges() -> None:
    unseen = agreed(base_number=7)
    converging = replace(unseen, deadlines=replace(unseen.deadlines, converge_at=NOW))

    assert isinstance(decide(converging), Close)


def test_nobody_begins_on_the_old_base_while_the_new_one_is_being_merged() -> None:
    assert isinstance(decide(snapshot(fresh("coder"), rebase=rebasing(RebaseStatus.MERGING))), Wait)


def test_the_base_comes_in_while_a_person_is_asked_about_agents_that_failed_together() -> None:
    asked = decision("failures:2", kind=DecisionKind.FAILURES)
    failed = snapshot(fresh("coder"), rebase=rebasing(RebaseStatus.PENDING), decisions=(asked,))

    assert decide(failed) == IntegrateBase(7)
