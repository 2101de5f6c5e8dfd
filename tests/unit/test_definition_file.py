"""Definition files: where faults stand, what overrides do, and the repository they name."""

import json
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from cli.definition_file import FaultyFile, check, load, read
from cli.definition_repository import Far
from models.errors import Unprocessable
from models.schemas.definition import validate

GOOD = dedent(
    """\
    version: 1
    repo: repo
    prompt: Add a token bucket.
    agents:
      coder: {backend: command, command: [./coder.sh]}
      tester: {backend: command, command: [./tester.sh]}
    phases:
      - name: implement
        roles:
          - {role: coder}
          - role: tester
            needs: [coder]
    """
)


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, "-C", str(directory), *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    git(path, "commit", "-q", "--allow-empty", "-m", "first")
    return path


def written(directory: Path, text: str, name: str = "work.yaml") -> Path:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def lines(path: Path, *overrides: tuple[str, str]) -> list[str]:
    with pytest.raises(FaultyFile) as caught:
        read(path, overrides=overrides)
    return [line.removeprefix(str(path.parent) + "/") for line in caught.value.lines]


def test_a_good_file_is_read_with_its_repository_absolute(tmp_path: Path, repository: Path) -> None:
    document = read(written(tmp_path, GOOD))

    assert document["repo"] == str(repository)
    assert validate(document).phases[0].name == "implement"


def test_every_fault_has_its_line(tmp_path: Path) -> None:
    text = (
        GOOD.replace("needs: [coder]", "needs:\n          - cdoer")
        + "    gate: {question: Ship}\nbudgett: 1\n"
    )

    assert lines(written(tmp_path, text)) == [
        f"work.yaml:2: repo: {tmp_path}/repo does not exist",
        "work.yaml:13: phases[0].roles[1].needs[0]: no role `cdoer` in this phase (did you mean `coder`?)",
        "work.yaml:14: phases[0].gate.options: `options` is missing",
        "work.yaml:15: budgett: unknown key `budgett`",
    ]


@pytest.mark.usefixtures("repository")
def test_a_missing_key_points_to_what_should_hold_it(tmp_path: Path) -> None:
    text = GOOD.replace("coder: {backend: command, command: [./coder.sh]}", "coder: {backend: command}")

    assert lines(written(tmp_path, text)) == ["work.yaml:5: agents.coder.command: `command` is missing"]


@pytest.mark.usefixtures("repository")
def test_a_key_that_stands_twice_is_a_fault_on_its_second_line(tmp_path: Path) -> None:
    assert lines(written(tmp_path, GOOD + "prompt: Another.\n")) == [
        "work.yaml:13: prompt: the key `prompt` stands here twice"
    ]


@pytest.mark.usefixtures("repository")
def test_an_unquoted_no_is_explained(tmp_path: Path) -> None:
    (line,) = lines(written(tmp_path, GOOD.replace("{role: coder}", "{role: coder, agent: no}")))

    assert line.startswith("work.yaml:10: phases[0].roles[0].agent: must be text, not false: YAML reads")


@pytest.mark.usefixtures("repository")
def test_an_unquoted_on_as_a_key_is_explained(tmp_path: Path) -> None:
    (line,) = lines(written(tmp_path, GOOD + "on: push\n"))

    assert line.startswith("work.yaml:1: a key must be text, not true: YAML reads yes, no, on and off")


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("version: [1\nrepo: x\n", "work.yaml:2:5: "),
        ("a: \tb: c\n", "work.yaml:1:"),
        ("a: !!python/object:os.system x\n", "work.yaml:1:4: only plain values are read here, no '!!python"),
        ("a: 1\nb: !!int abc\n", "work.yaml:2:4: this is no int"),
        ("a: *b\n", "work.yaml:1:4: found undefined alias"),
        ("a: 1\nb: \x07\n", "work.yaml:2: holds a control character"),
        ("a: 1\n---\nb: 1\n", "work.yaml:2:1: but found another document"),
        ("[" * 5000, "work.yaml:1:101: is nested too deeply"),
        ("", "work.yaml:1: must be a mapping, not empty"),
        ("&a [*a]", "work.yaml:1:5: this alias stands within what it names"),
    ],
)
def test_a_file_that_is_no_yaml_is_refused_with_its_line(tmp_path: Path, text: str, start: str) -> None:
    (line,) = lines(written(tmp_path, text))

    assert line.startswith(start)


def test_aliases_of_aliases_do_not_take_forever(tmp_path: Path) -> None:
    levels = "".join(f"l{n + 1}: &l{n + 1} [{', '.join([f'*l{n}'] * 9)}]\n" for n in range(40))

    (line,) = lines(written(tmp_path, f"l0: &l0 [x]\n{levels}"))

    assert line.startswith("work.yaml:6:5: holds more than 20000 values, with what its aliases repeat")


def test_merged_keys_are_no_duplicates(tmp_path: Path) -> None:
    text = GOOD.replace("coder: {", "coder: &c {").replace(
        "tester: {backend: command, command: [./tester.sh]}", "tester: {<<: *c, command: [./tester.sh]}"
    )

    read_agents = validate(load(written(tmp_path, text)).document).agents

    assert read_agents["tester"].command == ("./tester.sh",)


def test_a_number_with_underscores_and_a_bare_date_are_read(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, "a: 20_000_000\nb: 2026-99-99\n"))

    assert loaded.document == {"a": 20_000_000, "b": "2026-99-99"}


def test_json_is_read_with_its_lines(tmp_path: Path, repository: Path) -> None:
    document = read(written(tmp_path, GOOD))
    faulty = {**document, "prompt": "\U0001f95a", "budgett": 1}
    text = json.dumps(faulty, indent="\t")

    assert lines(written(tmp_path, text, "work.json")) == [
        f"work.json:{text.count(chr(10))}: budgett: unknown key `budgett`"
    ]
    assert str(repository) in text


def test_json_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    (line,) = lines(written(tmp_path, '{"a": 1,\n "b": nope}', "work.json"))

    assert line == "work.json:2:7: Expecting value"


def test_overrides_are_yaml_laid_over_the_file(tmp_path: Path) -> None:
    overrides = [("config.max_rounds", "2"), ("phases[0].mode", "concurrent"), ("prompt", "'1'")]

    read_file = validate(load(written(tmp_path, GOOD), overrides=overrides).document)

    assert read_file.config.max_rounds == 2
    assert read_file.phase_policy(0).mode == "concurrent"
    assert read_file.prompt == "1"


def test_an_override_of_a_shared_alias_changes_one_place(tmp_path: Path) -> None:
    text = GOOD.replace("coder: {", "coder: &c {").replace(
        "tester: {backend: command, command: [./tester.sh]}", "tester: *c"
    )

    agents = validate(
        load(written(tmp_path, text), overrides=[("agents.coder.command[0]", "make")]).document
    ).agents

    assert [agents["coder"].command, agents["tester"].command] == [("make",), ("./coder.sh",)]


@pytest.mark.usefixtures("repository")
def test_a_fault_of_an_override_names_the_override(tmp_path: Path) -> None:
    assert lines(written(tmp_path, GOOD), ("config.max_rounds", "none")) == [
        "--set config.max_rounds: must be a whole number, not 'none'"
    ]


@pytest.mark.parametrize("key", ["", "a..b", "phases[9].mode", "version.x", "phases.mode", "[0]"])
def test_an_override_without_a_place_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(Unprocessable, match="--set"):
        load(written(tmp_path, GOOD), overrides=[(key, "1")])


def test_an_override_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    (line,) = lines(written(tmp_path, GOOD), ("prompt", "[1"))

    assert line.startswith("--set prompt:1:3: ")


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unprocessable, match=r"cannot read .*nope\.yaml: No such file"):
        load(tmp_path / "nope.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "work.yaml"
    path.write_bytes(b"\xff\xfe\xfa")

    assert lines(path) == ["work.yaml: is not UTF-8 text"]


def test_a_repository_that_is_a_file_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "", "repo")

    assert lines(written(tmp_path, GOOD)) == [f"work.yaml:2: repo: {tmp_path}/repo is not a directory"]


def test_a_directory_without_git_is_refused(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()

    (line,) = lines(written(tmp_path, GOOD))

    assert line == f"work.yaml:2: repo: {tmp_path}/repo is not a git repository; make one with `git init`"


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    git(tmp_path / "repo", "init", "-q")

    (line,) = lines(written(tmp_path, GOOD))

    assert "has no commit yet" in line


def test_a_directory_inside_a_repository_names_its_top(tmp_path: Path, repository: Path) -> None:
    (repository / "sub").mkdir()

    (line,) = lines(written(tmp_path, GOOD.replace("repo: repo", "repo: repo/sub")))

    assert line.endswith(f"name its top, {repository}")


@pytest.mark.usefixtures("repository")
def test_a_base_that_is_not_there_is_refused_on_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("repo: repo", "repo: repo\nbase: mian")

    assert lines(written(tmp_path, text)) == [
        f"work.yaml:3: base: no branch, tag or commit `mian` in {tmp_path}/repo (did you mean `main`?)"
    ]


def test_a_bare_repository_and_its_branch_are_good(tmp_path: Path, repository: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")

    document = read(written(tmp_path, GOOD.replace("repo: repo", "repo: bare.git\nbase: main")))

    assert document["repo"] == str(tmp_path / "bare.git")


@pytest.mark.parametrize("url", ["https://example.org/x.git", "git@example.org:x/y.git", "gh:x/y"])
def test_a_url_that_is_not_looked_at_stays_as_it_is(tmp_path: Path, url: str) -> None:
    path = written(tmp_path, GOOD.replace("repo: repo", f"repo: {url}"))

    assert check(path, far=Far.ELSEWHERE).document["repo"] == url


def test_a_file_url_is_a_path(tmp_path: Path, repository: Path) -> None:
    path = written(tmp_path, GOOD.replace("repo: repo", f"repo: file://{repository}"))

    assert read(path)["repo"] == str(repository)
