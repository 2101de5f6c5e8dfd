"""The rules for authors of migrations, as their template says them, each with a machine that enforces it."""

import ast
import importlib
from pathlib import Path

import pytest

import migrations
from models.tables.base import SCHEMA

VERSIONS = sorted(Path(migrations.__file__).parent.glob("versions/2*.py"))
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


def test_migrations_follow_one_another_in_one_line() -> None:
    """Two that were written side by side both follow the one before: the second to come in moves behind."""
    before = [importlib.import_module(f"migrations.versions.{path.stem}").down_revision for path in VERSIONS]

    assert sorted(before, key=str) == sorted(set(before), key=str)
    assert migrations.head() in migrations.known()
