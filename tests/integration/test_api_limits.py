"""What a request may bring: refused in a sentence where it is too much, and for as little as that takes."""

import os
import select
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import event, text

from egg_tasks.api import body_limit, connections
from egg_tasks.api.app import create_app
from egg_tasks.database import engine, single_statements, unit_of_work
from tests.integration.api_rows import ask_a_person, run_of
from tests.integration.api_scene import NAME, Scene, connect, forget, head, status, until

SEND = {"message_type": "PROGRESS", "subject": "half way"}
P = f"/pipelines/{NAME}"


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"1," * 100_000 + b"1]",
        b'{"message_type": "STATUS", "metadata": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
        b'{"message_type": "STATUS", "in_reply_to": ' + b"9" * 200_000 + b"}",
        b'{"message_type": "STATUS", "metadata": {"n": NaN}}',
        b"{" + b",".join([b'"a": 1'] * 1900) + b"}",
        b'"' + b'\\"' * 250_000,
    ],
    ids=["items", "depth", "digits", "NaN", "duplicates", "unended"],
)
def test_what_is_too_much_of_anything_is_refused_in_a_sentence(shop: Scene, raw: bytes) -> None:
    answer = shop.ask("POST", f"{P}/messages", raw=raw, who="coder")

    assert 400 <= answer.status <= 422
    assert len(str(answer.body)) < 1000


def test_of_many_faults_the_first_are_named_and_the_others_counted(shop: Scene) -> None:
    body = {"signal_type": "heartbeat"} | {f"k{number}": 1 for number in range(1900)}

    answer = shop.ask("POST", f"{P}/signal", body, who="coder")

    assert (answer.status, len(answer.body["details"]["faults"])) == (422, 50)
    assert "and 1899 more faults" in answer.body["message"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"{P}/messages?" + "&".join(f"q{number}=1" for number in range(100_000)), {}),
        (f"{P}/messages?" + "type=no&" * 1500, {}),
        ("/" + "a" * 5000, {}),
        (f"{P}/messages", {"X-Long": "a" * 60_000}),
    ],
    ids=["many parameters", "long query", "long path", "long headers"],
)
def test_a_head_that_is_too_long_is_refused_and_the_next_one_answered(
    shop: Scene, path: str, headers: dict[str, str]
) -> None:
    # Where it is very long, the answer may be lost in it.
    with suppress(ConnectionError):
        assert shop.ask("GET", path, who="coder", headers=headers).status in {400, 413}
    assert shop.ask("GET", f"{P}/messages", who="coder").status == 200


@pytest.mark.parametrize(
    ("where", "size"),
    [("signal", 300), ("messages", 600), ("results", 600), ("sync", 20), ("decisions", 300)],
)
def test_a_body_longer_than_its_route_needs_is_refused_before_it_comes(
    shop: Scene, where: str, size: int
) -> None:
    said = head(shop, "POST", f"{P}/{where}", "coder", f"Content-Length: {size * 1024}")

    with connect(shop, said) as connection:
        assert status(connection) == 413


def test_an_unknown_credential_is_refused_before_any_of_its_body_comes(shop: Scene) -> None:
    said = head(shop, "POST", f"{P}/messages", "nobody-knows", "Content-Length: 400000")

    with connect(shop, said) as connection:
        assert status(connection) == 401


def test_a_head_that_never_ends_is_ended(shop: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1)
    unended = head(shop, "GET", "/health", "coder")[:-2]

    with connect(shop, unended) as connection:
        assert is_closed(connection)


def test_a_second_head_that_never_ends_is_ended(shop: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1)
    whole = head(shop, "GET", "/health", "coder")

    with connect(shop, whole) as connection:
        assert status(connection) == 200
        connection.sendall(whole[:20])
        assert is_closed(connection)


@pytest.mark.parametrize("end", [b"X-Long: ", b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Long: "])
def test_a_head_is_not_kept_without_bounds_and_neither_is_what_follows_a_body(
    shop: Scene, end: bytes
) -> None:
    begun = head(shop, "POST", f"{P}/signal", "coder")[:-2] + end

    with connect(shop, begun) as connection:
        with suppress(OSError):
            for _ in range(400):
                connection.sendall(b"x" * 16_384)
        assert is_closed(connection)


def test_who_asks_much_ahead_and_hangs_up_leaves_no_traceback(
    shop: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = head(shop, "GET", f"{P}/messages?since_id=0", "tester")

    with connect(shop, asked * 20):
        pass
    with connect(shop, asked * 1000) as connection:
        assert is_closed(connection)

    assert shop.ask("GET", f"{P}/messages?since_id=0", who="tester").status == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_body_that_never_ends_is_refused(shop: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "SECONDS", 0.5)

    with connect(
        shop, head(shop, "POST", f"{P}/signal", "coder", "Content-Length: 100") + b"{"
    ) as connection:
        assert status(connection) == 400


def test_who_takes_nothing_of_its_answers_is_left(shop: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TAKE_SECONDS", 1)
    said = {"message_type": "STATUS", "body": "x" * 60_000}
    for _ in range(10):
        assert shop.ask("POST", f"{P}/messages", said, who="coder").status == 201
    asked = head(shop, "GET", f"{P}/messages?since_id=0", "tester")

    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", shop.port))
        connection.sendall(asked * 40)
        ended = select.poll()
        ended.register(connection, 0)

        assert ended.poll(30_000)


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side ends it, whatever it still says."""
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8700", "127.0.0.1.evil.example", "", "[", "10.9.8.7"]
)
def test_a_strange_host_is_refused(shop: Scene, host: str) -> None:
    for path in ("/health", "/pipelines", "/nothing"):
        answer = shop.ask("GET", path, headers={"Host": host})

        assert (answer.status, "EGG_API_HOSTS" in answer.body["message"]) == (400, True)


@pytest.mark.parametrize(
    "host", ["localhost:1", "LOCALHOST.", "[::1]:8700", "127.9.9.9", "egg.example.org", "hen"]
)
def test_a_host_that_is_ours_is_answered(shop: Scene, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("EGG_ORCHESTRATOR_URL", "https://Egg.example.org/below")
    monkeypatch.setenv("EGG_API_HOSTS", "other, HEN")
    forget()

    assert shop.ask("GET", "/pipelines", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    ("who", "status"), [(None, 401), ("nobody-knows", 401), ("coder", 403), ("operator", 200)]
)
def test_metrics_are_the_operators(shop: Scene, who: str | None, status: int) -> None:
    assert shop.ask("GET", "/metrics", who=who).status == status


def test_ids_of_another_pipeline_are_as_unknown_to_an_agent_as_those_nobody_ever_had(shop: Scene) -> None:
    rival = Scene(shop.port, shop.home)
    rival.start(name="rival")
    ids = {"{decision_id}": str(ask_a_person(NAME)), "{run}": str(run_of(shop, "coder"))}
    never = {"{decision_id}": "999", "{run}": "00000000-0000-4000-8000-000000000000"}
    asked = 0

    for path, methods in create_app().openapi()["paths"].items():
        for method in (name.upper() for name in methods if any(known in path for known in ids)):
            for pipeline in (NAME, "rival"):
                told = [
                    words(rival, method, path, {**those, "{pipeline_id}": pipeline}) for those in (ids, never)
                ]
                asked += 1
                assert told[0] == told[1], path
                assert told[0][0] in {403, 404}
    for method, path in (("GET", ""), ("GET", "/decisions"), ("GET", "/messages"), ("POST", "/signal")):
        told = [
            words(rival, method, f"/api/v1/pipelines/{{pipeline_id}}{path}", {"{pipeline_id}": name})
            for name in (NAME, "never")
        ]
        assert told[0] == told[1]
    assert asked > 6


def words(scene: Scene, method: str, path: str, values: dict[str, str]) -> tuple[int, str]:
    """What the rival's agent is answered, without the values it gave."""
    filled = path.removeprefix("/api/v1")
    for name, value in values.items():
        filled = filled.replace(name, value)
    answer = scene.ask(method, filled, None if method == "GET" else {}, who="coder")
    said = str(answer.body)
    for name, value in values.items():
        said = said.replace(value, name)
    return answer.status, said


def test_work_of_one_credential_that_hangs_leaves_threads_for_others(shop: Scene) -> None:
    with ThreadPoolExecutor(30) as pool, unit_of_work() as session:
        # Whatever the coder writes now waits for this.
        session.execute(text("SELECT 1 FROM egg.agent_runs WHERE role = 'coder' FOR UPDATE"))
        sent = [
            pool.submit(shop.ask, "POST", f"{P}/signal", {"signal_type": "heartbeat"}, who="coder")
            for _ in range(30)
        ]
        until(lambda: waits() >= 4, "the coder's requests hang")
        time.sleep(1)

        assert waits() == 4
        assert shop.ask("POST", f"{P}/messages", SEND, who="tester").status == 201
        assert not any(each.done() for each in sent)
        session.rollback()
        assert Counter(each.result().status for each in sent) == {200: 30}


def waits() -> int:
    """How many wait for a lock."""
    query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = user")
    with single_statements() as session:
        return int(session.execute(query).scalar_one())


def test_made_up_credentials_are_looked_up_many_at_a_time(shop: Scene) -> None:
    asked = []

    def note(*arguments: object) -> None:
        if "agent_tokens" in str(arguments[2]):
            asked.append(arguments)

    event.listen(engine(), "before_cursor_execute", note)
    with ThreadPoolExecutor(50) as pool:
        answers = [
            pool.submit(shop.ask, "GET", path, who=who)
            for _ in range(100)
            for path, who in (
                ("/pipelines", os.urandom(8).hex()),
                (f"/proof?credential={os.urandom(32).hex()}&nonce={'0' * 32}", None),
            )
        ]

    event.remove(engine(), "before_cursor_execute", note)

    assert Counter(each.result().status for each in answers) == {401: 200}
    assert len(asked) < 60
