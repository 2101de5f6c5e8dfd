"""Pipelines over HTTP."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from egg_tasks import config, run_places
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.people import pipelines
from models.consensus.step import RETRY
from tests.integration.api_scene import NAME, Scene, definition, merge

CHECKED = [
    {
        "name": "implement",
        "roles": [{"role": "coder"}],
        "check": {"run": "true", "isolation": "process"},
    }
]


def test_a_pipeline_is_created_with_its_definition(scene: Scene) -> None:
    answer = scene.ask("POST", "/pipelines", definition(scene.home))

    assert answer.status == 201
    assert answer.data["pipeline"]["definition"]["prompt"] == "Sell things."


def test_a_name_is_taken_once_however_many_want_it(scene: Scene) -> None:
    body = definition(scene.home)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: scene.ask("POST", "/pipelines", body), range(8)))

    assert sorted(answer.status for answer in answers) == [201] + 7 * [409]


def test_a_repository_only_the_caller_can_find_is_refused(scene: Scene) -> None:
    answer = scene.ask("POST", "/pipelines", definition(scene.home) | {"repo": "./here"})

    assert (answer.status, answer.body["details"]["faults"][0]["path"]) == (422, "repo")


def test_where_nothing_runs_without_a_container_such_a_definition_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = definition(scene.home)
    with monkeypatch.context() as told:
        told.setenv("EGG_ISOLATION", "docker")
        config.settings.cache_clear()
        beside = scene.ask("POST", "/pipelines", body)
        partly = scene.ask("POST", "/pipelines", body | {"isolation": "docker", "phases": CHECKED})
        within = scene.ask("POST", "/pipelines", body | {"isolation": "docker"})
    config.settings.cache_clear()

    assert (beside.status, partly.status, within.status) == (422, 422, 201)
    assert (
        "(EGG_ISOLATION=docker), as coder, tester would be: say `isolation: docker`" in beside.body["message"]
    )
    assert "as the check of implement would be" in partly.body["message"]


def test_pages_hold_every_pipeline_once(scene: Scene) -> None:
    names = {scene.create(name=f"p{number}") for number in range(5)}
    found, after = [], ""
    while True:
        page = scene.ask("GET", f"/pipelines?limit=2{after}").data
        found += [pipeline["id"] for pipeline in page["pipelines"]]
        if page["next_after"] is None:
            break
        after = f"&after={page['next_after']}"

    assert (len(found), set(found)) == (5, names)


def test_status_and_why_say_who_is_blocked_on_whom(shop: Scene) -> None:
    shop.say("tester", "BLOCKED", on="coder")

    status = shop.ask("GET", f"/pipelines/{NAME}/status").data
    why = shop.ask("GET", f"/pipelines/{NAME}/why").data

    assert "tester is BLOCKED on coder" in status["why"]
    assert {
        "role": "tester",
        "state": "BLOCKED",
        "condition": "BLOCKED",
        "why": "is BLOCKED on coder",
    } in why["waiting"]


def test_the_status_names_each_role_and_its_run(shop: Scene) -> None:
    concurrent = shop.ask("GET", f"/pipelines/{NAME}/status").data["concurrent"]

    assert set(concurrent["consensus"]["agents"]) == {"coder", "tester"}
    assert {run["status"] for run in concurrent["agents"]} == {"running"}


def test_a_cancelled_pipeline_says_how_it_ended(shop: Scene) -> None:
    answer = shop.ask("POST", f"/pipelines/{NAME}/cancel")

    assert answer.data["pipeline"]["status"] == "cancelled"
    assert "a person cancelled it" in shop.ask("GET", f"/pipelines/{NAME}/why").data["why"]


def test_a_log_is_cut_between_characters(shop: Scene) -> None:
    run = shop.tokens["coder"].removeprefix("token-of-")
    log = run_places.ours(shop.clone("coder").parent) / "output.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"a" * (256 * 1024 - 1) + "ü!".encode())

    first = shop.ask("GET", f"/pipelines/{NAME}/agents/{run}/logs").data
    rest = shop.ask("GET", f"/pipelines/{NAME}/agents/{run}/logs?offset={first['next_offset']}").data

    assert (first["next_offset"], rest["text"]) == (256 * 1024 - 1, "ü!")


def test_versions_that_change_nothing_are_named(shop: Scene) -> None:
    shop.commit("coder", "shop.py")
    shop.say("coder", "READY")
    merge("coder", 1)
    shop.say("tester", "READY")
    merge("tester", 1)

    assert shop.ask("GET", f"/pipelines/{NAME}").data["pipeline"]["unchanged"] == ["tester's version 1"]


@pytest.mark.parametrize(
    "repo", ["https://ada:s3cret@example.org/x.git", "https://s3cret@example.org/x", "ssh://ada:s3cret@h/x"]
)
def test_a_password_in_a_url_is_neither_taken_nor_shown(scene: Scene, repo: str) -> None:
    refused = scene.ask("POST", "/pipelines", definition(scene.home) | {"repo": repo})
    scene.create(name="of-an-earlier-release", repo=repo)
    shown = [
        scene.ask("GET", path).body
        for path in (
            "/pipelines",
            "/pipelines/of-an-earlier-release",
            "/pipelines/of-an-earlier-release/events",
        )
    ]

    assert (refused.status, refused.body["details"]["faults"][0]["path"]) == (422, "repo")
    assert "s3cret" not in json.dumps([refused.body, *shown])


def test_a_base_that_only_a_clone_knows_is_refused_for_a_url(scene: Scene) -> None:
    body = definition(scene.home) | {"repo": "https://example.org/x.git", "base": "HEAD~1"}

    answer = scene.ask("POST", "/pipelines", body)

    assert (answer.status, answer.body["details"]["faults"][0]["path"]) == (422, "base")


def test_a_name_over_ssh_is_no_password(scene: Scene) -> None:
    answer = scene.ask("POST", "/pipelines", definition(scene.home) | {"repo": "ssh://git@example.org/x.git"})

    assert answer.data["pipeline"]["repo"] == "ssh://git@example.org/x.git"


def test_the_words_of_a_base_and_its_commit_are_both_shown(scene: Scene) -> None:
    body = definition(scene.home) | {"base": "origin/main", "base_commit": "a" * 40}

    pipeline = scene.ask("POST", "/pipelines", body).data["pipeline"]

    assert (pipeline["base"], pipeline["base_commit"]) == ("origin/main", "a" * 40)


@pytest.mark.parametrize("commit", ["main", "a" * 39, "A" * 40, "", 7])
def test_a_base_commit_that_is_no_full_id_is_refused(scene: Scene, commit: object) -> None:
    answer = scene.ask("POST", "/pipelines", definition(scene.home) | {"base_commit": commit})

    assert (answer.status, answer.body["details"]["faults"][0]["path"]) == (422, "base_commit")


def test_why_says_why_a_repository_does_not_come_until_it_has_come(scene: Scene) -> None:
    name, reason = scene.create(), "https://example.org/x cannot be reached now: no route"
    with unit_of_work() as session:
        pipelines.start(session, pipeline_id=name, now=utcnow())
        pipelines.preparation_failed(session, pipeline_id=name, why=reason, is_final=False, now=utcnow())

    waiting = [scene.ask("GET", f"/pipelines/{name}/{page}").data["why"] for page in ("why", "status")]
    with unit_of_work() as session:
        pipelines.prepared(session, pipeline_id=name, base_commit="a" * 40, now=utcnow())
    afterwards = scene.ask("GET", f"/pipelines/{name}/why").data["why"]

    assert all(re.search(rf"being prepared, tried again at [0-9:]+ UTC: {reason}", why) for why in waiting)
    assert "prepared" not in afterwards
    assert scene.ask("GET", f"/pipelines/{name}").data["pipeline"]["why"] != reason


def test_the_present_base_is_wished_for_once_and_the_status_tells_of_it(shop: Scene) -> None:
    answers = [shop.ask("POST", f"/pipelines/{NAME}/rebase", {}) for _ in range(3)]

    assert {answer.status for answer in answers} == {202}
    (number,) = {answer.data["rebase"]["id"] for answer in answers}
    told = shop.ask("GET", f"/pipelines/{NAME}/status").data["rebase"]
    assert (told["id"], told["status"]) == (number, "merging")
    assert shop.ask("GET", f"/pipelines/{NAME}").data["pipeline"]["rebase"] == told


def test_a_base_that_the_pipelines_repository_does_not_hold_is_refused(shop: Scene) -> None:
    answer = shop.ask("POST", f"/pipelines/{NAME}/rebase", {"commit": "a" * 40})

    assert (answer.status, "leave it out" in answer.body["message"]) == (422, True)
    assert shop.ask("GET", f"/pipelines/{NAME}/status").data["rebase"] is None


def test_a_pipeline_that_has_not_started_takes_in_no_base(scene: Scene) -> None:
    scene.create()

    answer = scene.ask("POST", f"/pipelines/{NAME}/rebase", {})

    assert (answer.status, f"egg pipeline rerun {NAME}" in answer.body["message"]) == (409, True)


def test_a_question_with_retry_says_what_retry_does_not_do(shop: Scene) -> None:
    asked = {"question": "What now?", "options": [RETRY, "Abort phase"]}
    other = {"question": "Which?", "options": ["one", "two"]}
    notes = [
        shop.ask("POST", f"/pipelines/{NAME}/decisions", body).data["decision"]["note"]
        for body in (asked, other)
    ]

    assert f"egg pipeline rebase {NAME}" in notes[0]
    assert f"egg pipeline rerun {NAME}" in notes[0]
    assert "Retry keeps the base as it was" in notes[0]
    assert notes[1] is None
