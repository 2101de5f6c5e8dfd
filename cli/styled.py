"""Lines with colours in them, for a terminal: the one place where they are made, of others' text too."""

from rich.text import Text

from models.foreign import one_line

Part = str | tuple[str, str]
"""Text, or text and the style it is written in."""


def styled(*parts: Part, style: str = "") -> Text:
    """One line of *parts*, whatever is in them."""
    return Text.assemble(
        *(one_line(part) if isinstance(part, str) else (one_line(part[0]), part[1]) for part in parts),
        style=style,
    )
