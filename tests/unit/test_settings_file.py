"""settings.toml: whatever stands there is settings, or one sentence."""

from pathlib import Path

import pytest

from egg_tasks import settings_file
from models.errors import Unprocessable


@pytest.mark.parametrize(
    "text",
    [
        "a=" + "[" * 30_000,
        "a." * 30_000 + "a = 1",
        "#\n" * 40_000,
        "a=" + "1" * 6000,
        "[agents]\npath = '\udc80'",
        "[agents]\npath = 'a'\npath = 'b'",
    ],
    ids=["deep", "dotted", "large", "number", "bytes", "twice"],
)
def test_a_settings_file_that_would_take_long_or_is_none_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.toml").write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(Unprocessable, match=r"settings\.toml .*mend or remove it"):
        settings_file.read(tmp_path)
