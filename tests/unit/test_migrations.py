"""The rules for authors of migrations, as their template says them, each with a machine that enforces it."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from migrations import revisions, upgrading
from models.tables.base import SCHEMA

VERSIONS = sorted(revisions.VERSIONS.glob("2*.py"))
BEFORE_THE_RULE = {
    "2026_11_21_first",
    "2026_11_21_engine",
    "2026_11_25_proof",
    "2026_11_26_disk",
    "2026_11_26_lineage",
    "2026_11_26_progress",
}
"""Made before indexes had to be made beside the work; what is out stays as it is."""

INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX .*? ON (\w+)")
CONSTRAINTS = {"op.create_check_constraint", "op.create_foreign_key"}


def calls(path: Path) -> dict[str, list[ast.Call]]:
    """Every call of a migration, by its dotted name."""
    found: dict[str, list[ast.Call]] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            found.setdefault(ast.unparse(node.func), []).append(node)
    return found


def words(call: ast.Call) -> dict[str | None, str]:
    """The named arguments of a call."""
    return {word.arg: ast.unparse(word.value) for word in call.keywords}


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_migration_goes_forward_only_and_knows_nothing_of_ours(path: Path) -> None:
    module = importlib.import_module(f"migrations.versions.{path.stem}")
    lines = [line.split() for line in path.read_text().splitlines() if line.startswith(("import", "from"))]

    assert module.revision == path.stem
    assert not hasattr(module, "downgrade")
    assert {line[1].partition(".")[0] for line in lines} <= {"typing", "sqlalchemy", "alembic"}


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_migration_adds_constraints_without_looking_at_the_rows_there(path: Path) -> None:
    added = [call for name in CONSTRAINTS for call in calls(path).get(name, ())]

    assert [call.lineno for call in added if words(call).get("postgresql_not_valid") != "True"] == []


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_migration_adds_no_column_that_the_release_before_could_not_leave_out(path: Path) -> None:
    added = [column for call in calls(path).get("op.add_column", ()) for column in call.args[1:]]
    dropped = [
        call.lineno
        for call in calls(path).get("op.alter_column", ())
        if words(call).get("server_default") == "None" or words(call).get("nullable") == "False"
    ]

    for column in added:
        assert isinstance(column, ast.Call)
        assert words(column).get("nullable") == "True" or "server_default" in words(column), column.lineno
    assert dropped == []


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_migration_leaves_the_schema_to_the_search_path(path: Path) -> None:
    assert f"{SCHEMA}." not in path.read_text().replace("egg_tasks", "")


def indexed(path: Path) -> list[str]:
    """The tables that a migration makes an index or a unique constraint for, and does not make itself."""
    made = {ast.literal_eval(call.args[0]) for call in calls(path).get("op.create_table", ())}
    place = {"op.create_index": 1, "op.create_unique_constraint": 1}
    named = [
        ast.literal_eval(call.args[at]) for name, at in place.items() for call in calls(path).get(name, ())
    ]
    return [*(table for table in named if table not in made), *INDEX.findall(written(path))]


def written(path: Path) -> str:
    """The SQL that a migration has written out."""
    return "\n".join(
        node.value
        for call in calls(path).get("op.execute", ())
        for node in ast.walk(call)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_an_index_of_a_table_that_is_there_is_made_beside_the_work_and_by_a_migration_of_its_own(
    path: Path,
) -> None:
    tables = [] if path.stem in BEFORE_THE_RULE else indexed(path)
    others = {name for name in calls(path) if name.startswith("op.")} - {
        "op.execute",
        "op.get_context",
        "op.get_context().autocommit_block",
    }

    assert tables == [] or (
        others == set()
        and "autocommit_block" in path.read_text()
        and "CREATE INDEX ON" not in written(path)
        and written(path).count(" INDEX ") == written(path).count(" INDEX CONCURRENTLY ")
        and "DROP INDEX CONCURRENTLY IF EXISTS" in written(path)
    )


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_migration_that_looks_at_all_rows_does_nothing_else_and_none_rewrites_them(path: Path) -> None:
    sql = written(path).upper()
    typed = [call.lineno for call in calls(path).get("op.alter_column", ()) if "type_" in words(call)]

    assert typed == []
    assert re.search(r"\b(UPDATE|DELETE|TRUNCATE) ", sql) is None
    if "VALIDATE CONSTRAINT" in sql:
        assert {name for name in calls(path) if name.startswith("op.")} == {"op.execute"}


def test_every_rule_of_the_template_is_one_that_a_migration_could_break(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(
        'op.create_table("new")\nop.create_index("ix", "new", ["a"])\nop.create_index("ix", "old", ["a"])\n'
        'op.execute("CREATE INDEX ix ON older (a)")\n'
    )

    assert indexed(broken) == ["old", "older"]


def test_migrations_follow_one_another_in_one_line() -> None:
    """Two that were written side by side both follow the one before: the second to come in moves behind."""
    before = [importlib.import_module(f"migrations.versions.{path.stem}").down_revision for path in VERSIONS]

    assert sorted(before, key=str) == sorted(set(before), key=str)


def test_what_the_files_say_is_what_alembic_reads() -> None:
    scripts = ScriptDirectory.from_config(upgrading._config())

    assert revisions.head() == scripts.get_current_head()
    assert revisions.known() == {each.revision for each in scripts.walk_revisions()}
    assert f"{SCHEMA}.alembic_version" == revisions.VERSION_TABLE
