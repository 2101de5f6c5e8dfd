"""The demo's agents do real work: the code they write is run, and so are the tests they write for it."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from egg_tasks.demo import repository as demo
from models.errors import Unavailable, Unprocessable
from models.schemas.definition import validate

NAMES = ("agent", "spec", "planner", "coder", "tester", "documenter", "example_notes")
PROMPT = yaml.safe_load((demo.SHOP / "egg.yaml").read_text())["prompt"]
DEFINITIONS = pytest.mark.parametrize("definition", ["egg.yaml", "stall.yaml"])
REASON = "shipping_cost(5000) returned 490, docs/spec.md says 0"


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The agents' own functions; they import each other as they do in a clone."""
    monkeypatch.syspath_prepend(demo.AGENTS)
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in NAMES})
    for name in NAMES:
        del sys.modules[name]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's repository, as the current directory, like an agent's clone."""
    made = demo.make_repository(tmp_path / "shop")
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def rule(agents: SimpleNamespace, repository: Path) -> object:
    """Spec, first version and tests as planner, coder and tester leave them; the rule they follow."""
    found = agents.spec.Rule.read(PROMPT)
    (repository / "docs").mkdir()
    agents.spec.SPEC.write_text(agents.planner.write_spec(found))
    agents.spec.CODE.write_text(agents.coder.write_code(found))
    agents.tester.TESTS.write_text(agents.tester.write_tests(agents.planner.examples(found)))
    return found


def objection(reason: str) -> dict[str, object]:
    return {"number": 1, "from_role": "tester", "about_role": "coder", "version": 1, "reason": reason}


def test_the_repository_is_clean_and_its_own_tests_pass(repository: Path) -> None:
    tested = subprocess.run([sys.executable, "-m", "unittest"], cwd=repository, check=False)
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=repository, capture_output=True, check=True, text=True
    )

    assert (tested.returncode, status.stdout) == (0, "")


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()

    with pytest.raises(Unprocessable, match="is not empty"):
        demo.make_repository(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_place_where_nothing_can_be_made_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()

    with pytest.raises(Unprocessable, match=r"cannot make a repository in .*/mine/shop"):
        demo.make_repository(tmp_path / "mine" / "shop")


def test_a_machine_without_git_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Unavailable, match="git is not on the PATH"):
        demo.make_repository(tmp_path / "shop")


def test_the_repository_is_the_same_whatever_the_persons_own_git_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ignored").write_text("*.yaml\n.egg\n")
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "hooks" / "pre-commit").chmod(0o755)
    (tmp_path / "git").write_text(
        f"[core]\n\texcludesFile = {tmp_path}/ignored\n\thooksPath = {tmp_path}/hooks\n"
        "[commit]\n\tgpgSign = true\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "git"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))

    made = demo.make_repository(tmp_path / "shop")

    committed = subprocess.run(
        ["git", f"--git-dir={made}/.git", "ls-tree", "-r", "--name-only", "main"],
        capture_output=True, check=True, text=True,
    ).stdout.split()  # fmt: skip
    assert {"egg.yaml", "stall.yaml", ".egg/agents/agent.py", ".gitignore"} <= set(committed)


def test_the_agents_are_python_that_an_older_python3_understands_and_import_nothing_else() -> None:
    for program in [*demo.AGENTS.glob("*.py"), *demo.SHOP.rglob("*.py")]:
        tree = ast.parse(program.read_text(), feature_version=(3, 9))
        imported = {
            name.split(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom)
                else []
            )
        }  # fmt: skip

        assert imported <= sys.stdlib_module_names | set(NAMES) | {"shop"}, program


@DEFINITIONS
def test_every_agent_a_definition_names_is_in_the_repository(repository: Path, definition: str) -> None:
    agents = validate(yaml.safe_load((repository / definition).read_text())).agents

    assert all((repository / agent.command[1]).is_file() for agent in agents.values())


@DEFINITIONS
def test_every_role_of_the_demo_is_required(definition: str) -> None:
    phases = validate(yaml.safe_load((demo.SHOP / definition).read_text())).phases

    assert all(role.required for phase in phases for role in phase.roles)


def test_the_spec_gives_back_the_examples_that_were_put_in(agents: SimpleNamespace, rule: object) -> None:
    assert agents.spec.read_examples(agents.spec.SPEC.read_text()) == agents.planner.examples(rule)


def test_the_spec_repeats_the_rule_of_the_prompt(agents: SimpleNamespace, rule: object) -> None:
    assert agents.spec.Rule.read(agents.spec.SPEC.read_text()) == rule


@pytest.mark.usefixtures("repository")
def test_code_that_is_not_there_does_not_work(agents: SimpleNamespace) -> None:
    assert not agents.coder.works([agents.spec.Example(1, 490, "")])


def test_the_first_version_passes_what_its_author_tried(agents: SimpleNamespace, rule: object) -> None:
    examples = agents.planner.examples(rule)

    assert agents.coder.works([examples[0], examples[-1]])


@pytest.mark.parametrize("change", [("490", "750"), ("5000", "9900")], ids=["fee", "boundary"])
def test_a_function_for_another_rule_is_written_anew(
    agents: SimpleNamespace, rule: object, change: tuple[str, str]
) -> None:
    other = agents.spec.Rule.read(PROMPT.replace(*change))

    assert agents.coder.follows(rule)
    assert not agents.coder.follows(other)


@pytest.mark.usefixtures("rule")
def test_the_first_version_fails_the_boundary_case_and_no_other(agents: SimpleNamespace) -> None:
    assert agents.tester.find_fault() == REASON


def test_the_coder_mends_what_the_objection_names(agents: SimpleNamespace, rule: object) -> None:
    answers = agents.coder.answer_objections([objection(REASON)], rule)

    assert answers == {1: "shipping_cost(5000) gives 0 now"}
    assert agents.tester.find_fault() is None


def test_an_objection_that_cannot_be_reproduced_changes_nothing(
    agents: SimpleNamespace, rule: object
) -> None:
    before = agents.spec.CODE.read_text()

    answers = agents.coder.answer_objections(
        [objection("shipping_cost(1) returned 0, docs/spec.md says 490")], rule
    )

    assert answers == {1: "I cannot reproduce this on the version I have"}
    assert agents.spec.CODE.read_text() == before


def test_a_fault_the_coder_cannot_mend_ends_its_run(agents: SimpleNamespace, rule: object) -> None:
    with pytest.raises(SystemExit, match=r"shipping_cost\(1\)"):
        agents.coder.answer_objections(
            [objection("shipping_cost(1) returned 490, docs/spec.md says 7")], rule
        )


def test_the_documenter_leaves_out_what_code_and_spec_differ_about(
    agents: SimpleNamespace, rule: object
) -> None:
    shown = agents.documenter.true_examples(agents.planner.examples(rule))

    assert [example.subtotal for example in shown] == [1, 4999, 5001, 50000]


def test_what_the_documenter_shows_is_run(agents: SimpleNamespace, rule: object) -> None:
    usage = agents.documenter.USAGE
    right, wrong = agents.planner.examples(rule)[0], agents.planner.examples(rule)[2]

    usage.write_text(agents.documenter.write_usage([right], "cents"))
    assert agents.documenter.is_true(usage)
    usage.write_text(agents.documenter.write_usage([right, wrong], None))
    assert not agents.documenter.is_true(usage)


@pytest.mark.usefixtures("repository")
def test_a_commit_of_nothing_new_is_none(agents: SimpleNamespace) -> None:
    new = Path("new.txt")
    new.touch()

    assert agents.agent.commit("Add a file", new)
    assert not agents.agent.commit("Add it again", new)
