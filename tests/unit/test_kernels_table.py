"""The table of `make kernels`."""

from tests.guest.kernels.report import table


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
