"""The command `audit`: exit statuses and JSON on real looks at this machine, and how results are shown."""

import json

import pytest

from bmc_healer.audit import BMC_CHECKS, HOST_CHECKS, Auto, Check, HostAudit, State
from bmc_healer.config.settings import Mode
from bmc_healer_cli import audit as command
from bmc_healer_cli import audit_report
from bmc_healer_cli.audit_progress import progress
from tests.cli.test_views import console, printed

CHECKS = (*HOST_CHECKS, *BMC_CHECKS)
HEADS = "host ssh key sudo tool driver bmc login ident inb unl oob auto"
RUNGS = ("inband", "unload", "oob")
SUDO = Check(
    "sudo", State.MISSING, "root is needed and sudo refuses: a password is required", "log in as root"
)
WATCHDOG = {"unload": "ipmi_watchdog is loaded: unloading could reboot the host."}


def result(host, *faults, auto=Auto.YES, rungs=RUNGS, left_out=None, notes=()):
    faulty = {check.name: check for check in faults}
    checks = tuple(faulty.get(name, Check(name, State.GOOD)) for name in CHECKS)
    return HostAudit(host, checks, auto, f"{auto.value}.", rungs, left_out or {}, notes)


WELL = result("db01")
BAD = result("db02", SUDO, auto=Auto.PARTLY, rungs=("oob",), left_out=WATCHDOG, notes=("It is paused.",))


def shown(audits, width=80, encoding="utf-8", warning=None):
    screen = console(width, encoding)
    audit_report.show(screen, audits, audit_report.summary(audits, len(audits), Mode.PROPOSE), warning)
    return printed(screen)


@pytest.fixture
def alone(config):
    """One host of which nothing is there, one that is for people to heal."""
    config.write_text(
        "mode: propose\ncredentials: {lab: {username: a, password: b}}\nhosts:\n"
        "  db01: {transport: local, labels: {rack: r1}}\n"
        "  db02: {transport: none, labels: {rack: r2}, "
        "bmc: {address: 127.0.23.1, port: 61623, credential: lab, identity: trust}}\n"
    )
    config.chmod(0o600)


@pytest.mark.usefixtures("alone")
def test_what_is_missing_is_status_4_and_a_document(cli_json):
    status, told = cli_json("audit")
    assert (status, told["asked"], told["lacking"], told["warning"]) == (4, 2, ["db01", "db02"], None)
    first, second = told["hosts"]
    assert first["checks"]["bmc"] == "missing"
    assert any(fault["check"] == "bmc" and "bmc.address" in fault["do"] for fault in first["missing"])
    assert (second["auto"], second["checks"]["ssh"]) == ("by hand", "none")


@pytest.mark.usefixtures("alone")
def test_hosts_by_name_or_label(cli_json):
    assert [host["host"] for host in cli_json("audit", "DB02")[1]["hosts"]] == ["db02"]
    assert [host["host"] for host in cli_json("audit", "--label", "rack:r1")[1]["hosts"]] == ["db01"]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["db01", "--label", "rack=r1"], "not both"),
        (["db09"], "db09"),
        (["--label", "rack=r9"], "no host has the label 'rack:r9'"),
    ],
)
def test_usage(cli, arguments, says):
    status, out, err = cli("audit", *arguments)
    assert (status, out) == (2, "")
    assert says in err


def test_all_well_is_status_0(cli, monkeypatch):
    monkeypatch.setattr(command, "Audit", lambda runtime, hosts: Looking(result(host.name) for host in hosts))
    status, out, _ = cli("audit")
    assert status == 0
    assert out.endswith("Nothing is missing on 8 hosts. `auto` could heal 8 of 8; mode is auto.\n")


def test_ctrl_c_shows_what_was_seen(cli, monkeypatch):
    def interrupted(hosts):
        yield result(hosts[0].name, SUDO)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "Audit", lambda runtime, hosts: Looking(interrupted(hosts)))
    status, out, _ = cli("audit")
    assert status == 130
    assert "db01\tyes\tinband,unload,oob\tsudo\n" in out
    assert "Interrupted: 1 of 8 hosts were looked at. 1 of 1 host lacks something." in out
    assert json.loads(cli("audit", "--json")[1])["asked"] == 8


class Looking:
    def __init__(self, results):
        self._results = results

    def waiting(self):
        return []

    def __iter__(self):
        return self._results


def test_a_table_fits_80_columns():
    name = "db01-with-a-long-name.dc1.example.com"
    lines = shown([result(name), BAD]).splitlines()
    assert " ".join(lines[0].split()) == HEADS
    assert lines[1].startswith("db01-with-a-lo") and "\N{HORIZONTAL ELLIPSIS}" in lines[1]
    assert max(map(len, lines)) <= 80
    wide = shown([result(name)], width=140)
    assert f"{name} " in wide


@pytest.mark.parametrize(("encoding", "marks"), [("utf-8", "\u2713\u2717?-"), ("ascii", "+x?-")])
def test_marks(encoding, marks):
    good, bad, unseen, none = marks
    states = (State.GOOD, State.MISSING, State.UNSEEN, State.NONE, *[State.GOOD] * 4)
    checks = tuple(Check(name, state, "x") for name, state in zip(CHECKS, states, strict=True))
    row = shown([HostAudit("h", checks, Auto.NO, "", ("oob",))], encoding=encoding).splitlines()[1]
    assert row.split() == ["h", good, bad, unseen, none, *[good] * 4, none, none, good, "no"]


def test_what_several_hosts_lack_is_said_once():
    many = [result(f"db{number:02}", SUDO) for number in range(20)]
    text = shown([WELL, *many, BAD])
    assert text.count("a password is required") == 1
    assert "sudo  21 hosts: db00, db01, db02, db03," in text
    assert "Rungs that would be left out\n  unload  db02\n    ipmi_watchdog is loaded" in text
    assert "Good to know\n  db02\n    It is paused." in text
    assert text.endswith("21 of 22 hosts lack something. `auto` could heal 21 of 22; mode is propose.\n")


def test_faults_that_differ_only_in_what_to_do_are_said_once():
    def unknown(number):
        what, do = "known_hosts cannot be read", f"run `ssh-keyscan 10.0.0.{number}`"
        return result(f"db{number:02}", Check("host_key", State.MISSING, what, do))

    text = shown([unknown(number) for number in range(60)])
    assert text.count("cannot be read") == 1
    assert "Run `ssh-keyscan 10.0.0.0`. The others likewise." in text


def test_many_different_faults_of_one_kind_are_counted():
    def unknown(number):
        what = f"known_hosts does not hold its host key SHA256:{number:03}"
        return result(f"db{number:02}", Check("host_key", State.MISSING, what))

    text = shown([*(unknown(number) for number in range(60)), BAD])
    assert text.count("does not hold") == 5
    assert "... and 55 more hosts, each its own way: `bmc-healer audit | less` tells all" in text
    assert "a password is required" in text


def test_on_one_host_it_says_how_a_heal_would_go():
    assert "\nyes.\n" in shown([WELL])
    assert "yes." not in shown([WELL, BAD])


def test_whole_lines_on_a_pipe():
    screen = console()
    screen._force_terminal = False
    audit_report.show(screen, [WELL, BAD], "Done.", "The inventory is broken.")
    assert printed(screen).splitlines() == [
        "db01\tyes\tinband,unload,oob\tcomplete",
        "db02\tpartly\toob\tsudo",
        f"db02: sudo: {SUDO.sentence}",
        f"db02: without unload: {WATCHDOG['unload']}",
        "db02: It is paused.",
        "The inventory is broken.",
        "Done.",
    ]


def test_no_escape_sequence_gets_through():
    evil = Check("login", State.MISSING, "the BMC said \x1b[2J")
    for text in (shown([result("db01", evil)]), json.dumps(audit_report.document([], 0, "", None))):
        assert "\x1b[2J" not in text


def test_progress_on_a_terminal_names_who_is_waited_for():
    screen = console(width=120)
    waiting = ["db01", "db02", "db03", "db04"]
    with progress(screen, 5, lambda: waiting) as told:
        waiting.remove("db01")
        told(WELL)
    text = printed(screen)
    assert "0/5" in text and "db01, db02, db03 and 1 more" in text
    assert "1/5" in text and "db02, db03, db04" in text


def test_progress_stays_on_one_line():
    screen = console(width=60)
    with progress(screen, 5, lambda: [f"node{n}.rack{n}.dc1.example.com" for n in range(9)]):
        pass
    drawn = next(line for line in printed(screen).splitlines() if "0/5" in line)
    assert "node0" in drawn and len(drawn) <= 60


def test_progress_without_a_terminal_is_a_line_now_and_then():
    screen = console()
    screen._force_terminal = False
    now = iter((1000.0, 1001.0, 1006.0, 1007.0, 1012.0))
    with progress(screen, 9, list, clock=lambda: next(now)) as told:
        for each in (WELL, BAD, WELL, WELL):
            told(each)
    assert printed(screen).splitlines() == [
        "1970-01-01T00:16:46Z 2 of 9 hosts looked at, 1 lack something",
        "1970-01-01T00:16:52Z 4 of 9 hosts looked at, 1 lack something",
    ]


def test_json_shows_no_progress():
    screen = console()
    with progress(screen, 1, list, quiet=True) as told:
        told(WELL)
    assert printed(screen) == ""
