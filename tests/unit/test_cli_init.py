"""egg init in somebody's repository, and what `egg run` and `egg validate` take where no file is named."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cli import check_command, own_repository
from cli.check_command import FoundCheck
from cli.definition_file import check
from cli.own_repository import Own
from egg_tasks.workspace import sources
from models.schemas.definition import validate
from tests.unit.test_definition_file import git

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]
PACKAGE = {"scripts": {"test": "vitest"}, "devDependencies": {"vitest": "1"}}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit, in whose top somebody stands; its name holds a blank."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EGG_HOME", str(tmp_path / "egg-home"))
    path = tmp_path / "my shop"
    path.mkdir()
    git(path, "init", "-q", "-b", "trunk")
    put(path, {"README": "A shop\n"})
    monkeypatch.chdir(path)
    return path


def put(repository: Path, files: dict[str, str], *, mode: int = 0o644) -> None:
    """Commit files."""
    for name, text in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
        (repository / name).chmod(mode)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "more")


def tools(directory: Path, *names: str) -> str:
    """A PATH on which there are these programs."""
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)
    return str(directory)


def written(file: Path) -> dict[str, object]:
    """What a definition file says."""
    found: dict[str, object] = yaml.safe_load(file.read_text())
    return found


def checks(repository: Path, path: str) -> list[FoundCheck]:
    return check_command.find(own_repository.around(repository), path=path)


def test_what_is_written_is_sound_and_holds_what_was_found(
    repository: Path, egg: Egg, capsys: Captured
) -> None:
    put(repository, {"Makefile": "test: all\n\techo fine\n"})

    code = egg("init")

    assert code == 0
    assert "base trunk; check `make test` (target `test` of Makefile)" in capsys.readouterr().err
    document = written(repository / "egg.yaml")
    assert (document["base"], document["repo"]) == ("trunk", ".")
    definition = validate(document)
    assert definition.phases[0].check is not None
    assert definition.phases[0].check.run == "make test"
    assert check(repository / "egg.yaml").notes == ()


def test_a_file_that_is_there_is_left_alone_unless_forced(
    repository: Path, egg: Egg, capsys: Captured
) -> None:
    (repository / "egg.yaml").write_text("mine")

    assert egg("init") == 1
    assert (repository / "egg.yaml").read_text() == "mine"
    said = capsys.readouterr().err
    assert "--force" in said
    assert "--output" in said
    assert egg("init", "--force") == 0
    assert written(repository / "egg.yaml")["version"] == 1
    assert sorted(path.name for path in repository.iterdir()) == [".git", "README", "egg.yaml"]


def test_in_a_directory_below_it_is_written_at_the_top_and_found_from_there(
    repository: Path, egg: Egg, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "src" / "deep").mkdir(parents=True)
    monkeypatch.chdir(repository / "src" / "deep")

    assert egg("init") == 0
    assert egg("validate") == 0

    assert (repository / "egg.yaml").exists()
    assert f"egg.yaml of {repository}" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["docs/agents.yaml", "../elsewhere.yaml"])
def test_another_file_names_the_repository_from_where_it_lies(repository: Path, egg: Egg, place: str) -> None:
    (repository / "docs").mkdir()

    assert egg("init", "--output", place) == 0

    assert check(repository / place).document["repo"] == str(repository)


def test_it_is_printed_to_be_sent_on(repository: Path, egg: Egg, capsys: Captured) -> None:
    assert egg("init", "--output", "-") == 0

    assert validate(yaml.safe_load(capsys.readouterr().out)).base == "trunk"
    assert not (repository / "egg.yaml").exists()


def test_json_says_where_and_what(repository: Path, egg: Egg, capsys: Captured) -> None:
    assert egg("init", "--json") == 0

    assert json.loads(capsys.readouterr().out) == {
        "file": str(repository / "egg.yaml"),
        "repo": str(repository),
        "base": "trunk",
        "check": None,
    }


def test_uncommitted_work_is_said_not_to_be_seen(repository: Path, egg: Egg, capsys: Captured) -> None:
    (repository / "README").write_text("Another shop\n")
    (repository / "new").touch()

    egg("init")

    assert "2 uncommitted files" in capsys.readouterr().err


def test_without_a_branch_the_base_is_head(repository: Path, egg: Egg) -> None:
    git(repository, "checkout", "-q", "--detach")

    assert egg("init") == 0

    assert "base" not in written(repository / "egg.yaml")
    assert "No branch is checked out" in (repository / "egg.yaml").read_text()


def test_a_branch_with_a_tag_of_its_name_is_named_in_full(repository: Path, egg: Egg) -> None:
    git(repository, "tag", "trunk")
    put(repository, {"later": ""})

    assert egg("init") == 0

    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert check(repository / "egg.yaml").document["base_commit"] == head.stdout.strip()


@pytest.mark.parametrize("branch", ["no", "1.0", "feature/a-b", "ünï", 'a"b', "x#y"])
def test_a_branch_of_any_name_is_read_back_as_it_is(repository: Path, egg: Egg, branch: str) -> None:
    git(repository, "switch", "-q", "-c", branch)

    assert egg("init") == 0

    assert written(repository / "egg.yaml")["base"] == branch
    assert check(repository / "egg.yaml").notes == ()


def test_a_linked_worktree_is_a_repository_too(repository: Path, egg: Egg) -> None:
    git(repository, "worktree", "add", "-q", "../second", "-b", "second")

    assert egg("init", "../second") == 0

    assert written(repository.parent / "second" / "egg.yaml")["base"] == "second"


def no_repository(repository: Path) -> Path:
    return repository.parent


def no_commit(repository: Path) -> Path:
    git(repository.parent, "init", "-q", "young")
    return repository.parent / "young"


def bare(repository: Path) -> Path:
    git(repository.parent, "clone", "-q", "--bare", str(repository), "bare.git")
    return repository.parent / "bare.git"


def gits_own(repository: Path) -> Path:
    return repository / ".git"


def nowhere(repository: Path) -> Path:
    return repository / "nowhere"


def unborn(repository: Path) -> Path:
    git(repository, "switch", "-q", "--orphan", "empty")
    return repository


@pytest.mark.parametrize(
    ("place", "way_out"),
    [
        (no_repository, "is in no git repository: go to yours, or make one here with `git init`"),
        (no_commit, "has no commit yet, and agents start from one: `git add --all`, then `git commit`"),
        (bare, "is a bare repository, without files to find a test command in: `git clone` it"),
        (gits_own, "is git's own directory: go up to where your files are"),
        (nowhere, "is not a directory: name a repository"),
        (unborn, "HEAD of"),
    ],
)
def test_where_no_work_can_begin_the_way_out_is_said(
    repository: Path, egg: Egg, capsys: Captured, place: Callable[[Path], Path], way_out: str
) -> None:
    there = place(repository)

    code = egg("init", str(there))

    assert code == 1
    assert way_out in capsys.readouterr().err
    assert not (there / "egg.yaml").exists()


@pytest.mark.usefixtures("repository")
def test_a_place_that_cannot_be_written_is_one_sentence(egg: Egg, capsys: Captured) -> None:
    assert egg("init", "--output", "nowhere/egg.yaml") == 1

    assert "error: cannot write nowhere/egg.yaml (No such file or directory)" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "validate"])
def test_without_a_file_anywhere_the_way_to_one_is_said(
    repository: Path, egg: Egg, capsys: Captured, command: str
) -> None:
    (repository / "work.yaml").touch()

    code = egg(command)

    assert code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "There is no egg.yaml here: `egg init` writes one, or name another file" in said
    assert "egg run work.yaml" in said


def test_an_egg_yaml_above_the_repository_is_none_of_its_business(
    repository: Path, egg: Egg, capsys: Captured
) -> None:
    (repository.parent / "egg.yaml").touch()

    assert egg("validate") == 2

    assert "There is no egg.yaml here" in capsys.readouterr().err


CASES: list[tuple[dict[str, str], str | None]] = [
    ({"Makefile": "build:\n\ttrue\n.PHONY: test\nunit test: build\n\ttrue\n"}, "make test"),
    ({"makefile": "check:\n\ttrue\n"}, "make check"),
    ({"justfile": "build:\n  true\n\n@test filter='':\n  true\n"}, "just test"),
    ({"Taskfile.yml": "version: '3'\ntasks:\n  test:\n    cmds: [true]\n"}, "task test"),
    ({"package.json": json.dumps(PACKAGE), "package-lock.json": "{}"}, "npm ci && npm test"),
    (
        {"package.json": json.dumps(PACKAGE), "pnpm-lock.yaml": ""},
        "pnpm install --frozen-lockfile && pnpm test",
    ),
    ({"package.json": json.dumps(PACKAGE)}, "npm install && npm test"),
    ({"package.json": '{"scripts": {"test": "node --test"}}'}, "npm test"),
    ({"pyproject.toml": "[tool.pytest.ini_options]\n", "uv.lock": ""}, "uv run pytest"),
    ({"tox.ini": "[tox]\n"}, "tox"),
    ({"noxfile.py": ""}, "nox"),
    ({"tests/test_cart.py": "", "tests/__init__.py": ""}, "python3 -m unittest"),
    ({"tests/test_cart.py": ""}, "python3 -m unittest discover tests"),
    ({"Cargo.toml": ""}, "cargo test"),
    ({"go.mod": ""}, "go test ./..."),
    ({"pom.xml": ""}, "mvn --batch-mode test"),
    ({"build.gradle.kts": ""}, "gradle --no-daemon test"),
    ({"shop.sln": ""}, "dotnet test"),
    ({"Gemfile": "", "spec/cart_spec.rb": ""}, "bundle install --quiet && bundle exec rspec"),
    ({"composer.json": '{"scripts": {"test": "phpunit"}}'}, "composer install --quiet && composer test"),
    *(
        (files, None)
        for files in (
        {"Makefile": "test := 1\n.PHONY: test\nbuild:\n\ttrue\n"},
        {"justfile": "test := 'a:b'\n"},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": "not JSON"},
        {"package.json": '["scripts"]'},
        {"tests/data.txt": ""},
        )
    ),
]  # fmt: skip
"""Files of a repository, and how it is tested; None where nothing says so."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One repository with a directory for each case."""
    path = tmp_path_factory.mktemp("cases")
    git(path, "init", "-q")
    put(path, {f"{at}/{name}": text for at, (files, _) in enumerate(CASES) for name, text in files.items()})
    return path


@pytest.mark.parametrize("at", range(len(CASES)), ids=lambda at: str(CASES[at][1]))
def test_a_test_command_is_found_where_there_is_one(cases: Path, tmp_path: Path, at: int) -> None:
    path = tools(
        tmp_path, "make", "just", "task", "npm", "pnpm", "uv", "tox", "nox", "python3", "cargo", "go", "mvn",
        "gradle", "dotnet", "bundle", "composer",
    )  # fmt: skip
    own = Own(sources.visit(cases), f"HEAD:{at}", None, None, None)

    found = [(each.run, each.lacks) for each in check_command.find(own, path=path)]

    assert found == ([(run, "")] if (run := CASES[at][1]) else [])


def test_what_is_not_committed_tests_nothing(repository: Path) -> None:
    (repository / "Makefile").write_text("test:\n\ttrue\n")

    assert checks(repository, os.environ["PATH"]) == []


def test_a_wrapper_that_is_committed_is_preferred_and_must_be_executable(
    repository: Path, tmp_path: Path
) -> None:
    put(repository, {"build.gradle": "", "gradlew": "#!/bin/sh\n"})
    (before,) = checks(repository, str(tmp_path))
    put(repository, {"gradlew": "#!/bin/bash\n"}, mode=0o755)
    (after,) = checks(repository, str(tmp_path))

    assert (before.run, before.lacks) == (
        "./gradlew --no-daemon test",
        "./gradlew is not committed as executable",
    )
    assert (after.run, after.lacks) == ("./gradlew --no-daemon test", "")


def test_the_first_that_can_run_is_the_check_and_the_others_stand_beside_it(
    repository: Path, egg: Egg, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(repository, {"justfile": "test:\n  true\n", "go.mod": "", "Makefile": "test:\n\ttrue\n"})
    found = os.pathsep.join((tools(tmp_path / "bin", "go"), os.environ["PATH"]))
    monkeypatch.setenv("EGG_AGENTS_PATH", tools(tmp_path / "only-go", "go"))
    monkeypatch.setenv("PATH", found)

    assert egg("init") == 0

    text = (repository / "egg.yaml").read_text()
    assert '\n    check: {run: "go test ./...", owner: author} # go.mod\n' in text
    assert (
        '    # check: {run: "make test", owner: author} # target `test` of Makefile; make is not on' in text
    )
    assert (
        '    # check: {run: "just test", owner: author} # recipe `test` of justfile; just is not on' in text
    )


def test_pytest_is_run_by_the_interpreter_that_has_it(repository: Path, tmp_path: Path) -> None:
    put(
        repository, {"pyproject.toml": "[tool.pytest.ini_options]\n", ".gitignore": ".venv\n", "src/a.py": ""}
    )
    path = tools(tmp_path / "bin", "python3")
    (tmp_path / "bin/python3").write_text("#!/bin/sh\nexit 1\n")

    (without,) = checks(repository, path)
    python = repository / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    (own,) = checks(repository, path)

    assert without.run == "PYTHONPATH=src python3 -m pytest"
    assert "has no pytest" in without.lacks
    assert own == FoundCheck(
        f"PYTHONPATH=src '{python}' -m pytest", "pytest in pyproject.toml, and your .venv"
    )


def test_an_interpreter_that_a_stranger_has_committed_is_not_run(repository: Path, tmp_path: Path) -> None:
    program = f"#!/bin/sh\ntouch {tmp_path}/it-ran\n"
    put(repository, {".venv/bin/python": program, "pytest.ini": ""}, mode=0o755)

    checks(repository, tools(tmp_path / "bin"))

    assert not (tmp_path / "it-ran").exists()


def test_names_of_a_stranger_stay_in_their_comment(repository: Path, egg: Egg) -> None:
    put(repository, {"a\nrepo: \x1b[31mevil.sln": ""})

    assert egg("init") == 0

    text = (repository / "egg.yaml").read_text()
    assert "\x1b" not in text
    assert written(repository / "egg.yaml")["repo"] == "."


def test_a_check_that_cannot_run_is_named_with_what_it_lacks(
    repository: Path, egg: Egg, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(repository, {"go.mod": ""})
    monkeypatch.setenv("EGG_AGENTS_PATH", tools(tmp_path / "bin"))

    assert egg("init") == 0

    assert "no check, since `go test ./...` cannot run: go is not on the PATH" in capsys.readouterr().err
