"""Every row that has a story, played against the real kernel and checked from outside."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.guest.healer import HOST, Healer
from tests.guest.matrix import afterwards
from tests.guest.matrix.row import Row, rows
from tests.guest.matrix.stage import Stage, check
from tests.guest.outside import channels

TRIED = ("done", "failed", "stuck")
FIRMWARE = re.compile(r"BIOS (?!unknown)\S.*, BMC firmware \S")  # in every message that calls a person

PLAYED = [pytest.param(row, row.lab, id=row.id) for row in rows() if row.story]


@pytest.mark.parametrize(("row", "lab"), PLAYED, indirect=["lab"])
def test_row(row: Row, lab, tmp_path, chat, record_property) -> None:
    lab.bmc.reset_seconds(3)
    stage = Stage(lab, tmp_path, chat)
    try:
        stage.play(row.story)
    finally:
        stage.close()
        record_property("resets", " ".join(channels(lab)))
    was = stage.was
    assert was is not None, "the product was let at nothing"
    found = [report for one in stage.installations for report in reports(one)]
    leaked = afterwards.leaks(lab, tmp_path, chat.heard, found)
    record_property("outcome", stage.ended.told.get("outcome") or "" if stage.ended else "")
    record_property("healed_by", stage.ended.told.get("healed_by") or "" if stage.ended else "")
    record_property(
        "lost", sum(not report["outcome"] for report in found) + bool(row.told and not chat.heard)
    )
    record_property("leaked", len(leaked))
    assert not leaked
    assert channels(lab) == list(row.resets)
    assert lab.bmc.status().resets == (len(row.resets) if row.carried_out is None else row.carried_out)
    if stage.ended is not None:
        check(stage.ended, row.outcome, row.healed_by, row.says)
    tried = [rung for report in found for rung in rungs(report)]
    assert row.walked(tried), tried
    titles = [title.removeprefix(f"{HOST}: ") for title in chat.titles]
    assert row.hears(titles), titles
    for part in row.heard:
        assert any(part in text for _, text in chat.heard), part
    for title, text in chat.heard:
        assert title != f"{HOST}: BMC needs a person" or FIRMWARE.search(text), text
    afterwards.STATES[row.host](lab, was)
    if row.host != "rebooted":
        afterwards.assert_unharmed(lab, was)


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
