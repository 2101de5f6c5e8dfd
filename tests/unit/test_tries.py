"""Everything that we try again ourselves has a floor, grows rarer, and comes to an end."""

import ast
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from egg_tasks import reconciler
from models.tries import BOUNDS, Work

DRIVEN: dict[str, Work | str] = {
    "evaluate_due": Work.EVALUATION,
    "send_unattended_runs": "services.tries and models.consensus.treatments bound runs, each by its class",
    "send_unattended_merges": Work.MERGE,
    "send_unattended_rebases": Work.REBASE,
    "prepare_pipelines": Work.PREPARATION,
    "publish_branches": Work.PUBLICATION,
    "default_decisions": Work.DEFAULT,
    "send_notices": Work.NOTICE,
    "delete_pipelines": Work.DELETION,
    "clear_runs": "services.clones has its own pauses: it is never given up, since a disk fills for ever",
    "tidy_disk": "now and then, whatever was before",
    "end_strangers": "now and then, whatever was before",
}


def test_everything_the_reconciler_drives_has_a_bound_or_a_reason_to_have_none() -> None:
    source = ast.parse(Path(reconciler.__file__).read_text())
    rounds = next(
        node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == "reconcile"
    )
    kinds = next(node.value for node in ast.walk(rounds) if isinstance(node, ast.AnnAssign))

    assert isinstance(kinds, ast.Tuple)
    assert {ast.unparse(name) for name in kinds.elts} == set(DRIVEN)
    assert {work for work in DRIVEN.values() if isinstance(work, Work)} == set(Work)


@pytest.mark.parametrize("work", Work)
def test_work_of_each_kind_begins_with_a_pause_that_doubles_and_ends(work: Work) -> None:
    bound = BOUNDS[work]
    pauses = [bound.pause(tries) for tries in range(1, bound.most)]

    assert pauses[0] >= timedelta(seconds=4)
    assert all(later in {2 * pause, bound.pauses.longest} for pause, later in pairwise(pauses))
    assert (bound.is_over(bound.most - 1), bound.is_over(bound.most)) == (False, True)
    assert bound.then


def test_a_row_that_is_never_driven_well_is_left_alone_at_last() -> None:
    failing = reconciler.Failing[int](BOUNDS[Work.DEFAULT])

    def fail() -> None:
        raise ValueError("a bug")

    for _ in range(BOUNDS[Work.DEFAULT].most):
        failing.drive(7, fail)

    assert failing.left_alone(now=reconciler.NEVER - timedelta(days=1)) == [7]
