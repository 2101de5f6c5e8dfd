"""Pipelines over HTTP."""

from concurrent.futures import ThreadPoolExecutor

from tests.integration.api_scene import NAME, Scene, definition, merge


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
    assert {"role": "tester", "state": "BLOCKED", "why": "is BLOCKED on coder"} in why["waiting"]


def test_the_status_names_each_role_and_its_run(shop: Scene) -> None:
    concurrent = shop.ask("GET", f"/pipelines/{NAME}/status").data["concurrent"]

    assert set(concurrent["consensus"]["agents"]) == {"coder", "tester"}
    assert {run["status"] for run in concurrent["agents"]} == {"running"}


def test_a_cancelled_pipeline_says_how_it_ended(shop: Scene) -> None:
    answer = shop.ask("POST", f"/pipelines/{NAME}/cancel")

    assert answer.data["pipeline"]["status"] == "cancelled"
    assert "a person cancelled it" in shop.ask("GET", f"/pipelines/{NAME}/why").data["why"]


def test_a_log_is_cut_between_characters(shop: Scene) -> None:
    log = shop.clone("coder").with_name("output.log")
    log.write_bytes(b"a" * (256 * 1024 - 1) + "ü!".encode())
    run = shop.tokens["coder"].removeprefix("token-of-")

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
