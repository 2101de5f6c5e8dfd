"""Hides the values of variables in a stream of output, however it is cut; standard library only."""

from __future__ import annotations

from array import array

from models.masking import hiding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Hiding:
    """Shows `[NAME is hidden]` where a value, or one of the lines of a longer one, would stand.

    What it takes grows with the output and with the secrets, and with neither more than in proportion.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._words = [HiddenWord(word.encode(), shown.encode()) for word, shown in hiding(secrets)]
        self._held = b""

    def of(self, chunk: bytes) -> bytes:
        """Return what may be shown now: no secret, and nothing that may be the beginning of one."""
        text = whole = self._held + chunk
        for word in self._words:
            text = text.replace(word.text, word.shown)
        # Where something was hidden, what is left has another beginning.
        news = chunk if text == whole else text
        shown_now = len(text) - max((word.begun(news, text) for word in self._words), default=0)
        self._held = text[shown_now:]
        return text[:shown_now]

    def rest(self) -> bytes:
        """Return what was held back and is no secret, as nothing follows."""
        held, self._held = self._held, b""
        return held


class HiddenWord:
    """Something to hide, and how much of it the output ends with (Knuth, Morris and Pratt)."""

    def __init__(self, text: bytes, shown: bytes) -> None:
        self.text = text
        self.shown = shown
        self._length = 0
        self._shorter = array("I", [0])
        """For each length of a beginning: the longest shorter one that it ends with."""
        for byte in text[1:]:
            self._shorter.append(self._longer(self._shorter[-1], byte))

    def begun(self, news: bytes, text: bytes) -> int:
        """Return how many bytes at the end of *text*, of which *news* is new, are a beginning of the word."""
        most = len(self.text) - 1
        length, unseen = (self._length, news) if len(news) < min(most, len(text)) else (0, text[-most:])
        for byte in unseen:
            length = self._longer(length, byte)
        self._length = length
        return length

    def _longer(self, length: int, byte: int) -> int:
        """Return how long a beginning is there once *byte* has come after one of *length*."""
        while length and self.text[length] != byte:
            length = self._shorter[length - 1]
        return length + (self.text[length] == byte)
