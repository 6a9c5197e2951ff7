"""The fault matrix holds together: each row says what it must, and what proves it is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.guest.matrix import afterwards
from tests.guest.matrix.__main__ import asked_for
from tests.guest.matrix.kept import Result, keep, results
from tests.guest.matrix.report import report
from tests.guest.matrix.row import HOST_STATES, OUTCOMES, Row, read, rows
from tests.guest.matrix.stage import Stage

ROOT = Path(__file__).parents[2]
EVERYDAY = 15  # rows that make test plays in the guest


def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}


def test_every_row_says_how_it_ends_and_its_words_are_known() -> None:
    for row in rows():
        assert row.id and row.fault and row.theme
        assert all(hasattr(Stage, f"do_{word}") for part in row.story for word in part), row.id
        assert row.outcome or row.test, row.id


def test_what_proves_a_row_is_there() -> None:
    for row in rows():
        if row.test:
            path, _, name = row.test.partition("::")
            assert name.partition("[")[0] in functions(path), row.test


def test_a_rung_may_be_optional() -> None:
    row = Row("a", "x", outcome="healed", rungs=("(reap)", "oob", "load"), story=({"heal": None},))
    assert row.walked(["reap", "oob", "load"]) and row.walked(["oob", "load"])
    assert not row.walked(["oob"]) and not row.walked(["reap", "reap", "oob", "load"])


def test_chat_may_be_told_more_often_and_never_less() -> None:
    told = ("healing +", "healed")
    row = Row("a", "x", outcome="healed", told=told, story=({"heal": None},))
    assert row.hears(["healed", "healing"]) and row.hears(["healing", "healing", "healed"])
    for titles in ([], ["healed"], ["healing"], ["healing", "healed", "healed"], ["healing", "healed", "x"]):
        assert not row.hears(titles)


def test_every_state_of_a_host_can_be_looked_for() -> None:
    assert set(afterwards.STATES) == set(HOST_STATES)


def test_make_test_plays_a_few_and_each_outcome_in_the_guest() -> None:
    few = [row for row in rows() if row.everyday]
    assert len(few) <= EVERYDAY
    assert {row.outcome for row in few} >= set(OUTCOMES) - {""}


def test_what_is_played_elsewhere_needs_nothing_of_a_kernel() -> None:
    for row in rows():
        if row.played:
            assert not row.everyday and row.proof.startswith("tests/guest/"), row.id
            assert not any("guest" in word for part in row.story for word in part), row.id
            assert row.lab == {"driver": "stock"}, row.id


@pytest.mark.parametrize(
    "changes",
    [{"outcom": "healed"}, {"outcome": "fine"}, {"host": "ill"}, {"test": "x::y"}, {"story": None}],
)
def test_a_row_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    good = {"id": "one", "fault": "none", "outcome": "healed", "story": [{"heal": None}]}
    read(good)
    with pytest.raises(ValueError, match="one"):
        read({**good, **changes})


def test_the_report_counts_what_failed_what_is_missing_and_resets_too_many() -> None:
    one = Row("a", "x", outcome="healed", resets=("lan",), story=({"heal": None},), theme="T")
    other = Row("b", "y", test="tests/t.py::test_b", theme="T")
    done = [
        Result("p::r[a]", 61.0, True, {"resets": "lan"}),
        Result("tests/t.py::test_b[1]", 1.0, True, {}),
        Result("tests/t.py::test_b[2]", 2.0, True, {}),
    ]
    proofs = [(one, "p::r[a]"), (other, other.test)]
    text, good = report(proofs, done)
    assert good and "2 rows, 2 as expected, 0 not, 0 not run; wrong resets: 0;\nduplicate resets: 0;" in text
    assert "| **b** y | - | - | - | - | 3 | as expected |" in text
    twice = Result("p::r[a]", 61.0, False, {"resets": "lan lan"})
    text, good = report(proofs, [twice])
    assert not good and "0 as expected, 1 not, 1 not run; wrong resets: 0;\nduplicate resets: 1;" in text
    harmful = {"resets": "lan inband", "lost": "1", "leaked": "2", "outcome": "relieved", "healed_by": ""}
    text, good = report(proofs, [Result("p::r[a]", 61.0, False, harmful)])
    assert "wrong resets: 1;\nduplicate resets: 0; lost incidents: 1; leaked secrets: 2." in text
    assert "| **a** x | relieved | none | lan inband | - | 61 | not as expected |" in text, "what was seen"


def test_a_test_that_ran_again_stands_as_its_last_run_left_it(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    keep(Result("t.py::a", 1.0, False, {"resets": "lan"}), file)
    keep(Result("t.py::b", 2.0, True), file)
    keep(Result("t.py::a", 3.0, True, {"resets": ""}), file)
    assert results(file) == [Result("t.py::a", 3.0, True, {"resets": ""}), Result("t.py::b", 2.0, True)]


def test_a_run_that_was_broken_off_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    done, failed, missing = (Row(name, "x", test=f"t.py::{name}") for name in ("one", "two", "three"))
    found = [
        Result("t.py::one", 1.0, True),
        Result("t.py::two[a]", 1.0, True),
        Result("t.py::two[b]", 1.0, False),
    ]
    monkeypatch.setattr("tests.guest.matrix.kept.results", lambda: found)
    assert [asked_for(row, ["unproven"]) for row in (done, failed, missing)] == [False, True, True]
    assert asked_for(done, ["on"]) and not asked_for(done, ["tw"])


def test_the_report_that_is_kept_is_of_these_rows() -> None:
    kept = (ROOT / "docs" / "matrix.md").read_text()
    assert set(re.findall(r"^\| \*\*([^*]+)\*\*", kept, re.MULTILINE)) == {row.id for row in rows()}
    assert f"{len(rows())} faults" in (ROOT / "README.md").read_text()
