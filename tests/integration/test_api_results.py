"""Typed results and extensions over HTTP."""

import pytest

from tests.integration.api_rows import digests, finish
from tests.integration.api_scene import NAME, Scene

RESULTS = f"/pipelines/{NAME}/results"
EXTEND = f"/pipelines/{NAME}/extend"
SAID = {"status": "success", "summary": "done"}


def test_a_result_is_taken_as_it_is_understood(shop: Scene) -> None:
    answer = shop.ask("POST", RESULTS, {**SAID, "role": "coder", "coverage": "81%"}, who="coder")

    assert answer.status == 201
    assert answer.data["fields"] == {**SAID, "coverage": 81.0}
    (listed,) = shop.ask("GET", RESULTS).data["results"]
    assert (listed["role"], listed["parse_status"], listed["stands"]) == ("coder", "submitted", True)
    assert (listed["fields"], listed["raw"]) == (answer.data["fields"], None)


def test_the_words_of_a_result_are_told_where_they_are_asked_for(shop: Scene) -> None:
    shop.ask("POST", RESULTS, SAID, who="coder")

    (listed,) = shop.ask("GET", f"{RESULTS}?raw=true").data["results"]

    assert listed["raw"] == '{"status": "success", "summary": "done"}'


def test_every_fault_of_a_result_is_named_and_nothing_is_kept(shop: Scene) -> None:
    before = digests()

    answer = shop.ask("POST", RESULTS, {"status": "fine", "coverage": "high"}, who="coder")

    assert answer.status == 422
    assert {fault["path"] for fault in answer.body["details"]["faults"]} == {"status", "summary", "coverage"}
    assert digests() == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 422),
        ("done", 422),
        (None, 422),
        ({**SAID, "more": "x" * 70_000}, 413),
        ({**SAID, "more": "\x00"}, 422),
        ({**SAID, "role": ["coder"]}, 403),
    ],
)
def test_what_is_no_result_is_refused(shop: Scene, body: object, status: int) -> None:
    assert shop.ask("POST", RESULTS, body, who="coder").status == status


def test_a_result_of_a_finished_run_is_refused(shop: Scene) -> None:
    finish(shop, "coder")

    assert shop.ask("POST", RESULTS, SAID, who="coder").status == 409


def test_a_pipeline_is_extended(shop: Scene) -> None:
    assert shop.ask("POST", EXTEND, {"iterations": 2}).status == 200
    assert shop.ask("GET", f"/pipelines/{NAME}/events").data["events"][-1]["type"] == "pipeline.extended"


@pytest.mark.parametrize(
    "body", [{}, {"iterations": 0}, {"iterations": 1.5}, {"iterations": True}, {"minutes": 0}, {"hours": 1}]
)
def test_an_extension_by_nothing_is_refused(shop: Scene, body: dict[str, object]) -> None:
    before = digests()

    assert (shop.ask("POST", EXTEND, body).status, digests()) == (422, before)


def test_a_pipeline_that_has_not_started_is_granted_iterations_but_no_time(scene: Scene) -> None:
    scene.create()

    assert scene.ask("POST", EXTEND, {"iterations": 1}).status == 200
    assert scene.ask("POST", EXTEND, {"minutes": 1}).status == 409


def test_a_pipeline_that_is_over_is_not_extended(shop: Scene) -> None:
    shop.ask("POST", f"/pipelines/{NAME}/cancel")

    assert shop.ask("POST", EXTEND, {"iterations": 1}).status == 409
