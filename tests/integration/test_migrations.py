"""How a database comes to hold our tables: beside others' tables, after an older release, or not at all."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from migrations import applied, place, revisions, upgrading
from models.errors import Unavailable, Unprocessable
from tests.conftest import url_of

ENGINE = "2026_11_21_engine"
SQUAT = "CREATE SCHEMA egg; CREATE TABLE egg.orders (id int)"
TABLES = """
SELECT table_schema || '.' || table_name FROM information_schema.tables
WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""


@pytest.fixture
def url(server_urls: tuple[str, str]) -> Iterator[str]:
    """The URL of a database with nothing in it, which an ordinary user owns."""
    with psycopg.connect(server_urls[0], autocommit=True) as connection:
        connection.execute("CREATE ROLE owner LOGIN")
        connection.execute("CREATE DATABASE fresh OWNER owner")
        yield url_of(server_urls[0], database="fresh", user="owner")
        connection.execute("DROP DATABASE fresh WITH (FORCE)")
        connection.execute("DROP ROLE owner")


def run(url: str, *statements: str) -> list[object]:
    """Run these one after the other; the first column of what the last one gives."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return [row[0] for row in cursor] if cursor.description else []


def tables(url: str) -> set[object]:
    return set(run(url, TABLES))


def left_by_an_older_release(url: str, revision: str) -> None:
    """Make the tables of a revision and lay them where the releases up to it had theirs."""
    upgrading.upgrade(url, to=revision)
    names = ("alembic_version", *place.IN_PUBLIC[revision])
    run(url, *(f"ALTER TABLE egg.{name} SET SCHEMA public" for name in names), "DROP SCHEMA egg")
    if revision == ENGINE:
        run(url, "ALTER TABLE decisions ALTER notices DROP DEFAULT")


def refusal(url: str, kind: type[Exception] = Unprocessable) -> str:
    before = tables(url)
    with pytest.raises(kind) as caught:
        upgrading.upgrade(url)
    assert tables(url) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_others_tables_are_left_alone_even_with_our_names(url: str) -> None:
    run(
        url,
        "CREATE TABLE events (theirs text)",
        "CREATE TABLE pipelines (theirs text)",
        "CREATE TABLE alembic_version (version_num varchar(32))",
        "INSERT INTO alembic_version VALUES ('ae1027a6acf')",
    )
    theirs = tables(url)

    upgrading.upgrade(url)

    assert {name for name in tables(url) if str(name).startswith("public.")} == theirs
    assert run(url, "SELECT version_num FROM public.alembic_version") == ["ae1027a6acf"]
    assert applied.current(url) == revisions.head()


def test_a_version_table_of_others_that_we_may_not_read_is_no_obstacle(
    url: str, server_urls: tuple[str, str]
) -> None:
    theirs = (
        "CREATE TABLE alembic_version (version_num varchar(32)); REVOKE ALL ON alembic_version FROM PUBLIC"
    )
    run(url_of(server_urls[0], database="fresh", user="egg"), theirs)

    upgrading.upgrade(url)

    assert applied.current(url) == revisions.head()


@pytest.mark.parametrize("revision", list(place.IN_PUBLIC))
def test_what_an_older_release_left_in_public_moves_with_its_rows(url: str, revision: str) -> None:
    left_by_an_older_release(url, revision)
    run(url, "INSERT INTO nodes VALUES ('here', 1, now())", "CREATE TABLE orders (id int)")
    if revision != ENGINE:
        run(url, "CREATE TABLE results (theirs text)")

    found = applied.current(url)
    upgrading.upgrade(url)

    assert found == revision
    assert run(url, "SELECT name FROM egg.nodes") == ["here"]
    assert run(url, "SELECT pg_get_serial_sequence('egg.decisions', 'id')") == ["egg.decisions_id_seq"]
    left = {"public.orders"} | ({"public.results"} if revision != ENGINE else set())
    assert {name for name in tables(url) if str(name).startswith("public.")} == left
    assert applied.current(url) == revisions.head()


def test_a_migration_that_died_between_two_transactions_is_taken_up(url: str) -> None:
    run(url, "CREATE SCHEMA egg", "CREATE TABLE egg.alembic_version (version_num varchar(32) PRIMARY KEY)")

    upgrading.upgrade(url, to="2026_11_21_first")
    upgrading.upgrade(url)

    assert applied.require_head(url) == revisions.head()


def test_rows_of_the_release_before_are_still_taken(url: str) -> None:
    upgrading.upgrade(url)
    required = run(
        url,
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'egg'"
        " AND (table_name, column_name) IN (('decisions', 'notices'), ('agent_runs', 'is_cut_short'))"
        " AND column_default IS NULL",
    )

    assert required == []


@pytest.mark.parametrize(
    "squat",
    [
        SQUAT,
        "CREATE SCHEMA egg",
        f"{SQUAT}; CREATE TABLE egg.alembic_version (version_num varchar(32))",
        f"{SQUAT}; CREATE TABLE egg.alembic_version AS SELECT 'ae1027a6acf' AS version_num",
        f"{SQUAT}; CREATE TABLE egg.alembic_version (name text)",
    ],
)
def test_a_schema_of_our_name_that_is_not_ours_is_refused(url: str, squat: str) -> None:
    run(url, squat)

    said = refusal(url)

    assert "not ours" in said
    assert "EGG_DATABASE_URL" in said


def test_a_newer_schema_is_refused(url: str) -> None:
    upgrading.upgrade(url)
    run(url, "UPDATE egg.alembic_version SET version_num = '2031_01_01_future'")

    said = refusal(url)
    with pytest.raises(Unavailable, match="2031_01_01_future"):
        applied.require_head(url)

    assert "2031_01_01_future" in said
    assert "newer" in said


@pytest.mark.usefixtures("url")
def test_a_user_who_may_not_make_the_schema_is_told_what_to_ask_for(server_urls: tuple[str, str]) -> None:
    run(server_urls[0], "CREATE ROLE guest LOGIN")

    said = refusal(url_of(server_urls[0], database="fresh", user="guest"))
    run(server_urls[0], "GRANT CREATE ON DATABASE fresh TO guest")
    upgrading.upgrade(url_of(server_urls[0], database="fresh", user="guest"))
    run(url_of(server_urls[0], database="fresh", user="egg"), "DROP OWNED BY guest", "DROP ROLE guest")

    assert "GRANT CREATE ON DATABASE fresh TO guest" in said


def test_a_schema_that_others_keep_from_us_is_refused(url: str, server_urls: tuple[str, str]) -> None:
    upgrading.upgrade(url_of(server_urls[0], database="fresh", user="egg"))

    assert "the user owner may not" in refusal(url)


def test_a_database_that_cannot_be_written_is_told(url: str) -> None:
    run(url, "ALTER DATABASE fresh SET default_transaction_read_only = on")

    assert "read-only" in refusal(url, Unavailable)


def test_an_empty_database_is_told_to_be_upgraded(url: str) -> None:
    with pytest.raises(Unavailable, match=r"empty.*egg db upgrade"):
        applied.require_head(url)


def test_a_migration_waits_for_a_table_in_short_turns_until_it_is_free(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrading, "LOCK_SECONDS", 1)
    upgrading.upgrade(url, to="2026_11_21_first")

    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE egg.agent_runs IN ACCESS SHARE MODE")
        migrating = threading.Thread(target=upgrading.upgrade, args=(url,))
        migrating.start()
        time.sleep(2.5)
        began = time.monotonic()
        run(url, "SET lock_timeout = '5s'", "SELECT count(*) FROM egg.agent_runs")
        waited = time.monotonic() - began
        assert migrating.is_alive()
    migrating.join()

    assert waited < 3
    assert applied.current(url) == revisions.head()


def test_a_table_that_is_never_free_ends_the_migration_with_nothing_half_done(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrading, "LOCK_SECONDS", 1)
    monkeypatch.setattr(upgrading, "PATIENCE_SECONDS", 2)
    upgrading.upgrade(url, to="2026_11_21_first")

    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE egg.agent_runs IN ACCESS SHARE MODE")
        said = refusal(url, Unavailable)

    assert "in use" in said
    assert applied.current(url) == "2026_11_21_first"
    upgrading.upgrade(url)


def test_who_waits_too_long_for_another_migration_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrading, "TURN_SECONDS", 1)

    with psycopg.connect(url) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [upgrading.LOCK])
        said = refusal(url, Unavailable)

    assert "another process" in said


def test_what_takes_too_long_is_undone_and_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrading, "STATEMENT_SECONDS", 0.001)

    with pytest.raises(Unavailable, match=r"took longer than 0\.001 s.*undone.*try again"):
        upgrading.upgrade(url)

    monkeypatch.undo()
    upgrading.upgrade(url)


def test_every_constraint_was_validated_in_the_end(url: str) -> None:
    upgrading.upgrade(url)

    assert run(url, "SELECT conname FROM pg_constraint WHERE NOT convalidated") == []
    assert run(url, "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []


INDEXING = '''
"""An index beside the work, as the template says."""
from alembic import op
revision, down_revision, branch_labels, depends_on = "2031_01_01_index", {head!r}, None, None

def upgrade():
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_events_text")
        op.execute("CREATE INDEX CONCURRENTLY ix_events_text ON events (text)")
'''


def test_an_index_is_made_beside_the_work_even_if_a_try_was_broken_off_and_others_wait_for_their_turn(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    upgrading.upgrade(url)
    (tmp_path / "index.py").write_text(INDEXING.format(head=revisions.head()))
    config = upgrading._config()
    places = f"{revisions.VERSIONS} {tmp_path}"
    config.set_main_option("version_locations", places)
    config.set_main_option("path_separator", "space")
    monkeypatch.setattr(upgrading, "_config", lambda: config)
    monkeypatch.setattr(revisions, "known", lambda: frozenset({revisions.head(), "2031_01_01_index"}))

    with psycopg.connect(url) as writer:
        writer.execute("INSERT INTO egg.nodes VALUES ('here', 1, now())")
        migrating = [threading.Thread(target=upgrading.upgrade, args=(url,)) for _ in range(2)]
        for thread in migrating:
            thread.start()
        time.sleep(1)
        run(url, "SET lock_timeout = '2s'", "INSERT INTO egg.nodes VALUES ('there', 1, now())")
    for thread in migrating:
        thread.join()

    assert applied.current(url) == "2031_01_01_index"
    assert run(url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'egg.ix_events_text'::regclass") == [
        True
    ]


def test_several_at_once_migrate_once(url: str) -> None:
    failures: list[BaseException] = []

    def upgrade() -> None:
        try:
            upgrading.upgrade(url)
        except BaseException as error:  # noqa: BLE001 - the test says which
            failures.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert applied.current(url) == revisions.head()
