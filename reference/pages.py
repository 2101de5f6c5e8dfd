"""The generated pages, by their names."""

from collections.abc import Mapping
from pathlib import Path

from cli import reference as commands
from reference import definition, events, exit_codes, http, settings

FOLDER = Path(__file__).parents[1] / "docs" / "reference"


def pages() -> Mapping[str, str]:
    """What each page must say, by its file's name."""
    return {
        "cli.md": commands.page(),
        "definition.md": definition.page(),
        "events.md": events.page(),
        "exit-codes.md": exit_codes.page(),
        "http.md": http.page(),
        "settings.md": settings.page(),
    }
