"""What a person is told before something goes for good, and that nothing goes without their word."""

import json
from collections.abc import Callable

import pytest

from cli.formatting import duration
from egg_tasks.stack import doctor
from models.sizes import in_words
from tests.unit.scripted_server import Scripted

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]

LOST = {"name": "egg/shop/coder", "commit": "ab" * 20, "subject": "Mend it", "is_elsewhere": False}
SAFE = {**LOST, "name": "egg/shop/work", "is_elsewhere": True}
BRANCHES = {"repository": "/home/repos/shop.git", "branches": [LOST, SAFE], "why": "", "refused": ""}
RUN = "0b1c2d3e-0000-0000-0000-000000000000"
KEPT = {
    "run": RUN,
    "pipeline": "shop",
    "label": "coder (run 1)",
    "path": f"/home/runs/{RUN}/kept",
    "size": 4_200_000,
    "holds": ["giant.bin"],
}
DISK = {
    "home": "/home",
    "space": {"clones": 1_000_000, "database": 40_000_000},
    "items": [{"kind": "clone", "path": "/home/runs/x", "size": 1_000_000, "why": "coder (run 1) is over"}],
    "frees": 1_000_000,
    "kept": [KEPT],
    "repositories": [{"name": "shop", "path": "/home/repos/shop.git", "size": 16_384, "has_pipeline": True}],
}


def test_branches_that_are_nowhere_else_are_named_and_nothing_goes_without_a_word(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data=BRANCHES)

    code = egg("pipeline", "delete", "shop")

    said = capsys.readouterr().err
    assert code == 1
    assert "  egg/shop/coder  ababababab  Mend it\n" in said
    assert "egg/shop/work" not in said
    assert "One branch of it is in your repository too, and will stay there." in said
    assert "error: nothing is removed without --yes: " in said
    assert said.endswith("pipeline delete shop --yes\n")
    assert [asked.method for asked in server.asked] == ["GET"]


def test_why_it_cannot_be_deleted_is_said_before_anything_is_asked(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data={**BRANCHES, "refused": "shop is running: egg pipeline cancel shop"})

    code = egg("pipeline", "delete", "shop", "--yes")

    said = capsys.readouterr().err
    assert (code, len(server.asked)) == (1, 1)
    assert said.startswith("error: shop is running: ")


def test_a_deletion_waits_for_agents_that_are_being_stopped_and_until_the_name_is_free(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data=BRANCHES)
    server.say(409, "not yet", details={"unclosed": ["coder (run 1)"]})
    server.say(200, "", data={"pipeline": "shop"})
    server.say(404, "the pipeline shop is deleted", details={"is_going": True})
    server.say(404, "there is no pipeline shop")

    code = egg("pipeline", "delete", "shop", "--yes", "--json")

    assert (code, len(server.asked)) == (0, 5)
    assert json.loads(capsys.readouterr().out)["deleted"] == "shop"


def test_gc_lists_and_removes_nothing(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data=DISK)

    code = egg("gc")

    lines = capsys.readouterr().out.splitlines()
    assert (code, [asked.method for asked in server.asked]) == (0, ["GET"])
    assert lines[:3] == ["/home takes 41 MB:", "     40 MB  database", "    1.0 MB  clones"]
    assert "    1.0 MB  runs/x: coder (run 1) is over" in lines
    assert f"    4.2 MB  runs/{RUN}/kept: coder (run 1) of shop left" in lines
    assert "     17 kB  shop" in lines


def test_what_is_kept_is_named_by_the_beginning_of_its_run_and_listed_first(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data=DISK)

    code = egg("gc", "--kept", "0b1c")

    said = capsys.readouterr().err
    assert (code, len(server.asked)) == (1, 1)
    assert "            giant.bin\n" in said
    assert said.endswith(f"gc --kept {RUN} --yes\n")


def test_a_name_that_may_be_several_is_refused(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(200, "", data={**DISK, "kept": [KEPT, {**KEPT, "run": RUN.replace("3e", "4f")}]})

    assert egg("gc", "--kept", "0b1c", "--yes") == 1
    assert "say more of it" in capsys.readouterr().err


def test_what_agents_called_their_files_stays_on_its_line(
    server: Scripted, egg: Egg, capsys: Captured
) -> None:
    server.say(200, "", data={**DISK, "kept": [{**KEPT, "holds": ["a\nb\x1b[2J"]}]})

    egg("gc")

    out = capsys.readouterr().out
    assert "            a\\nb\\x1b[2J\n" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 kB"),
        (1, "1 kB"),
        (99_999, "100 kB"),
        (100_000, "0.1 MB"),
        (9_940_000, "9.9 MB"),
        (2e8, "200 MB"),
        (999_400_000, "999 MB"),
        (999_600_000, "1.0 GB"),
        (61.4e9, "61 GB"),
        (2.5e12, "2.5 TB"),
        (5e15, "5000 TB"),
    ],
)
def test_a_size_reads_as_people_say_it(size: float, words: str) -> None:
    assert in_words(int(size)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.9, "0s"), (59, "59s"), (125, "2m05s"), (3780, "1h03m"), (47 * 3600, "47h00m"), (4 * 86400, "4d00h")],
)
def test_a_stretch_of_time_reads_as_people_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_doctor_names_each_directory_of_a_path_once() -> None:
    assert doctor.once("/b:/a:/b:/c:/a") == "/b:/a:/c"
