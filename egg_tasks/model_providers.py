"""Settings of the providers of models: where each is, what it speaks, and the secret that is its key."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from models.setting_names import PROVIDER, VARIABLE

TABLE = "providers"
NEEDED = ("base_url", "format", "credential")
PLAIN = "plain_http"
PATHS = "paths"
PATH = re.compile(r"(?:/[A-Za-z0-9_.~:@!$&'()*+,;=-]+)+")
"""Below a provider: nothing that two readers could take for two paths."""
EXAMPLE = '{base_url = "https://api.anthropic.com", format = "anthropic", credential = "ANTHROPIC_API_KEY"}'


class WireFormat(StrEnum):
    """What a provider speaks, and so how it is told its key and tells what was used."""

    ANTHROPIC = "anthropic"
    """Messages; the key is `x-api-key`."""
    OPENAI = "openai"
    """Responses and Chat Completions; the key is a bearer token."""
    OTHER = "other"
    """Anything else that takes a bearer token; what it uses is not known."""


VERSION = "/v1"
"""Some have it in their `base_url`, others in the path below."""
ASKED: Mapping[WireFormat, Collection[str]] = {
    WireFormat.ANTHROPIC: ("/messages", "/messages/count_tokens"),
    WireFormat.OPENAI: ("/responses", "/responses/compact", "/chat/completions", "/embeddings"),
    WireFormat.OTHER: (),
}
"""Where models are asked. Whatever else takes a POST is the account's: its keys, files, jobs of others."""


@dataclass(frozen=True)
class Provider:
    """Where models are asked."""

    name: str
    base_url: str
    """What comes before the path of a request; without a slash at its end."""
    format: WireFormat
    credential: str
    """The secret of this machine that is its key."""
    paths: tuple[str, ...] = ()
    """What else agents may POST to, below its URL; of a format that is not known, all there is."""

    @property
    def parts(self) -> SplitResult:
        """Its URL, taken apart."""
        return urlsplit(self.base_url)

    def is_asked_at(self, path: str) -> bool:
        """Whether agents may POST to a path with its key."""
        return path in self.paths or path.removeprefix(VERSION) in ASKED[self.format]


def taken(said: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Provider]:
    """The providers of a table without faults, by name."""
    return {
        name: Provider(
            name,
            each["base_url"].rstrip("/"),
            WireFormat(each["format"]),
            each["credential"],
            tuple(each.get(PATHS, ())),
        )
        for name, each in said.items()
    }


def faults(said: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the table, by its key."""
    for name, entry in said.items():
        key = f"{TABLE}.{name}"
        if not re.fullmatch(PROVIDER, name):
            yield key, "a provider's name is of letters, digits, `-` and `_`, at most 63"
        elif not isinstance(entry, dict):
            yield key, f"must be a table: {', '.join(NEEDED)}"
        else:
            yield from ((f"{key}.{part}", fault) for part, fault in _faults(entry))


def _faults(entry: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for part in entry.keys() - {*NEEDED, PLAIN, PATHS}:
        more = f"{PLAIN} and {PATHS}"
        yield part, f"there is no such setting: a provider has {', '.join(NEEDED)} and, at most, {more}"
    for part in NEEDED:
        if not isinstance(entry.get(part), str):
            yield part, "must be text in quotes" if part in entry else "is wanting"
            return
    if type(entry.get(PLAIN, False)) is not bool:
        yield PLAIN, "must be true or false"
    if not _are_paths(entry.get(PATHS, [])):
        yield PATHS, 'must be a list of paths below base_url, of plain words: ["/v1/rerank"]'
    if str(entry["format"]) not in set(WireFormat):
        yield "format", f"must be one of {', '.join(WireFormat)}"
    if not re.fullmatch(VARIABLE, str(entry["credential"])):
        yield "credential", "must be the name of a secret: docs/howto/secrets.md"
    if fault := _fault_of_url(str(entry["base_url"]), is_plain=entry.get(PLAIN) is True):
        yield "base_url", fault


def _are_paths(said: object) -> bool:
    return isinstance(said, list) and all(isinstance(each, str) and is_plain_path(each) for each in said)


def is_plain_path(path: str) -> bool:
    """Whether a path is one for whoever reads it."""
    return bool(PATH.fullmatch(path)) and not {".", ".."} & set(path.split("/"))


def _fault_of_url(url: str, *, is_plain: bool) -> str:
    """What is wrong with where a provider is: whoever is there is told the key."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    has_more = "@" in parts.netloc or "?" in url or "#" in url or not (url.isascii() and url.isprintable())
    if parts.scheme not in {"https", "http"} or not host or has_more or " " in url:
        return "must look like https://host or https://host/path"
    if parts.scheme == "http" and not (is_plain or _is_loopback(host)):
        return f"must be https, or the key would go over the network in the open ({PLAIN} = true allows it)"
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
