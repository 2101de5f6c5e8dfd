"""The gateway's way to models: real HTTP to a provider that plays a script, and what rows say of it."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from egg_tasks.clock import utcnow
from egg_tasks.config import Settings, surroundings
from egg_tasks.database import unit_of_work
from egg_tasks.gateway import callers, model_route
from egg_tasks.model_providers import Provider, WireFormat
from egg_tasks.services.agents import model_requests
from models.errors import Unavailable
from tests.integration.api_rows import finish, run_of
from tests.integration.api_scene import NAME, OPERATOR, Scene, until
from tests.integration.gateway_scene import Way, gateway
from tests.provider_stub import Step, Stub, serving

KEY = "sk-the-real-one"
MESSAGES, RESPONSES, CHAT = "/v1/messages", "/responses", "/chat/completions"
OF = {MESSAGES: "anthropic", RESPONSES: "openai", CHAT: "openai"}
WHOLE = {"input_tokens": 12, "output_tokens": 5}


@dataclass
class Town:
    """An agent's way to a provider."""

    scene: Scene
    way: Way
    stub: Stub
    secrets: Path = field(default_factory=Path)

    def ask(
        self,
        path: str,
        *,
        who: str = "coder",
        provider: str = "",
        method: str = "POST",
        headers: dict[str, str] | None = None,
        **body: object,
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask a model: status, headers and the answer, as far as it came."""
        token = self.scene.tokens.get(who, who)
        given = {"x-api-key": token} if headers is None else headers
        connection = HTTPConnection("127.0.0.1", self.way.port, timeout=20)
        try:
            content = json.dumps({"model": "m", **body}).encode() if method == "POST" else None
            target = f"/model/{provider or OF.get(path, 'anthropic')}{path}"
            connection.request(method, target, body=content, headers=given)
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            try:
                return response.status, named, response.read()
            except HTTPException as error:
                return response.status, named, getattr(error, "partial", b"")
        finally:
            connection.close()

    @contextmanager
    def begun(self, body: bytes = b'{"stream": true}', *, more: int = 0) -> Iterator[socket.socket]:
        """A connection on which Messages were asked, whose answer is to be read; *more* bytes do not come."""
        token = self.scene.tokens["coder"]
        lines = ("POST /model/anthropic/v1/messages HTTP/1.1", "Host: x", f"x-api-key: {token}")
        with self.way.connect() as near:
            near.sendall("\r\n".join((*lines, f"Content-Length: {len(body) + more}", "", "")).encode() + body)
            yield near

    def rows(self) -> list[dict[str, Any]]:
        """What is in the ledger, in the order it was asked; without what is None."""
        with unit_of_work() as session:
            found = session.execute(text("SELECT * FROM model_requests ORDER BY id")).mappings().all()
        return [{name: value for name, value in row.items() if value is not None} for row in found]

    def last(self, *names: str) -> dict[str, Any]:
        """Of the last request what is known, when it has ended."""
        until(lambda: "ended_at" in self.rows()[-1], "the end of a request")
        row = self.rows()[-1]
        return {name: row[name] for name in names or row.keys() if name in row}


@contextmanager
def town(scene: Scene, *steps: Step, **more: Sequence[Step]) -> Iterator[Town]:
    """A provider of each format, a pipeline whose coder may ask them, and a gateway."""
    with town_of(scene, {"coder"}, **{**more, "anybody": steps or (Step(),)}) as place:
        yield place


@contextmanager
def town_of(scene: Scene, askers: set[str], **script: Sequence[Step]) -> Iterator[Town]:
    """The same, where others may ask."""
    program = {"backend": "command", "command": ["true"]}
    asking = {**program, "providers": ["anthropic", "openai", "else"]}
    scene.start(agents={who: asking if who in askers else program for who in ("coder", "tester")})
    with serving(**script) as stub:
        furnish(scene.home, stub.url)
        with gateway(scene.home, api_port=scene.port) as way:
            yield Town(scene, way, stub, scene.home / "secrets")


def furnish(home: Path, url: str) -> None:
    """Say where providers are, and write their key."""
    formats = {"anthropic": "anthropic", "openai": "openai", "else": "other"}
    more = {"else": f'paths = ["{MESSAGES}"]\n'}
    lines = [
        f'[providers.{name}]\nbase_url = "{url}/base"\nformat = "{kind}"\ncredential = "KEY"\n'
        f"{more.get(name, '')}"
        for name, kind in formats.items()
    ]
    (home / "settings.toml").write_text("\n".join(lines))
    (home / "secrets").mkdir(mode=0o700)
    write_key(home / "secrets", KEY)


def write_key(secrets: Path, key: str) -> None:
    """Put a key where it is read."""
    path = secrets / "KEY"
    path.write_text(f"{key}\n")
    path.chmod(0o600)


def test_the_agents_token_becomes_the_machines_key_and_is_told_to_nobody(scene: Scene) -> None:
    with town(scene) as place:
        token = scene.tokens["coder"]
        by_key = place.ask(f"{MESSAGES}?beta=true", headers={"x-api-key": token, "anthropic-version": "v"})
        by_bearer = place.ask(RESPONSES, headers={"Authorization": f"Bearer {token}", "Cookie": "a=b"})
        asked = place.stub.asked

    assert (by_key[0], by_bearer[0]) == (200, 200)
    assert [each.path for each in asked] == ["/base/v1/messages?beta=true", "/base/responses"]
    assert asked[0].headers["x-api-key"] == KEY
    assert asked[0].headers["anthropic-version"] == "v"
    assert asked[0].headers["accept-encoding"] == "identity"
    assert asked[0].headers["host"] == place.stub.url.removeprefix("http://")
    assert asked[1].headers["authorization"] == f"Bearer {KEY}"
    assert "x-api-key" not in asked[1].headers
    assert "cookie" not in asked[1].headers
    assert token not in str(asked)
    assert KEY not in str((by_key, by_bearer, place.rows()))


def test_what_was_used_is_counted_of_streams_and_of_answers_in_one_piece(scene: Scene) -> None:
    step = Step(cache_read=100, reasoning=3, output=7, text="Ü" * 20, split=7)
    with town(scene, step) as place:
        for path in (MESSAGES, RESPONSES, CHAT):
            place.ask(path)
            place.ask(path, stream=True, stream_options={"include_usage": True})
        place.last()
        rows = place.rows()

    assert [row["provider"] for row in rows] == [
        OF[path] for path in (MESSAGES, RESPONSES, CHAT) for _ in "12"
    ]
    for row in rows:
        assert (row["model"], row["http_status"], row["usage"]) == ("stub-1", 200, "whole")
        assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (12, 100, 7)
        assert row.get("reasoning_tokens", 3) == 3
        assert row["milliseconds"] >= 0
        assert row["agent_run_id"] == run_of(scene, "coder")


def test_a_run_has_so_many_requests_under_way_and_no_more(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_route, "MOST_UNDER_WAY", 2)
    with town(scene, Step(stall=60), Step(stall=60), Step()) as place:
        with place.begun(), place.begun():
            until(lambda: len(place.stub.asked) == 2, "two requests under way")
            status, headers, content = place.ask(MESSAGES)
        place.last()
        until(lambda: place.ask(MESSAGES)[0] == 200, "room for another")

    assert (status, headers["retry-after"]) == (429, "1")
    assert json.loads(content)["message"] == "this run has 2 requests to models under way already"


def test_an_answer_is_passed_on_as_it_comes(scene: Scene) -> None:
    with town(scene, Step(stall=60)) as place, place.begun() as near:
        heard = near.recv(65536)
        while b"message_start" not in heard:
            heard += near.recv(65536)

    assert b"message_stop" not in heard


def test_of_a_stream_that_is_cut_what_had_come_is_counted(scene: Scene) -> None:
    known = {MESSAGES: {"input_tokens": 12}, RESPONSES: {}, CHAT: {}}
    with town(scene, Step(text="word " * 20, cut_after=10)) as place:
        rows = {}
        for path in known:
            place.ask(path, stream=True)
            rows[path] = place.last("usage", "input_tokens", "output_tokens", "http_status")

    assert all(row.pop("output_tokens") in range(8, 16) for row in rows.values())
    assert rows == {path: {"usage": "part", "http_status": 200, **more} for path, more in known.items()}


def test_of_a_stream_whose_reader_hangs_up_what_had_come_is_counted(scene: Scene) -> None:
    with town(scene, Step(stall=60)) as place:
        with place.begun() as near:
            near.recv(65536)
        row = place.last("usage", "input_tokens")

    assert row == {"usage": "part", "input_tokens": 12}


def test_what_is_not_known_is_no_zero(scene: Scene) -> None:
    asked = (
        ("else", MESSAGES, "well", "none"),
        ("openai", "/embeddings", "well", "none"),
        ("anthropic", MESSAGES, "packed", "none"),
        ("anthropic", MESSAGES, "unanswered", "none"),
        ("anthropic", MESSAGES, "faulty", "unused"),
        ("anthropic", f"{MESSAGES}/count_tokens", "well", "unused"),
    )
    script = {"packed": [Step(packed=True)], "unanswered": [Step(cut_after=0)], "faulty": [Step(status=400)]}
    with town(scene, **script) as place:
        rows = []
        for provider, path, word, _ in asked:
            place.ask(path, provider=provider, system=word)
            rows.append(place.last())

    assert [row["usage"] for row in rows] == [usage for *_, usage in asked]
    assert not [name for row in rows for name in row if name.endswith("_tokens")]


def test_which_models_there_are_may_be_looked_at_and_nothing_else_of_the_account(scene: Scene) -> None:
    with town(scene) as place:
        models = place.ask("/v1/models", method="GET")
        refused = [
            place.ask(path, method=method)[0]
            for method, path in (
                ("GET", "/v1/files"),
                ("DELETE", "/v1/models/x"),
                ("GET", "/v1/messages/batches"),
            )
        ]

    assert models[0] == 200
    assert refused == [403, 403, 403]
    assert len(place.stub.asked) == 1


@pytest.mark.parametrize(
    ("provider", "path", "status"),
    [
        ("anthropic", "/v1/messages", 200),
        ("anthropic", "/v1/messages/count_tokens", 200),
        ("anthropic", "/v1/organizations/api_keys/x", 403),
        ("anthropic", "/v1/messages/batches/x/cancel", 403),
        ("anthropic", "/v1/responses", 403),
        ("openai", "/v1/responses", 200),
        ("openai", "/embeddings", 200),
        ("openai", "/organization/admin_api_keys", 403),
        ("openai", "/responses/x/cancel", 403),
        ("openai", "/files", 403),
        ("else", "/v1/messages", 200),
        ("else", "/v1/responses", 403),
    ],
)
def test_an_agent_asks_where_models_are_asked_or_a_person_says_and_nowhere_else_of_the_account(
    scene: Scene, provider: str, path: str, status: int
) -> None:
    with town(scene) as place:
        found, _, content = place.ask(path, provider=provider)
        asked = len(place.stub.asked)

    assert (found, asked) == (status, int(status == 200))
    if status == 403:
        assert f"a person may add that to `paths` of [providers.{provider}]" in json.loads(content)["message"]


PATHS = [
    "/../x",
    "/v1/../../x",
    "/v1/%2e%2e/x",
    "/v1%2fx",
    "//x",
    "/v1//x",
    "/v1/./x",
    "/",
    "",
    "/a\\b",
    "/v1/",
]


def test_a_path_that_could_be_taken_for_two_is_refused(scene: Scene) -> None:
    with town(scene) as place:
        statuses = {path: place.ask(path, provider="anthropic")[0] for path in PATHS}

    assert statuses == dict.fromkeys(PATHS, 400)
    assert place.stub.asked == []
    assert place.rows() == []


def test_who_may_not_ask_is_told_so_where_programs_look(scene: Scene) -> None:
    asked = (
        ("made-up", "anthropic", 401, "nobody knows this credential"),
        (OPERATOR, "anthropic", 401, "nobody knows this credential"),
        ("tester", "anthropic", 403, "its definition names those it has, in `providers`"),
        ("coder", "unheard-of", 404, "a person adds [providers.unheard-of] to settings.toml"),
    )
    with town(scene) as place:
        answers = [place.ask(MESSAGES, who=who, provider=provider) for who, provider, _, _ in asked]

    assert [status for status, _, _ in answers] == [status for _, _, status, _ in asked]
    for (_, _, content), (_, _, _, sentence) in zip(answers, asked, strict=True):
        said = json.loads(content)
        assert sentence in said["error"]["message"]
        assert (said["type"], said["message"]) == ("error", said["error"]["message"])
    assert place.stub.asked == []


def test_a_run_that_is_over_asks_nothing_more_and_what_is_under_way_ends(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "LOOK_AGAIN_SECONDS", 0.1)
    with town(scene, Step(stall=60)) as place, place.begun() as near:
        near.recv(65536)
        finish(scene, "coder")
        while near.recv(65536):
            pass
        after, _, _ = place.ask(MESSAGES)
        row = place.last("usage")

    assert after == 409
    assert row == {"usage": "part"}


def test_what_is_said_of_a_key_is_said_once_to_all_who_have_it(scene: Scene) -> None:
    script = {
        "short": [Step(status=429, headers={"Retry-After": "30"})],
        "long": [Step(status=429, headers={"Retry-After": "3600"})],
        "crowded": [Step(status=529)],
        "unknown": [Step(status=401)],
    }
    found = {}
    with town(scene, **script) as place:
        for word in script:
            first, _, content = place.ask(MESSAGES, system=word)
            assert b"the stub says" in content
            second, headers, told = place.ask(RESPONSES)
            holds = scene.ask("GET", f"/pipelines/{NAME}/usage").data["holds"]
            assert "KEY" in json.loads(told)["error"]["message"]
            left = int(headers.get("retry-after", 0))
            found[word] = (first, second, [(hold["reason"], hold["http_status"]) for hold in holds], left)
            nothing_is_held()
        number = len(place.rows())

    assert len(place.stub.asked) == number == len(script)
    assert {word: each[:3] for word, each in found.items()} == {
        "short": (429, 429, [("capacity", 429)]),
        "long": (429, 429, [("quota", 429)]),
        "crowded": (529, 429, [("capacity", 529)]),
        "unknown": (401, 401, [("auth", 401)]),
    }
    assert found["short"][3] in range(20, 31)
    assert found["long"][3] in range(3590, 3601)


def test_after_a_hold_one_is_let_through_and_what_it_is_answered_counts_for_all(scene: Scene) -> None:
    with town(scene, Step(status=529), Step(status=529), Step(stall=60), Step()) as place:
        place.ask(MESSAGES)
        hold_is_over()
        again, _, _ = place.ask(MESSAGES)
        strikes = hold("strikes")
        hold_is_over()
        with place.begun(b"{}"):
            until(lambda: len(place.stub.asked) == 3, "the one that is let through")
            beside, _, _ = place.ask(MESSAGES)
        hold_is_over()
        first, _, _ = place.ask(MESSAGES)
        second, _, _ = place.ask(MESSAGES)

    assert (again, beside, first, second) == (529, 429, 200, 200)
    assert strikes == 2
    assert hold("strikes") is None


def test_a_new_key_is_tried_at_once(scene: Scene) -> None:
    with town(scene, Step(status=401), Step()) as place:
        refused, _, _ = place.ask(MESSAGES)
        write_key(place.secrets, "another")
        later = (utcnow() + timedelta(seconds=1)).timestamp()
        os.utime(place.secrets / "KEY", (later, later))
        taken, _, _ = place.ask(MESSAGES)

    assert (refused, taken) == (401, 200)
    assert place.stub.asked[-1].headers["x-api-key"] == "another"


def test_a_machine_without_the_key_says_so_and_sends_nothing(scene: Scene) -> None:
    with town(scene) as place:
        (place.secrets / "KEY").chmod(0o644)
        status, _, content = place.ask(MESSAGES)

    message = json.loads(content)["message"]
    assert (status, message) == (
        503,
        "the key of the provider anthropic is not to be had on this machine: egg doctor",
    )
    assert str(scene.home) not in message
    assert place.stub.asked == []


def test_a_provider_that_is_away_has_used_nothing(scene: Scene) -> None:
    with town(scene) as place:
        with socket.create_server(("127.0.0.1", 0)) as door:
            port = door.getsockname()[1]
        text_of = (scene.home / "settings.toml").read_text()
        (scene.home / "settings.toml").write_text(text_of.replace(place.stub.url, f"http://127.0.0.1:{port}"))
        status, _, _ = place.ask(MESSAGES)

        assert (status, place.last("usage", "http_status")) == (503, {"usage": "unused"})


def test_a_redirect_is_not_followed(scene: Scene) -> None:
    with town(scene, Step(status=307, headers={"Location": "http://127.0.0.1:1/"}), Step()) as place:
        status, _, _ = place.ask(MESSAGES)

    assert status == 307
    assert len(place.stub.asked) == 1


def test_what_a_gateway_that_is_gone_had_begun_is_ended_by_the_next_and_used_nobody_knows_what(
    scene: Scene,
) -> None:
    with town(scene) as place:
        wish = model_requests.Wish(run_of(scene, "coder"), "local", "anthropic", "KEY", utcnow())
        node = place.rows
        with unit_of_work() as session:
            model_requests.begin(session, wish=wish, providers=["anthropic"], now=utcnow())
        unended = "ended_at" in node()[-1]
    with unit_of_work() as session:
        session.execute(text("UPDATE model_requests SET node = :node"), {"node": node_of(scene)})
    with gateway(scene.home, api_port=scene.port):
        until(lambda: "ended_at" in place.rows()[-1], "the end of what was lost")
        row = place.rows()[-1]

    assert not unended
    assert row["usage"] == "none"
    assert "milliseconds" not in row


def test_what_a_pipeline_used_is_told_by_role_and_model(scene: Scene) -> None:
    steps = (Step(), Step(text="word " * 40, cut_after=10), Step(model="stub-2"), Step(status=400))
    with town(scene, *steps) as place:
        for path in (MESSAGES, MESSAGES, RESPONSES, CHAT):
            place.ask(path, stream=True)
            place.last()
        found = scene.ask("GET", f"/pipelines/{NAME}/usage").data["usage"]

    keys = ("role", "provider", "model", "requests", "failed", "part_known", "unknown", "input_tokens")
    assert [tuple(one[key] for key in keys) for one in found] == [
        ("coder", "anthropic", "stub-1", 2, 0, 1, 0, 24),
        ("coder", "openai", "", 1, 1, 0, 0, None),
        ("coder", "openai", "stub-2", 1, 0, 0, 0, 12),
    ]


CERTIFICATE = Path(__file__).parents[1] / "private_server.pem"
"""Signed by itself, for 127.0.0.1."""


@pytest.mark.parametrize(
    ("is_trusted", "host", "is_reached"),
    [(True, "127.0.0.1", True), (True, "localhost", False), (False, "127.0.0.1", False)],
)
def test_a_provider_has_to_prove_by_its_certificate_that_it_is_the_one(
    monkeypatch: pytest.MonkeyPatch, *, is_trusted: bool, host: str, is_reached: bool
) -> None:
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    model_route.tls.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    async def reached() -> bool:
        server = await asyncio.start_server(
            lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context
        )
        url = f"https://{host}:{server.sockets[0].getsockname()[1]}"
        try:
            peer = await model_route.reached(Provider("one", url, WireFormat.OTHER, "KEY"))
        except Unavailable:
            return False
        finally:
            server.close()
        peer.abort()
        return True

    found = asyncio.run(reached())
    model_route.tls.cache_clear()

    assert found is is_reached


def node_of(scene: Scene) -> str:
    """What the gateway of a scene calls its machine."""
    return Settings.from_environment({**surroundings(), "EGG_HOME": str(scene.home)}).node


def hold_is_over(seconds: float = 6) -> None:
    """Have the time pass that a hold lasts, and so many seconds more."""
    with unit_of_work() as session:
        session.execute(
            text("UPDATE credential_holds SET until = now() - make_interval(secs => :s)"), {"s": seconds}
        )


def nothing_is_held() -> None:
    """Lift all holds."""
    with unit_of_work() as session:
        session.execute(text("DELETE FROM credential_holds"))


def hold(column: str) -> Any:
    """What is known of the one key that is held; None if none is."""
    with unit_of_work() as session:
        found = session.execute(text("SELECT * FROM credential_holds")).mappings().one_or_none()
    return found and found[column]
