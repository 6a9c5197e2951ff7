"""Every row that has a story, played against the real kernel and checked from outside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.guest.healer import HOST, Healer
from tests.guest.matrix import afterwards
from tests.guest.matrix.row import Row, rows
from tests.guest.matrix.stage import Stage, check
from tests.guest.outside import channels

TRIED = ("done", "failed", "stuck")


PLAYED = [pytest.param(row, row.lab, id=row.id) for row in rows() if row.story]


@pytest.mark.parametrize(("row", "lab"), PLAYED, indirect=["lab"])
def test_row(row: Row, lab, tmp_path, chat, record_property) -> None:
    lab.bmc.reset_seconds(3)
    stage = Stage(lab, tmp_path, chat)
    try:
        stage.play(row.story)
    finally:
        stage.healer.close()
    was = stage.was
    assert was is not None, "the product was let at nothing"
    record_property("outcome", stage.ended.told.get("outcome") if stage.ended else "")
    record_property("resets", " ".join(channels(lab)))
    assert channels(lab) == list(row.resets)
    assert lab.bmc.status().resets == (len(row.resets) if row.carried_out is None else row.carried_out)
    if stage.ended is not None:
        check(stage.ended, row.outcome, row.healed_by, row.says)
    found = [report for one in stage.installations for report in reports(one)]
    tried = [rung for report in found for rung in rungs(report)]
    assert row.walked(tried), tried
    titles = [title.removeprefix(f"{HOST}: ") for title in chat.titles]
    assert row.hears(titles), titles
    afterwards.STATES[row.host](lab, was)
    if row.host != "rebooted":
        afterwards.assert_unharmed(lab, was)
    afterwards.assert_no_secret(lab, tmp_path, chat.heard, found)


def reports(healer: Healer) -> list[dict[str, Any]]:
    """Of all heals, in order."""
    return [healer.report(incident["id"]) for incident in reversed(healer.incidents())]


def rungs(report: dict[str, Any]) -> list[str]:
    """The rungs that were tried in a heal, in order."""
    return [
        step["rung"]
        for step in report["steps"]
        if not step["step"].startswith("gate_") and step["verdict"] in TRIED
    ]
