"""Values of variables never stand in an agent's output, however it is cut into pieces."""

import sys
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from egg_tasks.runners import hiding as module
from egg_tasks.runners.hiding import Hiding

LONG = "a" * 20_000 + "b"


def shown(secrets: dict[str, str], *chunks: bytes) -> bytes:
    """What is shown of output that comes in these pieces."""
    hiding = Hiding(secrets)
    return b"".join([*(hiding.of(chunk) for chunk in chunks), hiding.rest()])


@settings(max_examples=300, deadline=None)
@given(
    secrets=st.lists(st.text("ab", min_size=8, max_size=12), min_size=1, max_size=3),
    text=st.text("ab", max_size=80),
    cuts=st.lists(st.integers(0, 80), max_size=8),
)
def test_what_is_hidden_does_not_depend_on_how_the_output_is_cut(
    secrets: list[str], text: str, cuts: list[int]
) -> None:
    """One secret alone: of several that overlap it is the first to be whole that is hidden."""
    named = {"A": secrets[0]}
    ends = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]

    cut = shown(named, *(text[here:there].encode() for here, there in pairwise(ends)))

    assert cut == text.replace(secrets[0], "[A is hidden]").encode()
    several = {str(number): secret for number, secret in enumerate(secrets)}
    pieces = shown(several, *(bytes([byte]) for byte in text.encode()))
    assert not any(secret.encode() in pieces for secret in secrets)


def test_what_only_begins_as_a_secret_is_shown() -> None:
    assert shown({"KEY": "hush-hush"}, b"hush", b"-", b"hus", b"!") == b"hush-hus!"


def test_a_long_secret_takes_steps_in_proportion_to_the_output() -> None:
    """Also where the output goes on and on as the secret begins, a byte at a time."""
    steps = 0

    def count(frame: object, event: str, _: object) -> None:
        nonlocal steps
        code = getattr(frame, "f_code", None)
        steps += event == "call" and code is module.HiddenWord._longer.__code__

    hiding = Hiding({"KEY": LONG})
    sys.setprofile(count)
    try:
        told = b"".join(hiding.of(bytes([byte])) for byte in f"{LONG[1:20_000]}c{LONG}!".encode())
    finally:
        sys.setprofile(None)

    assert told == f"{LONG[1:20_000]}c[KEY is hidden]!".encode()
    assert 40_000 < steps < 60_000
