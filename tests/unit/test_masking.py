"""Passwords in URLs are in nothing that is stored or said."""

import io
import logging

import pytest

from egg_tasks.client import Client
from egg_tasks.logging import Indenting
from egg_tasks.stack import preflight
from egg_tasks.workspace.git import GitFailed
from models.errors import EggError, Malformed, Unavailable, Unprocessable
from models.masking import hidden, masked
from models.schemas.fault import Fault, Faulty
from models.schemas.source import split

SECRET = "it's-h!dden"
URLS = [
    f"https://ada:{SECRET}@git.example.org/shop.git",
    f"https://{SECRET}@git.example.org/shop.git",
    f"HTTPS://ada:a@b{SECRET}@git.example.org/shop.git",
    f"ssh://ada:{SECRET}@git.example.org/shop.git",
    f"postgresql://egg:{SECRET}@db/egg",
    f"redis://:{SECRET}@broker:6379/0",
    f"amqp://egg:{SECRET}@broker//",
    f"socks5h://ada:{SECRET}@proxy:1080",
]
QUERIED = [
    "postgresql://db/egg?user=egg&password=h!dden&sslmode=require",
    "https://git.example.org/shop.git?private_token=h!dden",
    "https://hooks.example.org/x?a=1&access_token=h!dden&api_key=h!dden",
]


@pytest.mark.parametrize("url", [*URLS, *QUERIED])
def test_no_sentence_holds_a_password(url: str) -> None:
    sentence = f"fatal: unable to access '{url}': no route; see {url}, or {url}."

    said = [
        masked(sentence),
        repr(EggError(sentence)),
        str(Unprocessable(sentence)),
        repr(Faulty.of([Fault(("repo",), sentence)]).details),
        str(GitFailed(("fetch", url), 128, sentence)),
        repr(GitFailed(("fetch", url), 128, sentence)),
        logged(sentence),
    ]

    assert [text for text in said if "dden" in text] == []
    assert all("no route" in text or "fetch" in text for text in said)


def logged(sentence: str) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Indenting(None))
    error = ValueError(sentence)
    handler.emit(logging.makeLogRecord({"msg": sentence, "exc_info": (ValueError, error, None)}))
    return stream.getvalue()


@pytest.mark.parametrize("url", URLS[:4])
def test_a_credential_is_told_from_its_url_whatever_it_holds(url: str) -> None:
    plain, credential = split(url)

    assert SECRET not in plain
    assert plain.endswith("://git.example.org/shop.git")
    assert credential is not None
    assert SECRET in f"{credential.username}{credential.password}"
    assert SECRET not in repr(credential)


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git@git.example.org/shop.git",
        "git@git.example.org:shop.git",
        "mail ada@example.org about https://example.org/a:b",
        "postgresql://egg@/egg?host=%2Ftmp",
        "https://example.org/?q=password",
    ],
)
def test_what_is_no_password_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize("url", ["postgresql://egg:h%zzdden@db/egg", "postgresql://egg:h/dden@db:5432/egg"])
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(Unavailable) as caught:
        preflight.check_database(url)

    assert "dden" not in repr(caught.value.args)
    password = url.rpartition("@")[0].rpartition(":")[2]
    assert "dden" not in hidden(f"what does {url} mean, or {password!r}", url)


def test_a_servers_url_is_said_without_its_password() -> None:
    with pytest.raises(Unavailable) as caught:
        Client("http://ada:h!dden@127.0.0.1:9", "token", patience=0).get("/health")
    with pytest.raises(Malformed) as malformed:
        Client("http://ada:h!dden@host:port", "token")

    assert "h!dden" not in str(caught.value) + str(malformed.value)
    assert "127.0.0.1:9" in str(caught.value)


def test_a_word_of_half_a_megabyte_before_a_url_takes_no_time_to_speak_of() -> None:
    assert masked("a" * 500_000 + "://joe:secret@example.org") == "a" * 500_000 + "://example.org"
