"""Keys that are held: no agent has one held, or keeps it so, by what it sends itself."""

from datetime import timedelta

import pytest

from egg_tasks.clock import utcnow
from egg_tasks.gateway import model_route
from egg_tasks.services.agents import model_requests
from tests.integration.api_scene import Scene, until
from tests.integration.test_gateway_models import MESSAGES, RESPONSES, hold, hold_is_over, town, town_of
from tests.provider_stub import Step

BOTH = {"coder", "tester"}


def test_headers_that_say_in_whose_name_is_asked_or_more_do_not_reach_the_provider(scene: Scene) -> None:
    passed = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream",
        "User-Agent": "sdk/1",
        "Anthropic-Version": "2023-06-01",
        "Anthropic-Beta": "one,two",
        "OpenAI-Beta": "three",
        "X-Stainless-Lang": "python",
    }
    kept_back = {
        "OpenAI-Organization": "org-of-others",
        "OpenAI-Project": "proj-of-others",
        "Anthropic-Organization": "of-others",
        "X-Goog-Api-Key": "another",
        "Cookie": "a=b",
        "Idempotency-Key": "of-others",
        "X-Forwarded-For": "10.0.0.1",
        "X-HTTP-Method-Override": "DELETE",
    }
    with town(scene) as place:
        for path in (MESSAGES, RESPONSES):
            place.ask(
                path, headers={"Authorization": f"Bearer {scene.tokens['coder']}", **passed, **kept_back}
            )
        asked = place.stub.asked

    assert len(asked) == 2
    for each in asked:
        assert {name: each.headers[name.lower()] for name in passed} == passed
        assert [name for name in kept_back if name.lower() in each.headers] == []


def test_a_hold_is_lifted_by_a_models_answer_and_not_by_a_look_or_a_fault_of_the_asker(scene: Scene) -> None:
    steps = (Step(status=529), Step(), Step(), Step(status=400), Step())
    strikes = []
    with town(scene, *steps) as place:
        place.ask(MESSAGES)
        hold_is_over()
        statuses = []
        for path, method in (
            ("/v1/models", "GET"),
            (f"{MESSAGES}/count_tokens", "POST"),
            (MESSAGES, "POST"),
            (MESSAGES, "POST"),
        ):
            statuses.append(place.ask(path, method=method)[0])
            strikes.append(hold("strikes"))
            if path == MESSAGES:
                hold_is_over()

    assert statuses == [200, 200, 400, 200]
    assert strikes == [1, 1, 1, None]


def test_who_is_let_through_first_and_never_ends_its_request_keeps_nobody_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_route, "WHOLE_SECONDS", 0.2)
    monkeypatch.setattr(model_requests, "TRIAL", timedelta(hours=1))
    monkeypatch.setattr(model_requests, "TURN", timedelta(minutes=1))
    with town_of(scene, BOTH, anybody=[Step(status=529), Step()]) as place:
        place.ask(MESSAGES, who="tester")
        hold_is_over(1)
        with place.begun(b'{"stream"', more=100):
            until(lambda: len(place.rows()) == 2, "the one that is let through")
            until(lambda: hold("until") <= utcnow(), "the turn of another")
            status, headers, _ = place.ask(MESSAGES)
            other, _, _ = place.ask(MESSAGES, who="tester")

    assert (status, other) == (429, 200)
    assert 1 <= int(headers["retry-after"]) <= 60
    assert hold("strikes") is None


def test_a_fault_of_who_is_let_through_first_keeps_nobody_waiting(scene: Scene) -> None:
    steps = (Step(status=529), Step(status=400), Step())
    with town_of(scene, BOTH, anybody=list(steps)) as place:
        place.ask(MESSAGES)
        hold_is_over()
        statuses = [place.ask(MESSAGES, who=who)[0] for who in ("coder", "tester")]

    assert statuses == [400, 200]


def test_the_run_that_was_first_after_a_hold_leaves_it_to_others_for_some_seconds(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_requests, "TURN", timedelta(minutes=1))
    with town_of(scene, BOTH, anybody=[Step(status=529)]) as place:
        place.ask(MESSAGES)
        statuses = []
        for who, seconds in (("coder", 1), ("coder", 1), ("tester", 1), ("coder", 1), ("coder", 61)):
            hold_is_over(seconds)
            statuses.append(place.ask(MESSAGES, who=who)[0])

    assert statuses == [529, 429, 529, 529, 529]
