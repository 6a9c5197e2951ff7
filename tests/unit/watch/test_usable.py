"""The watch process waits for a configuration that can be used, and says what is wrong meanwhile."""

import pytest

from bmc_healer.watch import __main__ as watch

# What StackStorm hands over when nobody has written a configuration yet (st2 3.10dev).
MADE_UP = {"hosts": {}, "credentials": {}, "defaults": {"ssh": {}, "bmc": {}}, "watch": {}, "notify": []}


class Spoken:
    """In the place of stdout."""

    def __init__(self):
        self.lines = []

    def put(self, line):
        self.lines.append(line)

    def log(self, level, text):
        self.lines.append((level, text))


class Enough(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize(
    ("document", "level"), [(MADE_UP, "info"), ({}, "info"), (MADE_UP | {"hosts": {"a": {}}}, "error")]
)
def test_a_pack_without_a_configuration_is_no_error_a_wrong_one_is(monkeypatch, document, level):
    def sleep(seconds):
        raise Enough

    monkeypatch.setattr(watch.time, "sleep", sleep)
    spoken = Spoken()
    with pytest.raises(Enough):
        watch.usable(document, spoken)
    said, text = spoken.lines[0]
    assert said == level
    assert text.startswith("nothing is watched: the pack's configuration: mode")


def test_a_mended_inventory_is_taken_up_and_the_trouble_was_told_once(monkeypatch, tmp_path):
    file = tmp_path / "hosts.yaml"
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            file.write_text("db01: {transport: local}\n")

    monkeypatch.setattr(watch.time, "sleep", sleep)
    spoken = Spoken()
    config, _ = watch.usable({"mode": "observe", "inventory": str(file)}, spoken)
    assert config.inventory == str(file)
    assert pauses == [5.0, 15.0, 60.0]
    said = [line for line in spoken.lines if isinstance(line, tuple)]
    assert [level for level, _ in said] == ["error", "info"]
    assert str(file) in said[0][1]
    assert len(spoken.lines) - len(said) == 3  # a sign of life before each pause
