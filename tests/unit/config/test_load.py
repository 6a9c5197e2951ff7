"""Every error of a configuration names the file, the place and the reason; nothing wrong gets through."""

import copy
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmc_healer.config import names
from bmc_healer.config.document import check_plain, parse_yaml
from bmc_healer.config.load import from_dict, from_file, read_raw
from bmc_healer.config.settings import Mode
from bmc_healer.errors import ConfigError

PACK = Path(__file__).resolve().parents[3]
GOOD = {
    "mode": "auto",
    "hosts": {
        "db01": {
            "address": "10.0.0.5",
            "bmc": {"address": "10.1.0.5", "credential": "dell"},
            "labels": {"rack": "r12"},
        },
        "DB02": {"transport": "local"},
    },
    "credentials": {"dell": {"username": "admin", "password_key": "bmc_dell"}},
}


def load(data, plain_secrets=False):
    return from_dict(data, origin="test.yaml", plain_secrets=plain_secrets)


def changed(path, value):
    """GOOD with the value at a dotted path set (or taken away: None)."""
    data = copy.deepcopy(GOOD)
    *above, last = path.split(".")
    place = data
    for step in above:
        place = place.setdefault(step, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return data


def test_a_good_one_is_typed_and_has_the_defaults():
    config = load(GOOD)
    assert config.mode is Mode.AUTO
    assert list(config.hosts) == ["db01", "db02"]
    host = config.hosts["db01"]
    assert (host.transport, host.ssh.user, host.ssh.port, host.bmc.port) == ("ssh", "root", 22, 623)
    assert host.label_keys == ("rack=r12",)
    assert config.hosts["db02"].address == "db02"
    assert config.watch.kipmi_cpu_high == 90
    assert config.guardrails.cooldown_seconds == 3600


def test_defaults_lie_under_every_host_and_the_host_wins():
    data = changed(
        "defaults", {"ssh": {"user": "healer", "port": 2222}, "bmc": {"port": 6230, "credential": "dell"}}
    )
    data["hosts"]["db01"]["ssh"] = {"port": 22}
    del data["hosts"]["db01"]["bmc"]["credential"]
    config = load(data)
    assert (config.hosts["db01"].ssh.user, config.hosts["db01"].ssh.port) == ("healer", 22)
    assert (config.hosts["db01"].bmc.port, config.hosts["db01"].bmc.credential) == (6230, "dell")
    assert config.hosts["db02"].bmc is None, "defaults alone do not give a host a BMC"


BAD = [
    ("mode", None, "mode", "no default"),
    ("mode", "atuo", "mode", "'atuo' is not one of observe, propose, auto"),
    ("extra", 1, "", "unknown key 'extra'"),
    ("hosts.db01.adress", "10.0.0.5", "hosts.db01", "did you mean 'address'?"),
    ("hosts.db01.bmc.colour", "red", "hosts.db01.bmc", "unknown key 'colour'"),
    ("guardrails", {"cooldown": 5}, "guardrails", "unknown key 'cooldown'"),
    ("hosts.db01.transport", "telnet", "hosts.db01.transport", "not one of ssh, local, none"),
    ("hosts.DB02.transport", "none", "hosts.DB02", "no way in"),
    ("hosts.db01.bmc.credential", None, "hosts.db01.bmc.credential", "no credential"),
    ("hosts.db01.bmc.credential", "hp", "hosts.db01.bmc.credential", "'hp' is not defined"),
    ("hosts.db01.bmc.address", None, "hosts.db01.bmc.address", "is missing"),
    ("hosts.db01.bmc.address", "10.1.0.5; reboot", "hosts.db01.bmc.address", "neither a host name nor an IP"),
    ("hosts.db01.bmc.address", "010.1.0.5", "hosts.db01.bmc.address", "neither a host name nor an IP"),
    ("hosts.db01.address", "-oProxyCommand=x", "hosts.db01.address", "neither a host name nor an IP"),
    ("hosts.db01.ssh", {"user": "-l"}, "hosts.db01.ssh.user", "characters"),
    ("hosts.db01.ssh", {"key_file": "id"}, "hosts.db01.ssh.key_file", "absolute path"),
    ("hosts.db01; reboot", {}, "hosts", "not a name"),
    ("hosts.db\x1b[2J", {}, "hosts", "'db?[2J'"),
    ("hosts.db01\n", {}, "hosts.db01?", "not a host name"),
    ("hosts.db--", {}, "hosts", "not a name"),
    ("hosts.Db01", {}, "hosts.Db01", "twice"),
    (
        "hosts.db03",
        {"bmc": {"address": "::ffff:10.1.0.5", "credential": "dell"}},
        "hosts.db03.bmc.address",
        "db01",
    ),
    ("hosts.db01.labels", {"rack": 12}, "hosts.db01.labels.rack", "must be text"),
    ("hosts.db01.labels", {"rack": "a:b"}, "hosts.db01.labels.rack", "characters"),
    ("mode_by_label", {"rack": "auto"}, "mode_by_label", "'rack' is not a name"),
    ("watch", {"kipmi_cpu_high": 101}, "watch.kipmi_cpu_high", "at most 100"),
    ("watch", {"sustained_seconds": -1}, "watch.sustained_seconds", "at least 0"),
    ("watch", {"mass_outage_share": 0}, "watch.mass_outage_share", "more than 0"),
    ("watch", {"kipmi_cpu_low": 95}, "watch.kipmi_cpu_low", "above kipmi_cpu_high"),
    ("watch", {"poll_seconds": float("nan")}, "watch.poll_seconds", "not a finite number"),
    ("watch", {"poll_seconds": True}, "watch.poll_seconds", "must be a number, not true or false"),
    ("ladder", {"back_wait": "600"}, "ladder.back_wait", "must be a number, not text"),
    ("credentials.dell", {"username": "a"}, "credentials.dell", "none is given"),
    ("credentials.dell.password_file", "/x", "credentials.dell", "password_key and password_file are given"),
    ("credentials.dell", {"password_key": "k"}, "credentials.dell.username", "is missing"),
    ("defaults", {"bmc": {"credential": "hp"}}, "defaults.bmc.credential", "not defined"),
    ("defaults", {"bmc": {"identity": "trust"}}, "defaults.bmc", "unknown key 'identity'"),
    ("notify", [{}], "notify.0", "none is given"),
    ("notify", {"url_key": "k"}, "notify", "must be a list, not a mapping"),
    ("inventory", "hosts.yaml", "inventory", "absolute path"),
    ("hosts.db01.bmc.redfish", {"url": "https://u:p@x"}, "hosts.db01.bmc.redfish.url", "without a login"),
]


@pytest.mark.parametrize(("path", "value", "where", "reason"), BAD)
def test_refused_with_file_path_and_reason(path, value, where, reason):
    with pytest.raises(ConfigError) as caught:
        load(changed(path, value))
    assert caught.value.where == (f"test.yaml: {where}" if where else "test.yaml")
    assert reason in caught.value.sentence
    assert caught.value.sentence.isprintable()


def test_keys_that_yaml_does_not_read_as_text():
    with pytest.raises(ConfigError, match="the key '12' is not text"):
        load(changed("hosts", {12: {}}))


@pytest.mark.parametrize("data", [None, [], "auto", 7])
def test_what_is_no_mapping(data):
    with pytest.raises(ConfigError, match=r"test.yaml: must be a mapping"):
        load(data)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("credentials.dell", {"username": "a", "password": "hunter2"}, "credentials.dell.password"),
        ("notify", [{"url": "slack://hunter2"}], "notify.0.url"),
    ],
)
def test_plain_secrets_are_refused_in_a_packs_configuration(path, value, where):
    data = changed(path, value)
    with pytest.raises(ConfigError, match="every action in its arguments") as caught:
        load(data)
    assert caught.value.where == f"test.yaml: {where}"
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(load(data, plain_secrets=True))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("credentials.dell", "hunter2"),
        ("notify", ["hunter2"]),
        ("credentials.dell.password", {"x": "hunter2"}),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(path, value):
    with pytest.raises(ConfigError) as caught:
        load(changed(path, value), plain_secrets=True)
    assert "hunter2" not in str(caught.value)


def test_empty_objects_made_up_by_stackstorm_are_no_bmc():
    data = changed("hosts.DB02.bmc", {"redfish": {}})
    data["hosts"]["db01"]["bmc"]["redfish"] = {}
    data |= {"defaults": {"ssh": {}, "bmc": {}}, "watch": {}, "notify": [], "mode_by_label": {}}
    config = load(data)
    assert config.hosts["db02"].bmc is None
    assert config.hosts["db01"].bmc.redfish is None


def test_one_bmc_address_with_two_ports_is_two_bmcs():
    data = changed("hosts.db03", {"bmc": {"address": "10.1.0.5", "port": 6231, "credential": "dell"}})
    assert load(data).hosts["db03"].bmc.port == 6231


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["mode", "hosts", "db01", "bmc", "ssh", "address", "credentials", "notify", "url", "watch"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["hosts", "credentials", "defaults", "watch", "notify", "inventory"]), JSON
    )
)
def test_any_data_loads_or_is_refused_with_a_sentence(data):
    try:
        load({"mode": "observe", **data}, plain_secrets=True)
    except ConfigError as error:
        assert error.sentence.startswith("test.yaml")


# --- files ---------------------------------------------------------------------------------------


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


SECRET = "mode: auto\ncredentials: {dell: {username: a, password: hunter2}}\n"


def test_a_plain_secret_needs_a_private_file(tmp_path):
    assert from_file(write(tmp_path / "c.yaml", SECRET)).credentials["dell"].password == "hunter2"
    with pytest.raises(ConfigError, match="its mode is 0644") as caught:
        from_file(write(tmp_path / "c.yaml", SECRET, 0o644))
    assert "credentials.dell.password" in caught.value.where
    assert from_file(write(tmp_path / "c.yaml", "mode: auto\n", 0o644)).mode is Mode.AUTO


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_plain_secret_needs_a_file_of_ours(tmp_path):
    path = write(tmp_path / "c.yaml", SECRET)
    os.chown(path, 12345, -1)
    with pytest.raises(ConfigError, match="belongs to user id 12345"):
        from_file(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "empty"),
        (b"- a\n", "not a mapping"),
        (b"mode: auto\nmode: observe\n", "line 2.*a key is given twice"),
        (b"mode: [auto\n", "not valid YAML .line"),
        (b"mode: auto\nhosts: &a {x: *a}\n", "nested too deeply"),
        (b"mode: \xff\n", "not UTF-8"),
        (b"mode: auto\nx: 2026-13-01\n", "not valid YAML"),
        (b"mode: auto\nx: !!python/object/apply:os.system [id]\n", "not valid YAML"),
        (b"mode: auto\ncredentials: {dell: {username: a, password: *hunter2}}\n", "undefined alias"),
    ],
)
def test_broken_files(tmp_path, text, reason):
    path = tmp_path / "c.yaml"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=reason) as caught:
        from_file(path)
    assert str(path) in caught.value.where
    assert "hunter2" not in str(caught.value)


def test_no_file_and_no_regular_file(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        from_file(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        from_file(tmp_path)


def test_file_names_are_relative_to_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    text = """
mode: auto
inventory: hosts.yaml
hosts: {db01: {ssh: {key_file: ~/.ssh/id}, labels: {inventory: here}}}
credentials: {dell: {username: a, password_file: secrets/dell}}
notify: [{url_file: /abs/chat}]
"""
    raw = read_raw(write(tmp_path / "c.yaml", text))
    assert raw["inventory"] == str(tmp_path / "hosts.yaml")
    assert raw["hosts"]["db01"]["ssh"]["key_file"] == "/home/somebody/.ssh/id"
    assert raw["hosts"]["db01"]["labels"] == {"inventory": "here"}
    assert raw["credentials"]["dell"]["password_file"] == str(tmp_path / "secrets/dell")
    assert raw["notify"] == [{"url_file": "/abs/chat"}]
    from_dict(raw, origin="x", plain_secrets=False)


def test_the_example_is_valid():
    config = from_file(PACK / "bmc_healer.yaml.example")
    assert config.mode is Mode.PROPOSE
    from_dict(read_raw(PACK / "bmc_healer.yaml.example"), origin="pack", plain_secrets=False)


def test_a_few_lines_of_aliases_do_not_become_millions_of_values():
    lines = ["a: &a [x, x, x, x, x, x, x, x]"]
    for above, name in pairwise("abcdefghij"):
        lines.append(f"{name}: &{name} [{', '.join([f'*{above}'] * 8)}]")
    with pytest.raises(ConfigError, match="more than 1000000 values"):
        check_plain(parse_yaml("\n".join(lines), "config"), "config")


@pytest.mark.parametrize("zone", ["eth0; reboot", "a\nb", "ä", "", "x" * 16])
def test_an_address_ends_in_no_more_than_the_name_of_an_interface(zone):
    assert names.address(f"fe80::1%{zone}") is None
    assert names.address("fe80::1%eth0.12") == "fe80::1%eth0.12"
