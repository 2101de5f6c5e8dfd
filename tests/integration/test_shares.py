"""What one token may use up: of everything that leaves a row or has work done for it, so much and no more."""

import pytest

from egg_tasks.database import unit_of_work
from models import shares as limits
from models.queries import pipelines
from models.shares import LIMITS, MIB, Share
from models.tables import MessageStream, RunShare
from tests.integration.api_rows import run_of
from tests.integration.api_scene import NAME, Answer, Scene

MESSAGES = f"/pipelines/{NAME}/messages"
SIGNAL = f"/pipelines/{NAME}/signal"


def send(shop: Scene, who: str = "coder", **more: object) -> Answer:
    body = {"message_type": "PROGRESS", "to_role": "tester", **more}
    return shop.ask("POST", MESSAGES, body, who=who)


def use(shop: Scene, share: Share, number: int, *, size: int = 0, role: str = "coder") -> None:
    """Have a role's run have used so much already, an hour ago."""
    with unit_of_work() as session:
        row = RunShare(agent_run_id=run_of(shop, role), share=str(share), number=number, size=size)
        row.began_at = pipelines.get_pipeline(session, pipeline_id=NAME).created_at
        session.add(row)


def fill(stored: int) -> None:
    """Have the pipeline have stored so many bytes of messages already."""
    with unit_of_work() as session:
        session.get_one(MessageStream, NAME).stored_bytes = stored


def used(shop: Scene, share: Share) -> int:
    with unit_of_work() as session:
        row = session.get(RunShare, (run_of(shop, "coder"), str(share)))
        return row.number if row else 0


def events(shop: Scene, kind: str) -> list[str]:
    found = shop.ask("GET", f"/pipelines/{NAME}/events?limit=500").data["events"]
    return [event["text"] for event in found if event["type"] == kind]


def why(shop: Scene) -> str:
    return str(shop.ask("GET", f"/pipelines/{NAME}/why").data["why"])


def test_a_run_sends_so_many_messages_and_a_person_may_grant_more(shop: Scene) -> None:
    most = limits.message_limit(limits.MESSAGE_QUOTA).number
    use(shop, Share.MESSAGES, most - 1)

    assert send(shop).status == 201
    refused = send(shop)

    assert (most, refused.status) == (2048, 409)
    assert f"egg pipeline quota {NAME} --messages SIZE" in refused.body["message"]
    assert send(shop, "tester").status == 201
    assert shop.ask("POST", f"/pipelines/{NAME}/quota", {"messages": 512 * MIB}).status == 200
    assert send(shop).status == 201


def test_a_run_sends_so_many_bytes(shop: Scene) -> None:
    use(shop, Share.MESSAGES, 1, size=16 * MIB - 40_000)

    assert send(shop, body="x" * 60_000).status == 409
    assert send(shop, body="x" * 30_000).status == 201


def test_a_pipeline_stores_so_much_of_its_agents_messages_and_all_of_a_persons(shop: Scene) -> None:
    fill(limits.MESSAGE_QUOTA - 10)

    refused = send(shop)

    assert (refused.status, send(shop, "tester").status) == (409, 409)
    assert refused.body["message"].endswith(f"egg pipeline quota {NAME} --messages 512M")
    assert send(shop, "operator", message_type="DIRECTIVE", body="x" * 60_000).status == 201
    assert shop.say("coder", "BLOCKED").status == 200


def test_what_is_used_up_is_told_once_and_stands_in_why_until_a_person_grants_more(shop: Scene) -> None:
    fill(limits.MESSAGE_QUOTA)
    for _ in range(5):
        send(shop)

    assert len(events(shop, "share.used_up")) == 1
    assert "fill their quota of 256M" in why(shop)
    shop.ask("POST", f"/pipelines/{NAME}/quota", {"messages": 512 * MIB})
    assert "quota" not in why(shop)
    assert events(shop, "pipeline.quota") == [f"pipeline {NAME} may store 512M of messages"]


def test_a_message_is_counted_with_all_its_words_whoever_sends_it(shop: Scene) -> None:
    send(shop, subject="ä" * 10, body="x" * 100, metadata={"a": 1}, client_key="k")
    send(shop, subject="ä" * 10, body="x" * 100, metadata={"a": 1}, client_key="k")
    send(shop, "operator", body="x" * 50)

    found = shop.ask("GET", f"{MESSAGES}/status").data

    assert found["stored_bytes"] == 20 + 100 + 8 + 50 + 2 * 1024
    assert found["quota_bytes"] == 256 * MIB
    assert used(shop, Share.MESSAGES) == 1


@pytest.mark.parametrize(
    ("share", "path", "body"),
    [
        (Share.PROGRESS, SIGNAL, {"signal_type": "progress", "reason": "half"}),
        (Share.ERRORS, SIGNAL, {"signal_type": "error", "reason": "oh"}),
        (Share.VERDICTS, SIGNAL, {"signal_type": "readiness", "state": "WORKING"}),
        (Share.VERDICTS, SIGNAL, {"signal_type": "readiness", "state": "BLOCKED"}),
        (Share.READY, SIGNAL, {"signal_type": "readiness", "state": "READY"}),
        (Share.SYNC, f"/pipelines/{NAME}/sync", None),
        (Share.RESULTS, f"/pipelines/{NAME}/results", {"status": "success", "summary": "new"}),
        (Share.QUESTIONS, f"/pipelines/{NAME}/decisions", {"question": "What?"}),
    ],
    ids=["progress", "error", "working", "blocked", "ready", "sync", "result", "question"],
)
def test_of_everything_else_a_run_has_a_share_that_ends_with_the_run(
    shop: Scene, share: Share, path: str, body: object
) -> None:
    use(shop, share, LIMITS[share].number)

    refused = shop.ask("POST", path, body, who="coder")

    assert refused.status == 409
    assert f"has used up its {LIMITS[share].what}" in refused.body["message"]
    assert "the next run has its own" in refused.body["message"]
    assert [text for text in events(shop, "share.used_up") if LIMITS[share].what in text]
    assert "has used up its" in why(shop)
    assert shop.ask("POST", path, body, who="tester").status < 300


def test_words_count_in_bytes(shop: Scene) -> None:
    said = {"signal_type": "progress", "reason": "x" * 60_000}
    answers = [shop.ask("POST", SIGNAL, said, who="coder").status for _ in range(75)]

    assert answers[:60] == [200] * 60
    assert answers[-1] == 409
    assert answers.count(200) * 60_000 <= LIMITS[Share.PROGRESS].size


def test_refused_readys_count_and_too_many_at_once_are_told_to_wait(shop: Scene) -> None:
    (shop.clone("coder") / "uncommitted").write_text("text")
    answers = [shop.say("coder", "READY") for _ in range(20)]

    statuses = [answer.status for answer in answers]
    assert statuses[:5] == [409] * 5
    assert 429 in statuses
    late = next(answer for answer in answers if answer.status == 429)
    assert late.headers["retry-after"] == "1"
    assert used(shop, Share.READY) == statuses.count(409)


def test_who_is_told_that_a_share_is_used_up_may_still_give_a_verdict(shop: Scene) -> None:
    for share in set(Share) - {Share.READY, Share.MESSAGES}:
        use(shop, share, LIMITS[share].number)
    use(shop, Share.MESSAGES, 10_000)
    shop.commit("coder", "work.txt")

    assert send(shop).status == 409
    assert shop.say("coder", "READY").status == 200


@pytest.mark.parametrize("quota", [0, 1023, -1, 2**63, "1G", 1.5, True, None])
def test_a_quota_is_a_sound_number_of_bytes(shop: Scene, quota: object) -> None:
    assert shop.ask("POST", f"/pipelines/{NAME}/quota", {"messages": quota}).status == 422


def test_an_agent_grants_itself_nothing(shop: Scene) -> None:
    assert shop.ask("POST", f"/pipelines/{NAME}/quota", {"messages": 2**30}, who="coder").status == 403


def test_every_kind_has_its_limit() -> None:
    assert set(LIMITS) == set(Share) - {Share.MESSAGES}
