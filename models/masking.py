"""Passwords in URLs: taken out of every text of ours before it is stored or said; and an agent's keys.

Every error's sentence, what git complained of, and every line of a log goes through here. It imports the
standard library only. What a program wrote that is told to people goes through `without_secrets`, which
knows some more.
"""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

# A scheme is looked for where a word begins and nowhere else: from each letter on, it would take a second
# for a few thousand letters that a stranger wrote.
# Over HTTP a name alone may be a token; over ssh it is just a name.
_USER = re.compile(
    r"(?i)((?:https?|ftps?)://)[^/\s\"]*@|((?<![a-z0-9+.-])[a-z0-9+.-]*://)[^/\s\"@:]*:[^/\s\"]*@"
)
_QUERY = re.compile(r"(?i)([?&][a-z0-9_-]*(?:password|passwd|passphrase|token|secret|api_?key)=)[^&#\s'\"]+")
_URL = re.compile(r"(?i)(?<![a-z0-9+.-])[a-z0-9+.-]*://[^\s\"]+")


def masked(text: str) -> str:
    """*text* with what may be a password taken out of every URL in it."""
    if "://" not in text:
        return text
    plain = _USER.sub(lambda found: found[1] or found[2], text)
    return _URL.sub(lambda found: _QUERY.sub(r"\1…", found[0]), plain)


_NAMED = re.compile(
    r"(?i)\b([a-z0-9_-]{0,40}(?:api_?-?key|token|secret|passw(?:or)?d|passphrase|authorization)"
    r"[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:(?:bearer|basic)\s{1,3})?)[^\s\"',;&]+"
)
"""A value that stands behind a name for secrets."""
_KNOWN = re.compile(
    r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}"
    r"|\bxox[abeprs]-[\w-]{10,}|\bAKIA[A-Z0-9]{12,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|\bAIza[\w-]{30,}"
)
"""Keys that say by how they begin what they are."""


def without_secrets(text: str) -> str:
    """*text*, not long, with what looks like a password, a key or a token taken out, also outside of URLs.

    A guess, for what leaves the machine: it takes out too much rather than too little.
    """
    return _KNOWN.sub("…", _NAMED.sub(r"\1…", masked(text)))


def hidden(text: str, url: str) -> str:
    """*text* without the passwords of *url* either, as libraries repeat parts of what they could not read."""
    parts = _split(url)
    userinfo = parts.netloc.rpartition("@")[0] if parts else url.partition("://")[2].rpartition("@")[0]
    queried = [value for name, value in parse_qsl(parts.query) if _QUERY.match(f"?{name}=x")] if parts else []
    password = userinfo.partition(":")[2] or userinfo
    for secret in sorted({password, unquote(password), *queried} - {""}, key=len, reverse=True):
        text = text.replace(secret, "…")
    return masked(text)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


LEAST_HIDDEN = 8
"""Shorter values of variables (`yes`, `1`, a name) stand everywhere, and hiding them would hide nothing."""


def hiding(secrets: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is to be hidden of variables' values, each whole and line by line, with what is shown instead.

    The longest first, as one may be a part of another.
    """
    found = {
        word: f"[{name} is hidden]"
        for name, value in secrets.items()
        for word in (value, *value.splitlines())
        if len(word) >= LEAST_HIDDEN
    }
    return sorted(found.items(), key=lambda pair: -len(pair[0]))
