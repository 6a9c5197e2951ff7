"""lease.sh under every shell, in a directory of its own, and what is made of its words."""

from __future__ import annotations

import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.errors import HostAccessError
from bmc_healer.host.access import Result
from bmc_healer.host.lease import ForeignLease, Lease, give_back, look, read, record_deed, take

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "ash"]}
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Here:
    """This machine, with another directory for /run: its shell script is the real one."""

    name = "db01"

    def __init__(self, shell: list[str], folder: Path) -> None:
        self.shell = shell
        self.folder = folder

    def run(self, argv, *, limit, stdin="", mark=None, root=True, most=65536) -> Result:
        if argv[:2] == ["sh", "-c"]:
            text = argv[2].replace("[ -d /run ] || base=/var/run/bmc_healer\n", "")
            text = text.replace("base=/run/bmc_healer\n", f"base={self.folder}/bmc_healer\n")
            assert "/run" not in text
            argv = [*self.shell, "-c", text, *argv[3:]]
        ran = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=limit)
        return Result(ran.returncode, ran.stdout, ran.stderr, 0.0)


@pytest.fixture(params=sorted(SHELLS))
def here(request, tmp_path):
    argv = SHELLS[request.param]
    assert shutil.which(argv[0]), f"{argv[0]} is missing: install the package {argv[0]} (busybox-static)"
    return Here(argv, tmp_path)


def mine(here, incident="inc1", fence=4, owner="us"):
    return take(here, owner=owner, incident=incident, boot_id=BOOT, fence=fence)


def test_take_renew_deed_give_back(here):
    lease = mine(here)
    assert isinstance(lease, Lease)
    assert (lease.owner, lease.incident, lease.fence, lease.deed) == ("us", "inc1", 4, "")
    assert abs(lease.since - time.time()) < 60
    noted = record_deed(here, owner="us", incident="inc1", boot_id=BOOT, deed="unload at 11:02")
    assert isinstance(noted, Lease) and noted.deed == "unload at 11:02" and noted.fence == 4
    again = mine(here, incident="inc2", fence=5)
    assert again == Lease("us", "inc2", 5, lease.since, "unload at 11:02")
    give_back(here, owner="us", incident="inc1")
    assert (here.folder / "bmc_healer" / BOOT / "lease").exists()
    give_back(here, owner="us", incident="inc2")
    assert list((here.folder / "bmc_healer").iterdir()) == []


def test_a_foreign_lease_holds_and_is_named(here):
    mine(here, owner="st2 at mgmt1")
    record_deed(here, owner="st2 at mgmt1", incident="inc1", boot_id=BOOT, deed="reset")
    found = mine(here, owner="us", incident="inc9", fence=99)
    assert isinstance(found, ForeignLease)
    assert (found.owner, found.incident, found.deed) == ("st2 at mgmt1", "inc1", "reset")
    assert f"remove /run/bmc_healer/{BOOT}" in found.sentence
    assert isinstance(record_deed(here, owner="us", incident="inc9", boot_id=BOOT, deed="x"), ForeignLease)
    give_back(here, owner="us", incident="inc9")
    assert isinstance(mine(here, owner="us"), ForeignLease)


def test_a_look_changes_nothing_and_names_only_others(here):
    assert look(here, owner="us") is None
    assert list(here.folder.iterdir()) == []
    mine(here)
    before = (here.folder / "bmc_healer" / BOOT / "lease").read_text()
    assert look(here, owner="us") is None
    found = look(here, owner="them")
    assert found is not None and (found.owner, found.incident) == ("us", "inc1")
    assert "remove /run/bmc_healer/* " in found.sentence
    assert (here.folder / "bmc_healer" / BOOT / "lease").read_text() == before


def test_a_look_at_a_lease_without_owner(here):
    (here.folder / "bmc_healer" / BOOT).mkdir(parents=True)
    found = look(here, owner="us")
    assert found is not None and "without an owner" in found.sentence


def test_our_own_newer_heal_holds_against_an_older_one(here):
    mine(here, fence=5)
    assert isinstance(mine(here, fence=4), ForeignLease)


def test_a_lease_of_an_earlier_boot_is_void(here):
    old = here.folder / "bmc_healer" / "11111111-2222-3333-4444-555555555555"
    old.mkdir(parents=True)
    (old / "lease").write_text("them\ninc0\n3\n100\nunload\n")
    assert isinstance(mine(here), Lease)
    assert not old.exists()


def test_a_lease_without_owner_is_foreign(here):
    (here.folder / "bmc_healer" / BOOT).mkdir(parents=True)
    found = mine(here)
    assert isinstance(found, ForeignLease) and "without an owner" in found.sentence


def test_another_boot_than_the_one_looked_at(here):
    with pytest.raises(HostAccessError, match="rebooted"):
        take(here, owner="us", incident="inc1", boot_id="11111111-2222-3333-4444-555555555555")


def test_nowhere_to_write(here):
    here.folder = here.folder / "file"
    here.folder.write_text("")
    with pytest.raises(HostAccessError, match="no lease could be written"):
        mine(here)


def test_one_of_many_gets_it(here):
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda number: mine(here, owner=f"healer {number}"), range(8)))
    winners = [lease for lease in taken if isinstance(lease, Lease)]
    assert len(winners) == 1
    assert {found.owner for found in taken if isinstance(found, ForeignLease)} == {winners[0].owner}


def test_a_deed_without_a_lease(here):
    assert isinstance(record_deed(here, owner="us", incident="i", boot_id=BOOT, deed="x"), ForeignLease)


@pytest.mark.parametrize("bad", ["two\nlines", "tab\t", "é", "x" * 201])
def test_only_short_printable_lines_go_in(here, bad):
    with pytest.raises(ValueError, match="printable"):
        mine(here, owner=bad)


@given(st.text())
def test_reading_is_total(text):
    read(text)


FULL = "trap '' XFSZ; ulimit -f 0\n"  # each write fails, as on a full disk


def test_a_full_disk_leaves_no_lease_without_an_owner(here):
    with pytest.raises(HostAccessError):
        mine(Full(here.shell, here.folder))
    assert not list((here.folder / "bmc_healer").iterdir())
    assert isinstance(mine(here), Lease)


class Full(Here):
    """The same with a disk that takes nothing more."""

    def run(self, argv, **limits) -> Result:
        if argv[:2] == ["sh", "-c"]:
            argv = [*argv[:2], FULL + argv[2], *argv[3:]]
        return super().run(argv, **limits)
