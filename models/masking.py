"""Passwords in URLs: taken out of every text of ours before it is stored or said.

Every error's sentence, what git complained of, and every line of a log goes through here. It imports the
standard library only.
"""

import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

# Over HTTP a name alone may be a token; over ssh it is just a name.
_USER = re.compile(r"(?i)((?:https?|ftps?)://)[^/\s\"]*@|([a-z][a-z0-9+.-]*://)[^/\s\"@:]*:[^/\s\"]*@")
_QUERY = re.compile(r"(?i)([?&][a-z0-9_-]*(?:password|passwd|passphrase|token|secret|api_?key)=)[^&#\s'\"]+")
_URL = re.compile(r"(?i)[a-z][a-z0-9+.-]*://[^\s\"]+")


def masked(text: str) -> str:
    """*text* with what may be a password taken out of every URL in it."""
    if "://" not in text:
        return text
    plain = _USER.sub(lambda found: found[1] or found[2], text)
    return _URL.sub(lambda found: _QUERY.sub(r"\1…", found[0]), plain)


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
