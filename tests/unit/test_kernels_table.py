"""The table of `make kernels`."""

from pathlib import Path

from tests.guest.kernels import report
from tests.guest.kernels.cases import CASES, MODULE
from tests.guest.kernels.report import keep, kept, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "kernels.md"


def column(release, unexpected=(), **cases):
    seen = {name: {"lines": lines, "unexpected": list(unexpected)} for name, lines in cases.items()}
    return {"release": release, "cases": seen}


def test_lines_stand_in_the_order_of_the_cases_and_what_was_not_seen_is_a_dash():
    columns = {
        "6.1": column("6.1.0-56", second={"b": "2"}, first={"a": "1 | one"}),
        "7.2": column("7.2.13", first={"a": "3"}),
    }
    text = table(columns, ["first", "second"], 2)
    assert "| | 6.1 | 7.2 |\n|---|---|---|\n| a | 1 \\| one | 3 |\n| b | 2 | - |\n" in text
    assert "Kernels: 6.1.0-56, 7.2.13;" in text
    assert text.endswith("Not as expected: nothing.\n")


def test_what_must_not_be_is_named():
    columns = {"6.1": column("6.1.0-56", unexpected=["two resets"], first={})}
    assert table(columns, ["first"], 2).endswith("Not as expected: 6.1: two resets.\n")


def test_a_case_that_a_built_in_driver_cannot_be_asked_is_no_case_that_was_not_played():
    columns = {"6.1": column("6.1.0", rmmod={"a": "1"}), "builtin": column("6.1-builtin")}
    assert "| a | 1 | no module |\n" in table(columns, ["rmmod"], 2, ["rmmod"])
    assert "| a | 1 | - |\n" in table(columns, ["rmmod"], 2)


def test_a_case_that_is_played_again_replaces_only_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "KEPT", tmp_path / "kept")
    seen = {"lines": {"a": "1"}, "unexpected": []}
    keep("7.2", "7.2.13", "first", seen)
    keep("7.2", "7.2.13", "second", seen)
    keep("7.2", "7.2.13", "first", again := {"lines": {"a": "2"}, "unexpected": []})
    assert kept() == {"7.2": {"release": "7.2.13", "cases": {"first": again, "second": seen}}}
    keep("7.2", "7.2.14", "first", seen)
    assert kept() == {"7.2": {"release": "7.2.14", "cases": {"first": seen}}}


def test_the_document_says_what_was_kept():
    """It is not written by hand. How many CPUs there were is in the heading only."""
    made = table(kept(), [case.__name__ for case in CASES], 2, [case.__name__ for case in MODULE])
    lines = [line for line in made.splitlines() if line.startswith(("|", "Kernels: ", "Not as expected"))]
    assert lines
    missing = set(lines) - set(DOCUMENT.read_text().splitlines())
    assert not missing
