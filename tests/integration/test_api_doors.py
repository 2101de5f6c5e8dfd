"""Who may enter, and what is answered to what may not."""

import json
import subprocess
import sys
from datetime import timedelta
from http.client import HTTPConnection

import pytest
from sqlalchemy import text

from egg_tasks import version
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.people import pipelines
from tests.integration.api_scene import NAME, OPERATOR, Scene, forget

MIB = 1024 * 1024


def test_health_asks_for_no_credential(scene: Scene) -> None:
    assert scene.ask("GET", "/health", who=None).body["success"] is True


def test_ready_touches_database_and_broker(scene: Scene) -> None:
    assert scene.ask("GET", "/ready", who=None).data["broker"] == "ok"


def metrics(scene: Scene) -> str:
    """What Prometheus reads."""
    connection = HTTPConnection("127.0.0.1", scene.port)
    credential = {"Authorization": f"Bearer {OPERATOR}"}
    connection.request("GET", "/api/v1/metrics", headers=credential)
    numbers = connection.getresponse().read().decode()
    connection.close()
    return numbers


def test_metrics_count_what_the_rows_hold(shop: Scene) -> None:
    assert "egg_agents_live 2.0" in metrics(shop)


def test_metrics_count_the_repairs_of_the_reconciler_which_is_another_process(scene: Scene) -> None:
    """Each of its rounds finds one pipeline whose repository nobody has made."""
    round_ = (
        "from egg_tasks import database; from egg_tasks.reconciler import reconcile; "
        "from egg_tasks.tasks.dispatch import TaskSender; database.use(TaskSender()); reconcile()"
    )
    for name in ("one", "two"):
        scene.create(name=name)
        with unit_of_work() as session:
            pipelines.start(session, pipeline_id=name, now=utcnow() - timedelta(minutes=1))
        subprocess.run([sys.executable, "-c", round_], check=True, capture_output=True)

    assert 'egg_repairs_total{kind="prepare_pipelines"} 2.0' in metrics(scene)


@pytest.mark.parametrize("who", [None, "a-token-nobody-knows", "\xe9"])
def test_nobody_enters_without_a_known_credential(scene: Scene, who: str | None) -> None:
    answer = scene.ask("GET", "/pipelines", who=who)

    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/pipelines"),
        ("POST", f"/pipelines/{NAME}/cancel"),
        ("GET", f"/pipelines/{NAME}/events"),
        ("POST", f"/pipelines/{NAME}/decisions/1/resolve"),
    ],
)
def test_what_is_the_operators_is_not_an_agents(shop: Scene, method: str, path: str) -> None:
    assert shop.ask(method, path, {"resolution": "x"}, who="coder").status == 403


def test_what_is_an_agents_is_not_the_operators(shop: Scene) -> None:
    assert shop.ask("POST", f"/pipelines/{NAME}/sync").status == 403


def test_an_agent_stays_in_its_own_pipeline(shop: Scene) -> None:
    assert shop.ask("GET", "/pipelines/other/messages", who="coder").status == 403


def test_an_agent_whose_run_is_over_is_told_the_epoch_that_counts(shop: Scene) -> None:
    shop.ask("POST", f"/pipelines/{NAME}/cancel")

    answer = shop.ask("GET", f"/pipelines/{NAME}/messages", who="coder")

    assert (answer.status, answer.body["details"]["pipeline_status"]) == (409, "cancelled")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", f"/pipelines/{NAME}/discoveries", 404),
        ("DELETE", "/pipelines", 405),
        ("GET", "/pipelines/a%00b", 400),
        ("GET", "/pipelines/a..b", 400),
        ("GET", "/pipelines/nobody", 404),
        ("GET", "/pipelines?limit=501", 400),
        ("GET", "/pipelines?status=odd", 400),
        ("GET", "/pipelines/nobody/agents/x", 400),
        ("GET", "/decisions/0", 400),
        ("GET", "/decisions/99999999999999999999", 400),
        ("GET", "/decisions/7", 404),
        ("GET", "/pipelines/nobody/events?after=-1", 400),
        ("GET", "/pipelines/nobody/events?wait=61", 400),
    ],
)
def test_what_cannot_be_asked_is_refused_in_the_envelope(
    scene: Scene, method: str, path: str, status: int
) -> None:
    answer = scene.ask(method, path)

    assert (answer.status, answer.body["success"]) == (status, False)
    assert answer.body["message"]


@pytest.mark.parametrize(
    ("raw", "headers", "status"),
    [
        (b'{"version"', {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"[]", {}, 422),
        (b'{"version": 1e999, "repo": "\\ud800"}', {}, 422),
        (b"{}", {"Content-Type": "text/plain"}, 400),
        (b" " * (MIB + 1), {}, 413),
        (b" " * (4 * MIB), {"Content-Type": "text/plain"}, 413),
    ],
)
def test_a_body_that_is_no_good_is_no_bug(
    scene: Scene, raw: bytes, headers: dict[str, str], status: int
) -> None:
    assert scene.ask("POST", "/pipelines", raw=raw, headers=headers).status == status


def test_a_bug_is_answered_with_a_sentence_and_no_traceback(scene: Scene) -> None:
    scene.create()
    with unit_of_work() as session:
        session.execute(text("UPDATE pipelines SET definition = '{}'"))

    answer = scene.ask("GET", f"/pipelines/{NAME}")

    assert (answer.status, answer.body) == (
        500,
        {"success": False, "message": "the server failed at this; the reason is in its log"},
    )


def test_a_database_that_is_away_is_503_and_worth_another_try(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGG_DATABASE_URL", "postgresql://egg@127.0.0.1:1/egg")
    forget()

    answer = scene.ask("GET", "/pipelines")

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def knock(scene: Scene, path: str, **headers: str) -> tuple[int, str, str]:
    """Ask for a path that may be outside the API: status, kind of content, content."""
    connection = HTTPConnection("127.0.0.1", scene.port)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.headers["content-type"], answer.read().decode()
    connection.close()
    return found


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1"])
def test_who_comes_without_knowing_is_told_what_this_is(scene: Scene, path: str) -> None:
    status, kind, content = knock(scene, path)

    assert (status, kind) == (200, "application/json")
    data = json.loads(content)["data"]
    assert (data["name"], data["version"]) == ("egg-tasks", version.ours())
    assert knock(scene, data["openapi"])[0] == knock(scene, data["health"])[0] == 200


def test_a_browser_is_told_it_in_plain_text(scene: Scene) -> None:
    status, kind, content = knock(scene, "/", Accept="text/html,application/xhtml+xml;q=0.9")

    assert (status, kind) == (200, "text/plain; charset=utf-8")
    assert f"egg-tasks {version.ours()}" in content
    assert max(map(len, content.splitlines())) < 100


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/pipelines", "the API begins at /api/v1 (did you mean /api/v1/pipelines?)"),
        ("/health", "(did you mean /api/v1/health?)"),
        ("/favicon.ico", "GET / says what there is"),
        ("/%1b%5b2J%E2%80%AE", "there is no "),
    ],
)
def test_a_path_that_is_not_there_says_which_may_be_meant(scene: Scene, path: str, meant: str) -> None:
    status, _, content = knock(scene, path)

    assert (status, meant in json.loads(content)["message"]) == (404, True)


def test_a_path_of_the_api_that_is_not_there_says_so_to_who_may_ask(scene: Scene) -> None:
    credential = {"Authorization": f"Bearer {OPERATOR}"}
    status, _, content = knock(scene, "/api/v1/pipelines/shop/whi", **credential)

    assert (status, "did you mean /api/v1/pipelines/shop/why?" in content) == (404, True)
    assert knock(scene, "/api/v1/pipelinez")[0] == 401


def test_prometheus_finds_the_numbers_where_it_looks_first(scene: Scene) -> None:
    credential = {"Authorization": f"Bearer {OPERATOR}"}

    assert "egg_agents_live" in knock(scene, "/metrics", **credential)[2]
    assert [knock(scene, path)[0] for path in ("/metrics", "//metrics", "/x/api/v1/metrics")] == [401] * 3
