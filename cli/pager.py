"""Shows what git says as git would show it, in the person's pager and colours; nobody else's colours pass.

Each line is git's own sign and then words that an agent may have written: those come through
`models.foreign`, so that no colour, no hidden text and no other direction of theirs reaches a screen.
"""

import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli import persons_git, render, shell
from models.foreign import Shown, behind, one_line

HUNK = re.compile(r"(@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@)(.*)", re.DOTALL)
BAR = re.compile(r"( .* \| +\d+ )(\+*)(-*)")
DEFAULTS = {"meta": "bold", "frag": "cyan", "old": "red", "new": "green", "commit": "yellow"}
RESET = "\x1b[m"


@dataclass(frozen=True)
class Paint:
    """The person's colours for what git says; none where they want none."""

    place: Path
    is_wanted: bool

    @classmethod
    def of(cls, place: Path) -> "Paint":
        """The colours of the repository at *place*, where this is a terminal."""
        said = persons_git.answer(place, "config", "--get-colorbool", "color.diff", "true")
        return cls(place, render.is_terminal() and said == "true" and not shell.said("NO_COLOR"))

    def code(self, slot: str) -> str:
        """What turns a colour on."""
        if not self.is_wanted:
            return ""
        return persons_git.answer(self.place, "config", "--get-color", f"color.diff.{slot}", DEFAULTS[slot])

    def codes(self) -> "dict[str, str]":
        """Every colour there is, asked for once."""
        return {slot: self.code(slot) for slot in DEFAULTS}


def painted(text: Shown, code: str) -> Shown:
    """A line of ours in a colour."""
    return Shown(f"{code}{text}{RESET}") if code and text else text


def diff_lines(text: Iterable[str], colours: "dict[str, str]") -> Iterator[Shown]:
    """The lines of a patch, harmless and coloured."""
    old = new = 0
    for line in text:
        if old or new:
            sign, rest = line[:1], line[1:]
            old -= sign in {" ", "-", ""}
            new -= sign in {" ", "+", ""}
            yield painted(behind(sign, rest), {"+": colours["new"], "-": colours["old"]}.get(sign, ""))
        elif found := HUNK.fullmatch(line):
            old, new = (1 if count is None else int(count) for count in (found[2], found[3]))
            yield Shown(f"{painted(Shown(found[1]), colours['frag'])}{behind('', found[4])}")
        elif line.startswith("\\"):
            yield behind("", line)
        else:
            yield painted(behind("", line), colours["meta"])


def stat_lines(text: Iterable[str], colours: "dict[str, str]") -> Iterator[Shown]:
    """The lines of `git diff --stat`, harmless and coloured."""
    for line in text:
        found = BAR.fullmatch(line)
        if found is None:
            yield Shown(one_line(line))
            continue
        bars = (painted(Shown(found[2]), colours["new"]), painted(Shown(found[3]), colours["old"]))
        yield Shown(f"{one_line(found[1])}{''.join(bars)}")


def git_lines(place: Path, *arguments: str) -> Iterator[str]:
    """What the person's git says, line by line, without colours; it ends with the iterator.

    `Unprocessable` behind the last line if git fails.
    """
    with subprocess.Popen(
        ["git", *arguments],
        cwd=place,
        env=persons_git.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as git:
        assert git.stdout is not None, "it is a pipe"  # noqa: S101
        try:
            for line in git.stdout:
                yield line.decode(errors="backslashreplace").removesuffix("\n")
            persons_git.require_whole(git.wait())
        finally:
            git.kill()


def show(place: Path, lines: Iterable[Shown], *, command: str) -> None:
    """Show lines in the pager that the person's git has for *command*; without one, as they are."""
    pager = _pager(place, command) if render.is_screen() else ""
    if not pager:
        for line in lines:
            render.say_coloured(line)
        return
    environment = {"LESS": "FRX", "LV": "-c", **persons_git.environment()}
    # A line for a shell, as git takes it: the person's own.
    with subprocess.Popen(pager, shell=True, stdin=subprocess.PIPE, env=environment) as showing:  # noqa: S602
        assert showing.stdin is not None, "it is a pipe"  # noqa: S101
        # Who has seen enough leaves it.
        with suppress(BrokenPipeError), showing.stdin:
            for line in lines:
                showing.stdin.write(f"{line}\n".encode(errors="backslashreplace"))


def _pager(place: Path, command: str) -> str:
    """The person's pager; nothing where they want none."""
    own = persons_git.answer(place, "config", f"pager.{command}")
    if own.casefold() in {"false", "no", "off", "0"}:
        return ""
    is_word = bool(own) and own.casefold() not in {"true", "yes", "on", "1"}
    found = own if is_word else persons_git.answer(place, "var", "GIT_PAGER")
    return "" if found == "cat" else found
