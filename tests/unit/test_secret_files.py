"""Secrets are read from files that nobody else can read; what is wrong with one is said with the way out."""

import os
from pathlib import Path

import pytest

from egg_tasks import secret_files
from egg_tasks.config import secrets_directory
from egg_tasks.stack import doctor_settings
from models.errors import NotSet, Unprocessable

TOKEN = "npm-7f3a9c1e-not-for-others"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of secrets with one in it."""
    place = tmp_path / "my secrets"
    place.mkdir(mode=0o700)
    put(place / "NPM_TOKEN", f"{TOKEN}\n".encode())
    return place


def put(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o600)


def test_a_secret_is_its_file_without_the_end_of_its_line(directory: Path) -> None:
    put(directory / "PEM", b"-----BEGIN\nline\n\n")

    assert secret_files.value(directory, "NPM_TOKEN") == TOKEN
    assert secret_files.value(directory, "PEM") == "-----BEGIN\nline\n"
    assert secret_files.file(directory, "NPM_TOKEN") == directory / "NPM_TOKEN"


def test_a_link_of_the_owners_leads_to_a_secret(directory: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", b"linked-secret")
    (directory / "LINKED").symlink_to(tmp_path / "elsewhere")

    assert secret_files.value(directory, "LINKED") == "linked-secret"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty, and is to hold the secret KEY"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "holds what is no text"),
        (b"a\0b", "holds what is no text"),
        (b"x" * (secret_files.MOST_BYTES + 1), "holds more than the 65536 bytes that a secret may have"),
    ],
)
def test_what_can_be_no_secret_is_refused(directory: Path, content: bytes, said: str) -> None:
    put(directory / "KEY", content)

    with pytest.raises(NotSet, match=said):
        secret_files.value(directory, "KEY")


def test_a_pipe_is_not_waited_for(directory: Path) -> None:
    os.mkfifo(directory / "KEY", 0o600)

    with pytest.raises(NotSet, match="KEY' is no file: move it away"):
        secret_files.value(directory, "KEY")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_file_that_others_can_reach_is_refused_with_the_way_out(directory: Path, mode: int) -> None:
    (directory / "NPM_TOKEN").chmod(mode)

    with pytest.raises(NotSet, match=r"is open to others: `chmod 600 '.*/my secrets/NPM_TOKEN'`"):
        secret_files.file(directory, "NPM_TOKEN")


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711])
def test_a_directory_that_others_can_enter_is_refused_with_the_way_out(directory: Path, mode: int) -> None:
    directory.chmod(mode)

    with pytest.raises(NotSet, match=r"is open to others: `chmod 700 '.*/my secrets'`"):
        secret_files.file(directory, "NPM_TOKEN")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_another_user_is_refused(directory: Path) -> None:
    os.chown(directory / "NPM_TOKEN", 65534, 65534)

    with pytest.raises(NotSet, match=r"belongs to nobody: `chown root "):
        secret_files.file(directory, "NPM_TOKEN")


def test_one_that_is_not_there_says_where_to_write_it(directory: Path) -> None:
    with pytest.raises(
        NotSet, match=r"the secret KEY .*; there is no '.*/KEY': write it there, with `umask 077`"
    ):
        secret_files.value(directory, "KEY")
    with pytest.raises(NotSet, match=r"there is no .*/none: `mkdir -m 700 .*/none`"):
        secret_files.value(directory.parent / "none", "KEY")


def test_one_of_the_orchestrators_own_is_given_to_no_agent(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGG_OPERATOR_TOKEN", TOKEN)

    with pytest.raises(NotSet, match="NPM_TOKEN holds a secret of the orchestrator's own"):
        secret_files.value(directory, "NPM_TOKEN")


def test_they_are_in_the_home_unless_a_setting_says_where(tmp_path: Path) -> None:
    assert secrets_directory({}, tmp_path) == tmp_path / "secrets"
    assert secrets_directory({"EGG_SECRETS_DIR": "/run/secrets"}, tmp_path) == Path("/run/secrets")
    with pytest.raises(Unprocessable, match="EGG_SECRETS_DIR is 'here': give the whole path"):
        secrets_directory({"EGG_SECRETS_DIR": "here"}, tmp_path)


def test_the_doctor_names_those_that_are_there_and_shows_none(directory: Path, tmp_path: Path) -> None:
    put(directory / "API_KEY", b"key-7f3a9c1e")
    put(directory / "no name.txt", b"notes")

    assert examined(tmp_path, directory) == (True, f"API_KEY, NPM_TOKEN in {directory}")


def test_the_doctor_says_of_one_that_is_not_given_what_to_do(directory: Path, tmp_path: Path) -> None:
    (directory / "NPM_TOKEN").chmod(0o644)

    is_ok, text = examined(tmp_path, directory)

    assert is_ok is False
    assert text.endswith("NPM_TOKEN' is open to others, so that no agent is given it")
    assert examined(tmp_path, tmp_path / "none") == (None, f"none in {tmp_path / 'none'}")


def examined(home: Path, directory: Path) -> tuple[bool | None, str]:
    """What the doctor says of secrets."""
    found = doctor_settings.examine(home, {"EGG_SECRETS_DIR": str(directory)})
    (finding,) = (each for each in found if each.name == "secrets")
    return finding.ok, finding.text
