"""Hosts by name and label, from configuration and file; a changed file is taken up, a broken one is not."""

import gc
import json
import os
import random
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmc_healer.config.inventory import Inventory
from bmc_healer.config.load import from_dict
from bmc_healer.errors import ConfigError, UnknownHostError

YAML = """
web01: {address: 10.0.0.1, labels: {rack: r1}}
Web02.example.com:
  bmc: {address: 10.1.0.2, credential: dell}
  labels: {rack: r2}
"""
JSON = json.dumps(
    {
        "web01": {"address": "10.0.0.1", "labels": {"rack": "r1"}},
        "Web02.example.com": {"bmc": {"address": "10.1.0.2", "credential": "dell"}, "labels": {"rack": "r2"}},
    }
)
CSV = """host,address,bmc.address,bmc.credential,bmc.port,labels.rack
web01,10.0.0.1,,,,r1
Web02.example.com,,10.1.0.2,dell,,r2
"""


def config(path=None, **more):
    data = {
        "mode": "auto",
        "hosts": {"db01": {"labels": {"rack": "r1"}, "bmc": {"address": "10.1.0.1", "credential": "dell"}}},
        "credentials": {"dell": {"username": "a", "password_key": "k"}},
        **({"inventory": str(path)} if path else {}),
        **more,
    }
    return from_dict(data, origin="test.yaml", plain_secrets=False)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "hosts.yaml"
    path.write_text(YAML)
    return path


def rewrite(path, text):
    """Replace the file as an editor does, so that its stamp surely differs."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


@pytest.mark.parametrize(
    ("name", "text"), [("h.yaml", YAML), ("h.json", JSON), ("h.csv", CSV), ("h.CSV", CSV)]
)
def test_every_format_gives_the_same_hosts(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    inventory = Inventory(config(path))
    assert inventory.count == 3
    assert [host.name for host in inventory.hosts()] == ["db01", "web01", "web02.example.com"]
    host = inventory.host("WEB02.example.com")
    assert (host.address, host.bmc.address, host.bmc.port) == ("web02.example.com", "10.1.0.2", 623)
    assert [host.name for host in inventory.by_label("rack=r1")] == ["db01", "web01"]
    assert inventory.by_label("rack=r9") == ()


def test_a_sample_is_drawn_from_both(file):
    inventory = Inventory(config(file))
    everyone = {host.name for host in inventory.hosts()}
    assert {host.name for host in inventory.sample(20, random.Random(1))} == everyone
    drawn = [inventory.sample(2, random.Random(seed)) for seed in range(30)]
    assert all(len({host.name for host in hosts}) == 2 for hosts in drawn)
    assert {host.name for hosts in drawn for host in hosts} == everyone


def test_without_a_file():
    inventory = Inventory(config())
    assert (inventory.count, inventory.host("DB01").name) == (1, "db01")


@pytest.mark.parametrize(
    "name", ["", "db01; reboot", "db01\n", "../etc", "db 1", "a" * 300, "db\x1b]0;x\x07", "-x"]
)
def test_malformed_names_are_refused_and_not_echoed_raw(name):
    with pytest.raises(UnknownHostError, match=r"not a host name|is empty") as caught:
        Inventory(config()).host(name)
    assert caught.value.sentence.isprintable()
    assert len(caught.value.sentence) < 200


def test_an_unknown_host_hints_at_what_is_near(file):
    with pytest.raises(UnknownHostError, match="'web0' is not in the configuration; near it: web01"):
        Inventory(config(file)).host("web0")


def test_defaults_reach_the_hosts_of_the_file(file):
    host = Inventory(config(file, defaults={"ssh": {"user": "healer"}, "bmc": {"port": 6230}})).host(
        "web02.example.com"
    )
    assert (host.ssh.user, host.bmc.port) == ("healer", 6230)


def test_other_defaults_renew_the_index(file):
    assert Inventory(config(file)).host("web01").ssh.user == "root"
    assert Inventory(config(file, defaults={"ssh": {"user": "healer"}})).host("web01").ssh.user == "healer"


@pytest.mark.parametrize(
    ("text", "where", "reason"),
    [
        ("", "hosts.yaml", "names no host"),
        ("- a\n", "hosts.yaml", "must be a mapping"),
        ("web01: {}\nweb01: {}\n", "hosts.yaml", "twice"),
        ("web01: {}\nWEB01: {}\n", "hosts.yaml: WEB01", "twice"),
        ("DB01: {}\n", "hosts.yaml: DB01", "twice"),
        ("web01: {adress: x}\n", "hosts.yaml: web01", "did you mean 'address'"),
        ("a b: {}\n", "hosts.yaml", "not a name"),
        ("web01: {bmc: {address: 10.1.0.1, credential: dell}}\n", "hosts.yaml: web01.bmc.address", "db01"),
        ("web01: {bmc: {address: 10.1.0.9, credential: hp}}\n", "hosts.yaml: web01.bmc.credential", "'hp'"),
        ("web01: {transport: none}\n", "hosts.yaml: web01", "no way in"),
    ],
)
def test_a_file_that_is_wrong_from_the_start(tmp_path, text, where, reason):
    path = tmp_path / "hosts.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason) as caught:
        Inventory(config(path))
    assert caught.value.where == f"{tmp_path}/{where}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("address\n10.0.0.1\n", "`host` among them"),
        ("host,address\n", "names no host"),
        ("host\nweb01\nweb01\n", "line 3: this host is there twice"),
        ("host,address\n,10.0.0.1\n", "line 2: the cell `host` is empty"),
        ("host\nweb01,extra\n", "line 2: more cells"),
        ("host,bmc.port\nweb01,x\n", "line 2: the cell `bmc.port` must be a number"),
        ("host,bmc,bmc.port\nweb01,a,623\n", "exclude each other"),
        ("host,colour\nweb01,red\n", "unknown key 'colour'"),
        ('host\n"web01\n', "not valid CSV"),
    ],
)
def test_csv_that_is_wrong(tmp_path, text, reason):
    path = tmp_path / "hosts.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        Inventory(config(path))


@pytest.mark.parametrize(("name", "reason"), [("hosts.txt", "must end in"), ("none.yaml", "cannot be read")])
def test_files_that_cannot_be_used(tmp_path, name, reason):
    (tmp_path / "hosts.txt").write_text("x")
    with pytest.raises(ConfigError, match=reason):
        Inventory(config(tmp_path / name))


def test_a_changed_file_is_taken_up(file):
    inventory = Inventory(config(file))
    before = inventory.revision
    rewrite(file, "web03: {}\n")
    assert inventory.host("web03").name == "web03"
    assert inventory.revision == before + 1
    with pytest.raises(UnknownHostError):
        inventory.host("web01")


def test_a_broken_file_keeps_the_last_good_one_and_says_so(file):
    inventory = Inventory(config(file), clock=lambda: 0.0)
    rewrite(file, "web01: [\n")
    assert inventory.host("web01").address == "10.0.0.1"
    assert "not valid YAML" in inventory.warning
    assert "last good reading is used: 2 hosts of 1970-01-01T00:00:00Z" in inventory.warning
    # another process: same answer, without reading the broken file again
    other = Inventory(config(file))
    assert other.warning == inventory.warning
    assert other.count == 3
    file.unlink()
    assert inventory.host("web01").address == "10.0.0.1"
    assert "No such file" in inventory.warning
    rewrite(file, "web03: {}\n")
    assert inventory.host("web03").name == "web03"
    assert inventory.warning is None


def test_a_broken_file_is_not_read_again_and_again(file, monkeypatch):
    Inventory(config(file))
    rewrite(file, "web01: [\n")
    Inventory(config(file))
    monkeypatch.setattr("bmc_healer.config.inventory_file.read", lambda path: pytest.fail("read again"))
    assert Inventory(config(file)).host("web01").name == "web01"


def test_the_index_is_private_and_ours(file):
    Inventory(config(file))
    index = file.with_name(f".hosts.yaml.{os.geteuid()}.index")
    assert index.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
def test_a_damaged_index_is_made_again(file, content):
    Inventory(config(file))
    file.with_name(f".hosts.yaml.{os.geteuid()}.index").write_bytes(content)
    assert Inventory(config(file)).host("web01").name == "web01"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_elses_index_is_not_believed(file):
    Inventory(config(file))
    index = file.with_name(f".hosts.yaml.{os.geteuid()}.index")
    os.chown(index, 12345, -1)
    assert Inventory(config(file)).host("web01").name == "web01"
    assert index.stat().st_uid == os.geteuid()


def test_where_nothing_can_be_written_it_works_in_memory(file, monkeypatch):
    monkeypatch.setattr("bmc_healer.config.inventory.place", lambda source: None)
    inventory = Inventory(config(file))
    assert inventory.host("web01").name == "web01"
    rewrite(file, "web01: [\n")
    assert inventory.host("web01").name == "web01"
    assert inventory.warning
    assert [path.name for path in file.parent.iterdir()] == ["hosts.yaml"]


def test_the_users_cache_is_used_beside_a_folder_of_others(file, tmp_path, monkeypatch):
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != file.parent and real(path, mode))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Inventory(config(file))
    assert len(list((tmp_path / "cache" / "bmc_healer").glob("*.index"))) == 1


@pytest.mark.parametrize("suffix", ["csv", "json", "yaml"])
def test_one_host_of_ten_thousand_costs_20_ms_of_cpu(tmp_path, suffix):
    path = tmp_path / f"hosts.{suffix}"
    hosts = [(f"h{i:05d}", f"10.2.{i // 250}.{i % 250}", f"r{i // 40}") for i in range(10_000)]
    if suffix == "csv":
        lines = (f"{name},{bmc},dell,{rack}" for name, bmc, rack in hosts)
        path.write_text("host,bmc.address,bmc.credential,labels.rack\n" + "\n".join(lines))
    else:  # JSON is YAML too
        bmcs = {
            name: {"bmc": {"address": bmc, "credential": "dell"}, "labels": {"rack": rack}}
            for name, bmc, rack in hosts
        }
        path.write_text(json.dumps(bmcs))
    Inventory(config(path))
    gc.collect()
    gc.disable()  # a collection of what hundreds of tests left is not its cost
    try:
        start = time.thread_time()
        host = Inventory(config(path)).host("h07777")
        used = time.thread_time() - start
    finally:
        gc.enable()
    assert used < 0.02
    assert host.labels == {"rack": "r194"}


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_hosts_or_a_sentence(tmp_path_factory, content):
    for suffix in (".yaml", ".json", ".csv"):
        path = tmp_path_factory.mktemp("fuzz") / f"hosts{suffix}"
        path.write_bytes(content)
        try:
            Inventory(config(path))
        except ConfigError as error:
            assert str(path) in error.sentence


def test_hosts_of_a_large_fleet_take_little_memory(tmp_path):
    """Held by a watch all the time; and they are read one by one."""
    lines = (f"h{n},10.{n >> 8}.{n & 255}.1,10.{n >> 8}.{n & 255}.2,dell,r{n // 40}\n" for n in range(5000))
    (tmp_path / "hosts.csv").write_text(
        "host,address,bmc.address,bmc.credential,labels.rack\n" + "".join(lines)
    )
    fleet = Inventory(config(tmp_path / "hosts.csv"))
    tracemalloc.start()
    try:
        held = list(fleet.hosts())
        size, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(held) == 5001
    assert size / 5000 < 500 and peak - size < 500_000
