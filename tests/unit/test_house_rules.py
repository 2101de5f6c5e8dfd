"""The rules of the house, each with a machine that enforces it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import models.tables
from tests.unit.house import EVERYTHING, OURS, ROOT, TESTS, called, calls, functions, sources, texts

HERE = str(Path(__file__).relative_to(ROOT))
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
    f"egg_tasks/{name}/"
    for name in ("api", "attending", "backends", "runners", "services", "tasks", "use_cases", "workspace")
)
OPENED_OTHERWISE = {
    "the kernel's": {
        "runners/liveness.py": {"_is_shim", "forks", "is_unique", "of_this_boot", "read"},
        "runners/remains.py": {"_has_mark", "_has_brand"},
        "attending/owners.py": {"_started"},
        "runners/container_shim.py": {"oom_kills"},
    },
    "in a directory that no agent is told of, by a program without a library of ours": {
        "runners/shim.py": {
            "__init__", "stat_fields", "identity", "record", "sync", "claim", "go_first", "start", "catches",
            "read_spec", "publish", "main",
        },
        "runners/container_shim.py": {"read_spec"},
    },
    "in a clone or checkout that is just being made, under a name that its agent has not got yet": {
        "workspace/checkouts.py": {"_furnish"},
        "workspace/contents.py": {"fill", "define_filter", "_place"},
        "workspace/included.py": {"_copy_file", "_make_folders"},
    },
    "in a directory that is made for it alone": {
        "workspace/packed_refs.py": {"write"},
        "workspace/repositories.py": {"trusting"},
        "workspace/submodules.py": {"_fetched"},
        "workspace/snapshots.py": {"_unpacked"},
        "workspace/staging.py": {"_keep_large"},
        "workspace/versions.py": {"_copy"},
        "workspace/view.py": {"_furnish", "_write_values", "_values", "_write_texts", "_copy"},
    },
    "a directory that agents are led through and may not write": {
        "runners/room.py": {"_alone_in"},
    },
    "a directory of ours": {
        "runners/container_files.py": {"alone"},
        "runners/looks.py": {"if_free", "_short"},
    },
    "in a pipeline's repository": {
        "workspace/allowance.py": {"charge", "left"},
        "workspace/lfs.py": {"settle"},
        "workspace/merge_attributes.py": {"_write"},
    },
    "follows no link, and does not wait for a pipe, since it is opened for writing as well": {
        "workspace/atomic_directory.py": {"locked"},
    },
}  # fmt: skip
"""Where files near an agent's are opened by other means than `foreign_files`, and why that is right."""

FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "util", "helper", "manager", "handler"}


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


STATES = {"status", "merge_status", "state"}
WRITES_STATE = re.compile(r"(?i)\bUPDATE\b.*\bSET\b.*\b(status|merge_status|state)\s*=(?!=)", re.DOTALL)


def changed(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every place that gives something a state: by name, by a name that is only known later, or in SQL."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in STATES:
            yield node.lineno, node.attr
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, name) for name in written(node))
        elif isinstance(node, ast.Constant | ast.JoinedStr) and (found := WRITES_STATE.search(text_of(node))):
            yield node.lineno, f"SQL {found.group(1)}"


def text_of(node: ast.Constant | ast.JoinedStr) -> str:
    """A text as far as it is written there; no text for another value."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(text_of(part) if isinstance(part, ast.Constant) else "?" for part in node.values)


def written(call: ast.Call) -> set[str]:
    """The states that a call writes by the names of columns: of `setattr`, `values` and their like."""
    if called(call) in {"setattr", "object.__setattr__"}:
        names = {ast.unparse(call.args[1]).strip("'")}
        return names & STATES if isinstance(call.args[1], ast.Constant) else {"setattr"}
    if not called(call).endswith((".values", ".set_", ".on_conflict_do_update", ".update")):
        return set()
    keys = {word.arg for word in call.keywords if word.arg}
    for given in (*call.args, *(word.value for word in call.keywords)):
        for inner in ast.walk(given):
            if isinstance(inner, ast.Dict):
                keys |= {ast.unparse(key).strip("'").rpartition(".")[2] for key in inner.keys if key}
    return keys & STATES


def test_a_state_changes_only_along_its_paths() -> None:
    """`move_to` and `merge_to` know them; readiness has none, and only the role's own signal says it."""
    allowed = {
        ("models/tables/base.py", "status"): "here move_to is",
        ("models/tables/version.py", "merge_status"): "here merge_to is",
        ("egg_tasks/services/engine/readiness_signals.py", "state"): "here an agent's own word is taken",
        ("cli/streams.py", "setattr"): "sys.stdin, stdout and stderr",
        ("tests/integration/gaps.py", "setattr"): "a kill before each function that others see",
        (HERE, "SQL state"): "what the next test finds",
    }

    having = r"""\b(status|state)\b['"]? *[]):=,]|merge_status|setattr"""
    trees = sources(EVERYTHING, having=having)

    found = {(path, name) for path, tree in trees.items() for _, name in changed(tree)}

    assert sorted(found - set(allowed)) == []
    assert sorted(set(allowed) - found) == []


@pytest.mark.parametrize(
    "text",
    [
        "run.status = FAILED",
        "a, run.status = 1, FAILED",
        "run.merge_status: MergeStatus = MERGED",
        "setattr(run, 'state', READY)",
        "setattr(run, name, READY)",
        "update(Run).values(status=FAILED)",
        "update(Run).values({Run.status: FAILED})",
        "update(Run).values({'merge_status': MERGED})",
        "insert(Run).on_conflict_do_update(set_={'status': FAILED})",
        "query.update({Run.status: FAILED})",
        "session.execute(text('UPDATE egg.agent_runs\\nSET status = 1'))",
        "session.execute(text(f'UPDATE {SCHEMA}.agent_runs SET tries = 1, state = {word}'))",
    ],
)
def test_no_way_of_changing_a_state_is_overlooked(text: str) -> None:
    assert list(changed(ast.parse(text)))


def test_a_row_is_born_in_a_first_state() -> None:
    """No path leads there: whoever adds a row in a later state has gone round them."""
    first = {"PENDING", "QUEUED", "RUNNING", "OPEN"}
    allowed = {
        "egg_tasks/services/engine/objections.py:Objection": "of a version left behind: as if answered",
        "egg_tasks/services/engine/results.py:Result": "how it was read is no state: it never changes",
    }

    born = {
        f"{path}:{called(call)}": ast.unparse(word.value)
        for path, tree in sources().items()
        for call in calls(tree)
        if called(call).rpartition(".")[2] in {*models.tables.__all__, "CheckRow"}
        for word in call.keywords
        if word.arg in {*STATES, "parse_status"}
    }

    assert [
        f"{where} {state}"
        for where, state in born.items()
        if where not in allowed and state.rpartition(".")[2] not in first
    ] == []
    assert set(allowed) <= set(born)


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


def test_only_entry_points_name_the_sender() -> None:
    """Everybody else leaves what is to be sent in the outbox: nobody can forget to send it."""
    entries = {"egg_tasks/api/app.py", "egg_tasks/reconciler.py", "egg_tasks/tasks/agent_runs.py"}

    naming = {
        path
        for path, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "egg_tasks.tasks.dispatch"
    }
    using = {
        path
        for path, tree in sources().items()
        for call in calls(tree)
        if called(call) in {"database.use", "sender.send"}
    }

    assert naming == entries
    assert using == {*entries, "egg_tasks/database.py"}


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


def test_where_the_files_of_a_run_or_a_pipeline_are_is_said_in_one_module() -> None:
    allowed = {
        "egg_tasks/repository_places.py",
        "egg_tasks/run_places.py",
        "egg_tasks/runners/shim.py",  # stands alone, and is in the directory
        "egg_tasks/stack/home.py",  # says of all that is in a home who may read it
    }
    names = {"repos", "incoming", "runs", "shims", "roles", "clone", "kept", "prompt.md", "output.log"}

    found = {
        f"{path}: {node.right.value}"
        for path, tree in sources().items()
        if path.startswith(("egg_tasks/", "cli/")) and path not in allowed
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and isinstance(node.right, ast.Constant)
        and node.right.value in names
    }

    assert found == set()


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


MIGRATIONS = "migrations/versions/"
"""A step of the schema is one list of what changes, and is never changed itself."""


def test_modules_are_not_too_long() -> None:
    found = [
        path
        for path, text in texts(EVERYTHING).items()
        if not path.startswith(MIGRATIONS)
        and len(text.splitlines()) > (MAX_TEST_MODULE if path.startswith("tests/") else MAX_MODULE)
    ]

    assert found == []


def test_functions_are_not_too_long() -> None:
    found = [
        f"{path}:{function.name}"
        for path, tree in sources(EVERYTHING).items()
        if not path.startswith(MIGRATIONS)
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


STANDS_ALONE = "egg_tasks/demo/scripted-agents/"
"""Programs that import nothing of ours, written as a stranger would write them."""


def test_no_word_names_two_things() -> None:
    """One name, one class, wherever it is met (docs/decisions/0073)."""
    found: dict[str, list[str]] = {}
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not path.startswith(STANDS_ALONE):
                found.setdefault(node.name, []).append(f"{path}:{node.lineno}")

    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_nothing_of_ours_goes_by_another_name() -> None:
    names = {
        node.name for tree in sources().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }

    found = [
        f"{path}:{node.lineno} {alias.name} as {alias.asname}"
        for path, tree in sources(EVERYTHING, having=r"\bas\b").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname and alias.name in names and (node.module or "").startswith(OURS)
    ]

    assert found == []


def test_no_module_is_a_drawer() -> None:
    assert [path for path in texts(EVERYTHING) if Path(path).stem in FORBIDDEN_NAMES] == []


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError")

    assert [path for path, text in texts(EVERYTHING).items() if marks.search(text) and path != HERE] == []


def test_no_task_is_run_but_by_a_worker() -> None:
    """Eager tasks skip the broker, the payload as JSON, the retry and the second time."""
    eager = re.compile(r"(task|worker)_always_eager|eager_propagates|CELERY_ALWAYS_EAGER|ALWAYS_EAGER")

    named = [path for path in sources(EVERYTHING) if path != HERE and eager.search((ROOT / path).read_text())]
    applied = [
        f"{path}:{call.lineno} {called(call)}"
        for path, tree in sources(EVERYTHING, having=r"\.apply\b").items()
        if not path.startswith("egg_tasks/services/")  # which know no Celery
        for call in calls(tree)
        if called(call).endswith(".apply")
    ]

    assert named + applied == []


PUT_IN_PLACE = {
    "tests/integration/test_publishing.py:workspace": "an adapter with the port's full behaviour",
    "tests/integration/test_hostile_clones.py:_look_limit": "the time a look may take, made shorter",
    "tests/integration/test_workspace_salvage.py:__kwdefaults__": "the time git may take, made shorter",
    "tests/integration/test_migrations.py:_config": "migrations of a later release, which is not made yet",
    "tests/integration/test_migrations.py:known": "migrations of a later release, which is not made yet",
}
"""What of ours a test replaces, and by what; a number in capitals may be made smaller without a word."""


def replaced(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Whose names `monkeypatch.setattr` and its like put something else in the place of: owner and name."""
    for call in calls(tree):
        if called(call).rpartition(".")[0].endswith("monkeypatch") and called(call).endswith(
            (".setattr", ".delattr", ".setitem")
        ):
            first = call.args[0]
            if isinstance(first, ast.Constant):
                owner, _, name = str(first.value).rpartition(".")
            else:
                owner, name = ast.unparse(first), ast.unparse(call.args[1]).strip("'")
            yield owner, name


def test_no_test_puts_something_else_in_the_place_of_our_code() -> None:
    """What stands in for a port behaves as the port does; what patches the code tests the patch."""
    theirs = {"sys", "os", "os.environ", "sys.stdout", "sys.stdin", "time", "socket"}

    mocks = [
        path
        for path, tree in sources(EVERYTHING, having="mock").items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any("mock" in name.name for name in node.names))
        or (
            isinstance(node, ast.ImportFrom)
            and "mock" in f"{node.module} {[name.name for name in node.names]}"
        )
    ]
    patched = {
        f"{path}:{name}"
        for path, tree in sources(TESTS, having=r"\bmonkeypatch\.(setattr|delattr|setitem)").items()
        for owner, name in replaced(tree)
        if owner not in theirs and not name.isupper()
    }

    assert mocks == []
    assert sorted(patched - set(PUT_IN_PLACE)) == []
    assert sorted(set(PUT_IN_PLACE) - patched) == []


def test_what_git_would_run_or_take_for_an_option_is_known_in_one_module() -> None:
    pattern = re.compile(r"""["']::["']|["']file://""")

    found = [path for path, text in texts().items() if pattern.search(text)]

    assert found == ["models/schemas/source.py"]


READS_ENVIRONMENT = {
    "cli/shell.py": "who types a command, and what their shell says",
    "egg_tasks/app.py": "takes out what Celery would find there for itself",
    "egg_tasks/config.py": "the settings of our processes, with what settings.toml says",
    "egg_tasks/demo/repository.py": "a git that is told nothing by the person's, but where programs are",
    "egg_tasks/runners/container_shim.py": "what the container's image says, which its agent gets",
    "egg_tasks/runners/process.py": "what an interpreter outside the system's library path needs to start",
    "egg_tasks/shell.py": "what definitions take from the shell of `egg up`, and what of ours they must not",
    "egg_tasks/stack/preflight.py": "a program of the stack's, which is given its servers and nothing else",
    "egg_tasks/stack/supervisor.py": "the program that lays out the environments of all others",
    "egg_tasks/workspace/git.py": "where git and what it starts are looked for",
    "egg_tasks/workspace/reach.py": "the git of the person who runs the process",
}
"""Who looks into the environment, and for what. All others ask `settings()`, or are given what they need."""


def test_the_environment_is_read_where_a_reason_is_written_down() -> None:
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}

    found = {
        path
        for path, tree in sources(having=r"\b(environb?|getenvb?|putenv|unsetenv)\b").items()
        for node in ast.walk(tree)
        if not path.startswith(STANDS_ALONE)
        if (isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os")
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and names & {each.name for each in node.names}
        )
    }

    assert sorted(found - set(READS_ENVIRONMENT)) == []
    assert sorted(set(READS_ENVIRONMENT) - found) == []
