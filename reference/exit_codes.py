"""docs/reference/exit-codes.md: what each number means, and which command gives which."""

from cli.exit_codes import EVERYWHERE, MEANINGS, OF, OF_ANOTHER_PROGRAM
from reference.markdown import code, table

INTRODUCTION = """\
# Exit codes

Written from `cli/exit_codes.py` by `make reference`; a test fails when it is not up to date.

The same number means the same everywhere. `--help` of each command, and [its entry](cli.md), say which it
gives.
"""


def page() -> str:
    """The whole page."""
    all_of_them = table(("code", "means"), [(str(number), text) for number, text in MEANINGS.items()])
    rows = [
        (code(command), " · ".join(f"{number} {text}" for number, text in sorted(codes.items())))
        for command, codes in OF.items()
    ]
    everywhere = " · ".join(f"{number} {text}" for number, text in EVERYWHERE.items())
    others = ", ".join(code(name) for name in sorted(OF_ANOTHER_PROGRAM))
    return "\n".join(
        [
            INTRODUCTION,
            all_of_them,
            "## Commands that give others, or mean something in particular\n",
            f"All others give: {everywhere}.\n",
            table(("command", "gives"), rows),
            f"{others} become another program, whose exit code is its own.\n",
        ]
    )
