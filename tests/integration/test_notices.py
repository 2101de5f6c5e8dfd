"""People hear of a decision: by a real server that fails twice, signed, and never twice."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from egg_tasks import outbox
from egg_tasks.clock import utcnow
from egg_tasks.config import settings, webhook_of
from egg_tasks.database import unit_of_work
from egg_tasks.outbox import Notice
from egg_tasks.reconciler import default_decisions, send_notices
from egg_tasks.services.people import notifications
from egg_tasks.use_cases.telling import make
from egg_tasks.webhook import sign
from models.errors import Unprocessable
from tests.integration import api_scene
from tests.integration.api_scene import NAME, Scene

KEY = b"sixteen bytes and a few more"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
QUESTION = {"question": "Which?", "options": ["one", "two"]}


@dataclass
class Hook:
    """What a receiver is to answer, in order, and what it got."""

    answers: list[int]
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def receiving(*answers: int) -> Iterator[Hook]:
    """Serve a receiver on a free port."""
    hook = Hook(list(answers))

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(hook.answers.pop(0))
            self.send_header("Location", f"{hook.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as http:
        hook.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield hook
        http.shutdown()
        thread.join()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    """A receiver that fails twice, the second time by a redirect, and this installation's webhook."""
    with receiving(500, 302, 200) as hook:
        monkeypatch.setenv("EGG_WEBHOOK_URL", f"{hook.url}/egg")
        monkeypatch.setenv("EGG_WEBHOOK_SECRET", SECRET)
        yield hook


@pytest.fixture
def asked(hook: Hook, shop: Scene) -> int:
    """The shop's coder has asked a person; the decision."""
    del hook
    return int(shop.ask("POST", f"/pipelines/{NAME}/decisions", QUESTION, who="coder").data["decision"]["id"])


def due(after: timedelta = timedelta(0)) -> list[Notice]:
    """The tries that would be due after some time; they are put off by that."""
    with unit_of_work() as session:
        notifications.send_due(session, now=utcnow() + after, limit=10)
        parcels = outbox.of(session).parcels
    return [parcel for parcel in parcels if isinstance(parcel, Notice)]


def test_a_receiver_that_fails_twice_is_told_once_and_can_check_who_tells(
    hook: Hook, asked: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    make(Notice(asked, 1))
    make(Notice(asked, 1))
    for _ in range(2):
        for attempt in due(timedelta(hours=1)):
            make(attempt)

    assert due(timedelta(days=1)) == []
    assert len(hook.got) == 3
    for headers, body in hook.got:
        signed = f"decision-{asked}.{headers['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-id"] == f"decision-{asked}"
        assert headers["webhook-signature"] == f"v1,{mac}"
    told = json.loads(hook.got[-1][1])
    assert (told["type"], told["pipeline"], told["phase"]) == ("decision.created", NAME, "implement")
    assert told["decision"]["options"] == ["one", "two"]
    assert told["how_to_answer"] == f'egg decision resolve {asked} "one"'
    assert SECRET not in caplog.text + "".join(capfd.readouterr()) + repr(settings())


@pytest.mark.usefixtures("asked")
def test_what_was_not_sent_is_found_by_the_reconciler_once() -> None:
    assert (send_notices(), send_notices()) == (1, 0)


def test_a_decision_that_is_answered_is_not_told(hook: Hook, shop: Scene, asked: int) -> None:
    shop.ask("POST", f"/pipelines/{NAME}/decisions/{asked}/resolve", {"resolution": "one"})

    make(Notice(asked, 1))

    assert (hook.got, due(timedelta(days=1))) == ([], [])


def test_nobody_is_told_without_a_webhook(shop: Scene) -> None:
    shop.ask("POST", f"/pipelines/{NAME}/decisions", QUESTION, who="coder")

    assert send_notices() == 0


def test_the_pauses_grow_to_an_hour_and_the_tries_end(asked: int) -> None:
    numbers = []
    for _ in range(notifications.BOUND.most + 2):
        for attempt in due(timedelta(days=1)):
            numbers.append(attempt.number)
            with unit_of_work() as session:
                assert notifications.begin(session, attempt=attempt, now=utcnow()) is not None

    assert numbers == list(range(1, notifications.BOUND.most + 1)), asked
    assert [notifications.BOUND.pause(tries).seconds for tries in (1, 2, 3, 20)] == [5, 10, 20, 3600]


def test_the_reconciler_gives_an_overdue_question_its_default(shop: Scene) -> None:
    body = {**QUESTION, "after_minutes": 0.0001}
    made = shop.ask("POST", f"/pipelines/{NAME}/decisions", body, who="coder").data["decision"]

    assert (default_decisions(), default_decisions()) == (1, 0)
    found = shop.ask("GET", f"/decisions/{made['id']}").data["decision"]
    assert (found["status"], found["resolution"]) == ("defaulted", "one")


@pytest.mark.parametrize(
    ("url", "secret", "sentence"),
    [
        ("https://hook.example", "", "without EGG_WEBHOOK_SECRET"),
        ("hook.example", "long enough for it", "must look like https://host/path"),
        ("https://hook.example", "four", "too short"),
        ("https://hook.example", "whsec_ä!", "base64"),
    ],
)
def test_a_webhook_that_nobody_could_trust_is_refused(url: str, secret: str, sentence: str) -> None:
    with pytest.raises(Unprocessable, match=sentence) as refused:
        webhook_of({"EGG_WEBHOOK_URL": url, "EGG_WEBHOOK_SECRET": secret})

    assert not secret or secret not in str(refused.value)


def test_a_secret_may_also_be_plain_words() -> None:
    api_scene.forget()
    webhook = webhook_of({"EGG_WEBHOOK_URL": "https://hook.example", "EGG_WEBHOOK_SECRET": "x" * 16})

    assert webhook is not None
    assert webhook.key == b"x" * 16


def test_the_check_that_is_documented_knows_ours_from_others() -> None:
    page = (Path(__file__).parents[2] / "docs/howto/answer-decisions.md").read_text()
    documented: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], documented)  # noqa: S102 - our own page
    stamp = str(int(utcnow().timestamp()))
    headers = {"webhook-id": "decision-7", "webhook-timestamp": stamp}
    headers["webhook-signature"] = sign(KEY, "decision-7", stamp, b"{}")

    assert documented["is_ours"](headers, b"{}", SECRET)
    assert not documented["is_ours"](headers, b"{} ", SECRET)
