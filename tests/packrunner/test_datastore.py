"""The datastore: expiry, pages, privacy, several processes."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from packrunner.database import FILE_NAME, Database
from packrunner.datastore import Datastore


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Datastore:
    return Datastore(Database(tmp_path / "state" / FILE_NAME), clock)


def test_an_expired_key_does_not_exist(store: Datastore, clock: Clock) -> None:
    store.set("a", "1", ttl=10)
    store.set("b", "2")
    clock.now += 9.9
    assert store.get("a") is not None
    assert store.get("a").ttl == 0  # type: ignore[union-attr]
    clock.now += 0.1
    assert store.get("a") is None
    assert [pair.name for pair in store.list()] == ["b"]
    assert store.delete("a") is False
    store.set("a", "3")
    clock.now += 1000
    assert store.get("a").value == "3"  # type: ignore[union-attr]


def test_prefix_is_plain_and_pages_are_by_name(store: Datastore) -> None:
    for number in range(150):
        store.set(f"k{number:03}", str(number))
    store.set("K1", "upper case is another key")
    store.set("k%", "no wildcard")
    assert len(store.list("k")) == 100
    assert len(store.list("k", limit=-1)) == 151
    assert [pair.name for pair in store.list("k1", limit=2, offset=1)] == ["k101", "k102"]
    assert [pair.name for pair in store.list("k%")] == ["k%"]


def test_files_are_private(tmp_path: Path, store: Datastore) -> None:
    store.set("a", "1")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_another_process_is_making_the_file(tmp_path: Path) -> None:
    """SQLite itself does not wait before the file is in WAL mode."""
    (tmp_path / "state").mkdir()
    other = sqlite3.connect(tmp_path / "state" / FILE_NAME, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.3, other.execute, ("COMMIT",))
    done.start()
    assert Datastore(Database(tmp_path / "state" / FILE_NAME)).list() == []
    done.join()


def test_four_processes_write_at_once(tmp_path: Path, store: Datastore) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from packrunner.database import Database; from packrunner.datastore import Datastore\n"
        "store = Datastore(Database(Path(sys.argv[1])))\n"
        "for n in range(50): store.set(f'{sys.argv[2]}.{n}', 'x')\n"
    )
    file = str(tmp_path / "state" / FILE_NAME)
    writers = [subprocess.Popen([sys.executable, "-c", script, file, str(n)]) for n in range(4)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    assert len(store.list(limit=-1)) == 200
