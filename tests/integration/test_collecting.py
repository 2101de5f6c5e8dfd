"""What `egg gc` finds and removes: nothing that somebody needs, and nothing that is in no branch."""

import os
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from egg_tasks.clock import utcnow
from egg_tasks.config import settings
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import clones
from egg_tasks.use_cases import clearing, collecting
from models.queries import agent_runs as rows
from models.tables import AgentRun
from tests.integration.api_scene import NAME, Scene
from tests.integration.test_deletions import end

LONG_AGO = time.time() - 2 * 24 * 3600
STRANGE = str(uuid4())


@pytest.fixture
def own(shop: Scene) -> Scene:
    """A home whose database is its own, as far as its URL says."""
    host = parse_qs(urlsplit(settings().database_url).query).get("host")
    if not host:
        assert "CI" not in os.environ, "the database of the tests is ours in CI"
        pytest.skip("the database of the tests is not reached by a socket")
    (shop.home / "sockets").symlink_to(host[0])
    return shop


def make(path: Path, *, is_old: bool = True) -> Path:
    """A directory with a file in it."""
    path.mkdir(parents=True)
    (path / "file").write_bytes(bytes(100_000))
    if is_old:
        os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def row(run_id: object) -> AgentRun:
    """A run as it is now."""
    with unit_of_work() as session:
        return next(run for run in rows.list_agent_runs(session, pipeline_id=NAME) if run.id == run_id)


def test_clones_of_runs_that_are_over_and_saved_are_listed_with_what_that_frees(shop: Scene) -> None:
    assert shop.ask("GET", "/disk").data["items"] == [], "its runs are live"
    runs = end()

    found = shop.ask("GET", "/disk").data
    done = shop.ask("POST", "/disk/collect").data

    assert {item["path"] for item in found["items"]} == {str(shop.home / "runs" / str(run)) for run in runs}
    assert found["frees"] == sum(item["size"] for item in found["items"]) > 100_000
    assert (done["items"], done["freed"]) == (found["items"], found["frees"])
    assert not any((shop.home / "runs" / str(run) / "clone").exists() for run in runs)
    assert all(row(run).clone_removed_at for run in runs)
    assert shop.ask("GET", "/disk").data["items"] == []


def test_a_home_is_needed_as_long_as_its_pipeline_runs(shop: Scene) -> None:
    home = make(shop.home / "roles" / NAME)
    shop.ask("POST", "/disk/collect")
    assert home.exists()

    end()
    shop.ask("POST", "/disk/collect")

    assert not home.exists()


def test_what_is_kept_is_listed_and_goes_only_by_its_name(shop: Scene) -> None:
    coder, tester = end(kept=("big.bin", "b\x1b[31mad"))
    for run in (coder, tester):
        clearing.clear_run(run)
    shop.ask("POST", "/disk/collect")

    listed = shop.ask("GET", "/disk").data["kept"]
    answer = shop.ask("POST", f"/disk/kept/{coder}/remove")
    again = shop.ask("POST", f"/disk/kept/{coder}/remove")
    none = shop.ask("POST", f"/disk/kept/{uuid4()}/remove")

    assert [(one["run"], one["label"], one["holds"]) for one in listed] == [
        (str(run), label, ["big.bin", "b\x1b[31mad"])
        for run, label in ((coder, "coder (run 1)"), (tester, "tester (run 1)"))
    ]
    assert all(Path(one["path"]).name == "kept" and one["size"] for one in listed)
    assert (answer.status, again.status, none.status) == (200, 409, 404)
    assert not (shop.home / "runs" / str(coder) / "kept").exists()
    assert (shop.home / "runs" / str(tester) / "kept").is_dir()
    events = shop.ask("GET", f"/pipelines/{NAME}/events?after=0&limit=500").data["events"]
    told = [event["text"] for event in events if event["type"] == "agent.removed"]
    assert told[0].startswith("a person has removed what was kept of coder (run 1): big.bin")
    assert "a person has removed it" in " ".join(shop.ask("GET", f"/pipelines/{NAME}/why").data["leftovers"])


@pytest.mark.parametrize("work", ["clone", "moved/.git"])
def test_what_no_row_knows_goes_if_it_is_old_and_holds_no_work(own: Scene, work: str) -> None:
    old = [make(own.home / folder / STRANGE) for folder in ("runs", "shims")]
    home = make(own.home / "roles/gone")
    young = make(own.home / "runs" / str(uuid4()), is_old=False)
    with_work = make(own.home / "runs" / str(uuid4()))
    (with_work / work).mkdir(parents=True)
    os.utime(with_work, (LONG_AGO, LONG_AGO))

    own.ask("POST", "/disk/collect")

    assert [path.exists() for path in (*old, home, young, with_work)] == [False] * 3 + [True] * 2
    kept = own.ask("GET", "/disk").data["kept"]
    assert [(one["run"], one["pipeline"]) for one in kept] == [(with_work.name, None)]
    assert own.ask("POST", f"/disk/kept/{with_work.name}/remove").status == 200
    assert not with_work.exists()


def test_where_the_database_may_be_anothers_what_no_row_knows_stays(shop: Scene) -> None:
    strange = make(shop.home / "runs" / STRANGE)

    shop.ask("POST", "/disk/collect")

    assert strange.exists()


def test_a_repository_goes_with_its_pipeline_or_by_its_name_once_that_is_gone(shop: Scene) -> None:
    left = make(shop.home / "repos/gone.git")
    shop.ask("POST", "/disk/collect")

    listed = {one["name"]: one["has_pipeline"] for one in shop.ask("GET", "/disk").data["repositories"]}
    refused = shop.ask("POST", f"/disk/repositories/{NAME}/remove")
    removed = shop.ask("POST", "/disk/repositories/gone/remove")

    assert listed == {"gone": False, NAME: True}
    assert (refused.status, removed.status, left.exists()) == (409, 200, False)
    assert refused.body["message"].endswith(f"egg pipeline delete {NAME}")
    assert (shop.home / f"repos/{NAME}.git").is_dir()
    assert shop.ask("POST", "/disk/repositories/gone/remove").status == 404


def test_what_a_killed_process_left_of_a_removal_is_found(shop: Scene) -> None:
    left = make(shop.home / "runs/.going/0123")

    found = [item["kind"] for item in shop.ask("GET", "/disk").data["items"]]
    shop.ask("POST", "/disk/collect")

    assert found == ["removed"]
    assert not left.exists()


def test_the_space_is_told_kind_by_kind(shop: Scene) -> None:
    make(shop.home / "shims" / STRANGE)

    found = shop.ask("GET", "/disk").data["space"]

    assert set(found) == {"database", "repositories", "clones", "kept", "caches", "homes", "logs", "other"}
    assert found["logs"] >= 100_000
    assert found["clones"] > 10_000
    assert collecting.look().space == found


@pytest.mark.usefixtures("shop")
def test_what_is_on_a_machine_that_is_gone_is_not_sent_there_for_ever() -> None:
    """And at once when a worker of it starts again."""
    runs, now, sent = end(), utcnow(), 0
    with unit_of_work() as session:
        for run_id in runs:
            rows.lock_agent_run(session, run_id=run_id).node = "gone"

    while True:
        now += timedelta(hours=2)
        with unit_of_work() as session:
            due = clones.claim_due(session, keep=timedelta(0), now=now, limit=100)
        if not due:
            break
        sent += 1
        assert {run.id for run in due} <= set(runs)
        assert sent <= clones.MOST_SENDS

    with unit_of_work() as session:
        assert rows.send_uncleared_again(session, node="another", now=now) == 0
        assert rows.send_uncleared_again(session, node="gone", now=now) == len(runs)
        due = clones.claim_due(session, keep=timedelta(0), now=now, limit=100)
    assert {run.id for run in due} == set(runs)
