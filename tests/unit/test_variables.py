"""What a definition says of its agents' environment: values, and names of what is taken at launch."""

import json
from pathlib import Path

import pytest

from cli.definition_file import check
from models.schemas.definition import Agent, Definition, validate
from models.schemas.text import STORED
from models.schemas.variables import looks_like_a_key
from tests.unit.test_definition import AGENT, Document, definition, faults
from tests.unit.test_definition_file import git

KEY = "sk-ant-api03-aaaaaaaaaaaaaaaaaaaaaaaa"


def with_variables(**variables: object) -> Document:
    return definition(agents={name: {**AGENT, "environment": variables} for name in ("coder", "tester")})


def coder(found: Definition) -> Agent:
    return found.agents["coder"]


def test_a_name_is_kept_and_no_value() -> None:
    found = validate(with_variables(API_KEY={"from": "WORK_KEY"}, LEVEL="3"))

    assert (coder(found).taken, coder(found).literals) == ({"API_KEY": "WORK_KEY"}, {"LEVEL": "3"})


def test_it_is_read_back_as_it_was_stored() -> None:
    found = validate(with_variables(API_KEY={"from": "WORK_KEY"}))

    stored = found.model_dump_json()

    assert json.loads(stored)["agents"]["coder"]["environment"] == {"API_KEY": {"from": "WORK_KEY"}}
    assert Definition.model_validate_json(stored, context=STORED) == found


def test_a_secret_is_kept_by_its_name_and_read_back_as_it_was_stored() -> None:
    agent = {
        **AGENT,
        "secrets": ["NPM_TOKEN"],
        "environment": {"API_KEY": {"secret": "WORK_KEY"}, "LEVEL": "3"},
    }
    document = definition(agents={"coder": agent, "tester": AGENT})
    found = validate(document)

    stored = found.model_dump_json()

    assert coder(found).secret == {"NPM_TOKEN": "NPM_TOKEN", "API_KEY": "WORK_KEY"}
    assert (coder(found).taken, coder(found).literals) == ({}, {"LEVEL": "3"})
    assert json.loads(stored)["agents"]["coder"]["environment"]["API_KEY"] == {"secret": "WORK_KEY"}
    assert Definition.model_validate_json(stored, context=STORED) == found


@pytest.mark.parametrize(
    ("changes", "where", "said"),
    [
        ({"secrets": ["../x"]}, ".secrets[0]", "must be the name of a secret, of letters, digits and `_`"),
        ({"secrets": ["EGG_OPERATOR_TOKEN"]}, ".secrets[0]", "must be the name of a secret"),
        ({"secrets": "KEY"}, ".secrets", "must be a list"),
        ({"secrets": [5]}, ".secrets[0]", "must be text"),
        ({"secrets": ["KEY", "KEY"]}, "", "gives KEY twice: name it once"),
        ({"secrets": ["KEY"], "environment": {"KEY": "x"}}, "", "gives KEY twice: name it once"),
        ({"secrets": ["PATH"]}, "", "has a secret for its PATH"),
        ({"environment": {"PATH": {"secret": "KEY"}}}, "", "has a secret for its PATH"),
        ({"environment": {"KEY": {"secret": "a/b"}}}, ".environment.KEY", "must be the name of a secret"),
        (
            {"environment": {"KEY": {"secret": "A", "from": "B"}}},
            ".environment.KEY",
            "must be text, or {from",
        ),
        (
            {"environment": {"KEY": {"secret": None}}},
            ".environment.KEY",
            "must be text, or {from: NAME}, which",
        ),
    ],
)
def test_what_names_no_secret_or_gives_it_twice_is_one_fault(
    changes: Document, where: str, said: str
) -> None:
    found = faults(definition(agents={"coder": {**AGENT, **changes}, "tester": AGENT}))

    ((place, sentence),) = found.items()
    assert place == f"agents.coder{where}"
    assert sentence.startswith(said)


@pytest.mark.parametrize("value", ["${API_KEY}", "$API_KEY", "${{ secrets.API_KEY }}"])
def test_a_placeholder_is_a_fault_with_the_way_out(value: str) -> None:
    said = faults(with_variables(KEY=value))["agents.coder.environment.KEY"]

    assert "which nobody replaces: write {from: API_KEY}" in said


@pytest.mark.parametrize("value", ["lib:${LIB}", "${LIB}:lib", "${LIB:-lib}"])
def test_a_placeholder_within_a_text_is_a_fault_too(value: str) -> None:
    said = faults(with_variables(KEY=value))["agents.coder.environment.KEY"]

    assert said.startswith("holds ${LIB}, which nobody replaces: put the text together in a program")


@pytest.mark.parametrize("value", ["pa$$word", "^a$", "$5", "US$", "a $HOME b"])
def test_a_dollar_alone_is_text(value: str) -> None:
    assert coder(validate(with_variables(VALUE=value))).literals == {"VALUE": value}


def test_a_placeholder_that_an_older_release_has_stored_is_read() -> None:
    stored = json.dumps({**with_variables(KEY="${API_KEY}")})

    found = Definition.model_validate_json(stored, context=STORED)

    assert coder(found).literals == {"KEY": "${API_KEY}"}


@pytest.mark.parametrize(
    "name",
    ["EGG_OPERATOR_TOKEN", "EGG_DATABASE_URL", "CELERY_BROKER_URL", "PGPASSWORD", "FLOWER_BASIC_AUTH"],
)  # fmt: skip
def test_the_orchestrators_own_variables_are_given_to_nobody(name: str) -> None:
    said = faults(with_variables(KEY={"from": name}))["agents.coder.environment.KEY"]

    assert said.startswith(f"must not be {name}: EGG_*, ")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"form": "KEY"}, "must be text, or {from: NAME}"),
        ({"from": "KEY", "default": "x"}, "must be text, or {from: NAME}"),
        ({"from": ["KEY"]}, "must be text, or {from: NAME}"),
        ({"from": "$KEY"}, "must be the name of an environment variable, not '$KEY'"),
        ({}, "must be text, or {from: NAME}"),
        (5, "must be text, not 5: put it in quotes"),
        (None, "must be text, not empty"),
        (["a"], "must be text, not a list"),
        ("a\0", "must not hold the NUL character (U+0000)"),
    ],
)
def test_what_is_neither_is_one_fault_with_its_way_out(value: object, said: str) -> None:
    found = faults(with_variables(KEY=value))

    assert found.keys() == {f"agents.{name}.environment.KEY" for name in ("coder", "tester")}
    assert found["agents.coder.environment.KEY"].startswith(said)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANYTHING", KEY),
        ("X", "ghp_0123456789abcdefghij0123"),
        ("X", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"),
        ("GEMINI_API_KEY", "0a1b2c3d4e5f60718293"),
        ("DB_PASSWORD", "correct4horse.battery"),
    ],
)
def test_what_looks_like_a_key_is_known(name: str, value: str) -> None:
    assert looks_like_a_key(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODEL", "claude-sonnet-4-5-20250929"),
        ("KEY_FILE", "/home/ada/.ssh/id_ed25519"),
        ("SSH_KEY", "/home/ada/.ssh/id_ed25519"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("API_KEY", "unused"),
        ("RUSTUP_HOME", "/usr/local/rustup0123456789"),
    ],
)
def test_what_is_none_makes_no_alarm(name: str, value: str) -> None:
    assert not looks_like_a_key(name, value)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one empty commit."""
    monkeypatch.setenv("HOME", str(tmp_path))
    git(tmp_path, "init", "-q", "shop")
    git(tmp_path / "shop", "commit", "-q", "--allow-empty", "-m", "one")
    return tmp_path / "shop"


def test_a_person_is_told_of_keys_that_would_be_stored_and_of_names_that_are_not_set(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THERE", "1")
    file = repository.with_name("egg.json")
    document = with_variables(A=KEY, B={"from": "NOT_THERE"}, C={"from": "THERE"})
    file.write_text(json.dumps({**document, "repo": str(repository)}))

    found = [note for note in check(file).notes if note.startswith("agents.coder.environment")]

    assert [note.partition(":")[0] for note in found] == [
        "agents.coder.environment.A", "agents.coder.environment.B"
    ]  # fmt: skip
    assert "write {from: A}" in found[0]
    assert "NOT_THERE is not set in this shell" in found[1]
    assert KEY not in "".join(found)


def test_a_person_is_told_of_secrets_that_are_not_there(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "secrets"
    directory.mkdir(mode=0o700)
    (directory / "THERE").touch(mode=0o600)
    (directory / "THERE").write_text("a-secret-of-mine")
    monkeypatch.setenv("EGG_SECRETS_DIR", str(directory))
    file = repository.with_name("egg.json")
    agents = {name: {**AGENT, "secrets": ["THERE", "GONE"]} for name in ("coder", "tester")}
    file.write_text(json.dumps({**definition(agents=agents), "repo": str(repository)}))

    found = [note for note in check(file).notes if note.startswith("agents.coder:")]

    way_out = f"there is no {directory}/GONE: write it there, with `umask 077`"
    assert found == [f"agents.coder: the secret GONE is not to be had where the agent is launched; {way_out}"]
