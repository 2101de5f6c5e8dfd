"""The decision records have an index that lists each with its status and date, and agrees with them."""

import re

from reference import decisions

STATUS = re.compile(r"accepted|(?:changed|superseded) by (\d{4})")


def test_the_index_lists_every_record() -> None:
    assert decisions.INDEX.read_text(encoding="utf-8") == decisions.page(), "run `make reference`"


def test_a_status_is_one_of_three_and_names_a_later_record_that_is_there() -> None:
    rows = decisions.ROW.findall(decisions.INDEX.read_text(encoding="utf-8"))
    numbers = [path.name[:4] for path in decisions.records()]

    assert [number for number, _, _ in rows] == numbers
    for number, status, _ in rows:
        found = STATUS.fullmatch(status)
        assert found, f"{number}: {status}"
        assert found[1] is None or (found[1] in numbers and found[1] > number), f"{number}: {status}"


def test_each_number_is_given_once_and_stands_in_its_record() -> None:
    numbers = [path.name[:4] for path in decisions.records()]
    headings = [path.read_text(encoding="utf-8").partition("\n")[0] for path in decisions.records()]
    stated = [
        found[1] if (found := re.match(r"# 0*(\d+)[.:] ", heading)) else heading for heading in headings
    ]

    assert len(set(numbers)) == len(numbers)
    assert stated == [number.lstrip("0") for number in numbers]
