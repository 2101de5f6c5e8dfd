"""The rules of the house, each with a machine that enforces it."""

import ast
import importlib
import inspect
import pickle
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import models.errors
from models.errors import EggError

ROOT = Path(__file__).parents[2]
PACKAGES = ("models", "egg_tasks", "cli", "migrations")
MAX_MODULE = 400
MAX_TEST_MODULE = 600
MAX_FUNCTION = 50
MAX_TASK = 10
KINDS = {"key_share", "read"}
OPENING = {
    "open", "fdopen", "read_text", "read_bytes", "write_text", "write_bytes", "touch",
    "copyfile", "copy2", "copytree",
}  # fmt: skip
NEAR_AGENTS = tuple(
    f"egg_tasks/{name}/" for name in ("api", "backends", "runners", "services", "tasks", "workspace")
)
OPENED_OTHERWISE = {
    "the kernel's": {
        "runners/liveness.py": {"_is_shim", "forks", "is_unique", "of_this_boot", "read"},
        "runners/remains.py": {"_has_mark", "_has_brand"},
        "tasks/owners.py": {"_started"},
    },
    "in a directory that no agent is told of, by a program without a library of ours": {
        "runners/shim.py": {
            "__init__", "stat_fields", "identity", "record", "sync", "claim", "go_first", "start", "catches",
            "read_spec", "publish", "main",
        },
    },
    "in a clone or checkout that is just being made, under a name that its agent has not got yet": {
        "workspace/checkouts.py": {"_furnish", "_write_refs"},
        "workspace/contents.py": {"fill", "define_filter", "_place"},
    },
    "in a directory that is made for it alone": {
        "workspace/repositories.py": {"trusting"},
        "workspace/submodules.py": {"_fetched"},
        "workspace/staging.py": {"_keep_large"},
        "workspace/versions.py": {"_copy"},
        "workspace/view.py": {"_furnish", "_write_values", "_values", "_write_texts", "_copy"},
    },
    "in a pipeline's repository": {
        "workspace/lfs.py": {"settle"},
        "workspace/merge_attributes.py": {"_write"},
    },
    "follows no link, and does not wait for a pipe, since it is opened for writing as well": {
        "workspace/places.py": {"locked"},
    },
}  # fmt: skip
"""Where files near an agent's are opened by other means than `foreign_files`, and why that is right."""

FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "util", "helper", "manager", "handler"}


@cache
def sources() -> dict[str, ast.Module]:
    """Every module of ours, parsed, by its path from the root."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in paths}


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call in a tree."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    """The dotted name of what is called, as far as it has one."""
    return ast.unparse(call.func)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function in a tree."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_sql_is_in_queries_only() -> None:
    allowed = ("models/queries/", "models/tables/", "migrations/", "egg_tasks/database.py")
    builders = {"select", "insert", "update", "delete", "text"}
    exempt = {"cli/", "egg_tasks/stack/"}  # rich.Text and probes of a server that has no tables of ours

    found = [
        f"{path}:{call.lineno} {called(call)}"
        for path, tree in sources().items()
        if not path.startswith(allowed) and not path.startswith(tuple(exempt))
        for call in calls(tree)
        if called(call) in builders or called(call).endswith((".execute", ".scalars", ".scalar"))
    ]

    assert found == []


def test_nobody_locks_with_for_update() -> None:
    """FOR UPDATE conflicts with the locks that foreign keys take: talk and decisions would deadlock."""
    found = [
        f"{path}:{call.lineno}"
        for path, tree in sources().items()
        for call in calls(tree)
        if (called(call).endswith("with_for_update") and not {word.arg for word in call.keywords} & KINDS)
        or any(w.arg == "with_for_update" and ast.unparse(w.value) == "True" for w in call.keywords)
    ]

    assert found == []


def assigned(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Every attribute that is assigned to, alone or among others."""
    return (
        node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    )


def test_a_state_changes_only_along_its_paths() -> None:
    """`move_to` and `merge_to` know them; readiness has none, and only the role's own signal says it."""
    allowed = {
        "models/tables/base.py": {"status"},
        "models/tables/version.py": {"merge_status"},
        "egg_tasks/services/signals.py": {"state"},
    }
    states = {"status", "merge_status", "state"}

    changed = [
        f"{path}:{node.lineno} {ast.unparse(node)}"
        for path, tree in sources().items()
        for node in assigned(tree)
        if node.attr in states - allowed.get(path, set())
    ]
    written = [
        f"{path}:{call.lineno} {called(call)}"
        for path, tree in sources().items()
        for call in calls(tree)
        if (called(call).endswith(".values") and {word.arg for word in call.keywords} & states)
        or (called(call) == "setattr" and ast.unparse(call.args[1]).strip("'") in states)
    ]

    assert changed + written == []


def test_only_the_unit_of_work_commits() -> None:
    allowed = ("egg_tasks/database.py", "migrations/", "egg_tasks/stack/", "egg_tasks/demo/")  # git's commit

    found = [
        f"{path}:{call.lineno}"
        for path, tree in sources().items()
        if not path.startswith(allowed)
        for call in calls(tree)
        if called(call).endswith(".commit")
    ]

    assert found == []


def test_tasks_are_sent_by_dispatch_only() -> None:
    senders = (".delay", ".apply_async", ".send_task")
    allowed = {"egg_tasks/tasks/dispatch.py"}

    found = [
        f"{path}:{call.lineno}"
        for path, tree in sources().items()
        if path not in allowed
        for call in calls(tree)
        if called(call).endswith(senders) or called(call) in {"chord", "group"}
    ]

    assert found == []


def test_what_an_agent_may_have_written_is_opened_in_one_way() -> None:
    """A pipe there holds up whoever opens it, a link leads elsewhere, and a file may be of any size."""
    allowed = {
        f"egg_tasks/{path}:{name}"
        for places in OPENED_OTHERWISE.values()
        for path, names in places.items()
        for name in names
    }

    found = {
        f"{path}:{function.name}"
        for path, tree in sources().items()
        if path.startswith(NEAR_AGENTS)
        for function in functions(tree)
        for call in calls(function)
        if called(call).rpartition(".")[2] in OPENING
    }

    assert sorted(found - allowed) == []
    assert sorted(allowed - found) == []


def test_task_bodies_are_short() -> None:
    found = [
        f"{path}:{function.name}"
        for path, tree in sources().items()
        if path.startswith("egg_tasks/tasks/")
        for function in functions(tree)
        if any("app.task" in ast.unparse(decorator) for decorator in function.decorator_list)
        and len(ast.unparse(ast.Module(function.body[1:], [])).splitlines()) > MAX_TASK
    ]

    assert found == []


def test_modules_are_not_too_long() -> None:
    paths = [path for package in (*PACKAGES, "tests") for path in (ROOT / package).rglob("*.py")]
    limits = {path: MAX_TEST_MODULE if "tests" in path.parts else MAX_MODULE for path in paths}

    found = [
        str(path.relative_to(ROOT))
        for path, limit in limits.items()
        if "versions" not in path.parts and len(path.read_text().splitlines()) > limit
    ]

    assert found == []


def test_functions_are_not_too_long() -> None:
    found = [
        f"{path}:{function.name}"
        for path, tree in sources().items()
        if "versions" not in path
        for function in functions(tree)
        if (function.end_lineno or 0) - function.lineno >= MAX_FUNCTION
    ]

    assert found == []


def test_a_terminal_is_written_to_in_one_place() -> None:
    """What others wrote is made harmless there, so nothing may go around it."""
    allowed = {"cli/render.py", "cli/styled.py"}
    writers = {"print", "click.echo", "click.secho", "click.prompt", "click.confirm", "Text"}
    ends = ("stdout.write", "stderr.write", ".print", "Text.assemble", "Text.from_ansi", "Text.from_markup")

    found = [
        f"{path}:{call.lineno} {called(call)}"
        for path, tree in sources().items()
        if path.startswith("cli/") and path not in allowed
        for call in calls(tree)
        if called(call) in writers or called(call).endswith(ends)
    ]

    assert found == []


def test_no_module_is_a_drawer() -> None:
    assert [path for path in sources() if Path(path).stem in FORBIDDEN_NAMES] == []


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError|task_always_eager|mock\.patch")
    texts = {path: (ROOT / path).read_text() for path in sources()}

    assert [path for path, text in texts.items() if marks.search(text)] == []


def error_classes() -> list[type[EggError]]:
    """Every error we raise on purpose."""
    for package in ("models", "egg_tasks"):
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if "shim" not in module.name:
                importlib.import_module(module.name)
    found: list[type[EggError]] = []
    waiting: list[type[EggError]] = [EggError]
    while waiting:
        found.append(waiting[-1])
        waiting.extend(waiting.pop().__subclasses__())
    return found


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_every_error_survives_the_broker(kind: type[EggError]) -> None:
    """Celery rebuilds an error from its class and args."""
    error = kind("a sentence", {"key": "value"})

    rebuilt = type(error)(*error.args)

    assert (str(rebuilt), rebuilt.details) == ("a sentence", {"key": "value"})
    assert str(pickle.loads(pickle.dumps(error))) == "a sentence"  # noqa: S301 - our own bytes


def test_every_error_is_in_the_drawn_tree() -> None:
    drawing = inspect.getdoc(models.errors) or ""
    here = [
        name for name, kind in vars(models.errors).items() if isinstance(kind, type) and name != "ClassVar"
    ]

    assert [name for name in here if name not in drawing] == []
