"""Hides the values of variables in a stream of output, however it is cut; standard library only."""

from __future__ import annotations

from models.masking import hiding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Hiding:
    """Shows `[NAME is hidden]` where a value, or one of the lines of a longer one, would stand."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._words = [(word.encode(), shown.encode()) for word, shown in hiding(secrets)]
        self._held = b""

    def of(self, chunk: bytes) -> bytes:
        """Return what may be shown now: no secret, and nothing that may be the beginning of one."""
        text = self._held + chunk
        for word, shown in self._words:
            text = text.replace(word, shown)
        shown_now = len(text) - max((_begun(word, text) for word, _ in self._words), default=0)
        self._held = text[shown_now:]
        return text[:shown_now]

    def rest(self) -> bytes:
        """Return what was held back and is no secret, as nothing follows."""
        held, self._held = self._held, b""
        return held


def _begun(word: bytes, text: bytes) -> int:
    """Return how many bytes at the end of *text* are, as far as they go, the beginning of *word*."""
    return next((n for n in range(min(len(word) - 1, len(text)), 0, -1) if text.endswith(word[:n])), 0)
