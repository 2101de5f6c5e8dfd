"""What `decide` sees of rows: what a run owes, which causes are handled, what a role's last runs came to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from models.consensus import views
from models.consensus.step import Cause, CauseKind
from models.consensus.views import ByRole, CheckRow, RoleRow, RunRow, VersionRow
from models.states import CheckStatus, Failure, MergeStatus, Readiness, RunStatus
from tests.factories import policy

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = Cause(CauseKind.FIRST)
RUN = RunRow(
    id=UUID(int=1),
    role="coder",
    number=1,
    status=RunStatus.SUCCEEDED,
    causes=(str(FIRST),),
    verdict=Readiness.READY,
    owes_verdict=True,
    failure=None,
    reported_failure=None,
    stopped_for=None,
    exit_code=0,
    exit_signal=None,
    error="",
    last_line="",
    is_cut_short=False,
    stop_at=None,
    converge_at=None,
    retry_at=None,
    last_active_at=None,
    started_at=NOW,
    ended_at=NOW,
    closed_at=NOW,
)
SILENT = replace(RUN, verdict=None)
CRASHED = replace(SILENT, status=RunStatus.FAILED, failure=Failure.PROCESS_FAILURE, exit_code=1)
LIVE = replace(SILENT, status=RunStatus.RUNNING, ended_at=None, closed_at=None, exit_code=None)
ROLE = RoleRow(
    role="coder",
    position=0,
    state=Readiness.READY,
    is_dropped=False,
    blocked_on=None,
    version=1,
    dispatched=1,
    runs=1,
    extra_rounds=0,
    owed_by_decision=None,
    waking_message=None,
)


def seen_by(*runs: RunRow, elsewhere: tuple[str, ...] = (), versions: tuple[VersionRow, ...] = ()) -> ByRole:
    by_number = {(version.role, version.number): version for version in versions}
    return ByRole({"coder": runs}, by_number, {}, {}, elsewhere)


@pytest.mark.parametrize(
    ("run", "gave"),
    [
        (RUN, True),
        (replace(CRASHED, verdict=Readiness.READY), True),
        (SILENT, False),
        (replace(SILENT, owes_verdict=False), True),
        (replace(SILENT, owes_verdict=False, is_cut_short=True), False),
        (replace(CRASHED, owes_verdict=False), False),
    ],
    ids=["verdict", "verdict, then a crash", "none", "none owed", "none owed, cut short", "crash"],
)
def test_a_run_gave_what_it_owed_with_a_verdict_or_well_and_owing_none(run: RunRow, gave: bool) -> None:
    assert views.gave_what_it_owed(run) is gave


def test_a_cause_is_handled_by_a_run_that_gave_what_it_owed() -> None:
    other = replace(CRASHED, causes=(str(Cause(CauseKind.MESSAGE, number=7)),))

    assert views.handled_causes([RUN, other]) == {FIRST}


def test_failures_trail_until_a_run_gives_what_it_owes() -> None:
    second, third = replace(CRASHED, number=2), replace(SILENT, number=3)

    assert [run.number for run in views.trailing_failures([CRASHED, RUN, second, third])] == [2, 3]
    assert views.trailing_failures([CRASHED, RUN]) == ()


def test_only_a_bad_end_says_how_it_came() -> None:
    assert views.how_it_ended(RUN) == views.how_it_ended(LIVE) == ""
    assert views.how_it_ended(CRASHED) == "exit code 1"


def test_a_run_was_active_when_it_started_wrote_or_its_role_spoke() -> None:
    wrote, spoke = NOW + timedelta(seconds=5), NOW + timedelta(seconds=9)

    assert views.active_at(LIVE, None) == NOW
    assert views.active_at(replace(LIVE, last_active_at=wrote), None) == wrote
    assert views.active_at(replace(LIVE, last_active_at=wrote), spoke) == spoke
    assert views.active_at(RUN, spoke) is None


def test_a_time_to_retry_counts_only_for_the_failure_that_was_reported() -> None:
    at = NOW + timedelta(hours=5)
    quota = replace(CRASHED, failure=Failure.QUOTA, reported_failure=Failure.QUOTA, retry_at=at)

    assert views.run_view(quota).retry_at == at
    assert views.run_view(replace(quota, failure=Failure.TIMEOUT)).retry_at is None


def test_a_role_has_its_live_run_its_last_and_its_newest_version() -> None:
    newest = VersionRow("coder", 1, MergeStatus.CONFLICTED, ("a.txt",))
    live = replace(LIVE, number=3)

    view = views.role_view(
        ROLE, policy("coder"), seen_by(live, replace(CRASHED, number=2), RUN, versions=(newest,))
    )

    assert view.live is not None
    assert view.last is not None
    assert (view.live.number, view.last.number) == (3, 2)
    assert [run.number for run in view.trailing] == [2]
    assert view.handled == {FIRST}
    assert (view.merge, view.conflict_paths) == (MergeStatus.CONFLICTED, ("a.txt",))


def test_a_role_that_has_not_ended_elsewhere_is_not_free() -> None:
    view = views.role_view(ROLE, policy("coder"), seen_by(elsewhere=("coder",)))

    assert view.last is not None
    assert not view.last.is_closed


def test_the_check_of_another_commit_says_nothing_of_the_tip() -> None:
    check = CheckRow(1, "tip", CheckStatus.RED, 1, 0, NOW, CRASHED.id)
    crashed = replace(CRASHED, role=None, last_line="2 failed")

    found = views.check_view([check], [crashed], "tip")

    assert found is not None
    assert (found.how, found.last_line) == ("exit code 1", "2 failed")
    assert views.check_view([check], [crashed], "older") is None
    lost = views.check_view([check], [], "tip")
    assert lost is not None
    assert lost.how == ""


def test_a_merge_is_superseded_by_a_later_version_of_the_same_role() -> None:
    first = VersionRow("coder", 1, MergeStatus.MERGING, ())
    second = VersionRow("coder", 2, MergeStatus.PENDING, ())

    assert views.is_superseded_merging([first, second])
    assert not views.is_superseded_merging([first, replace(second, role="tester")])
    assert not views.is_superseded_merging([second, replace(first, merge_status=MergeStatus.MERGED)])
