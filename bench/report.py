"""Rows and bounds as text: a page for docs/, a table of promises for the terminal."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass

from bench.bmcs import DAEMON, FLEET, OURS, WATCH
from bench.measure import Bound, Row


@dataclass(frozen=True)
class Chapter:
    """How one section is shown. `ours` is what the others are compared with."""

    section: str
    title: str
    unit: str
    ours: str | None
    text: str


CHAPTERS = (
    Chapter(
        "bmc",
        "BMCs: who answers?",
        "BMCs",
        OURS,
        "One look at all of them. All ask the same responder. A sweep needs no session (Get\n"
        "Channel Authentication Capabilities), as ipmidetectd does; ipmipower, bmc-info, pyghmi\n"
        "and ipmitool log in, which says more about a BMC and costs more: the sensor logs in to\n"
        "suspects only. Ratios are of CPU for each BMC; peers that would take many minutes at\n"
        "10,000 are asked at fewer. Daemons and resident processes are measured while they run,\n"
        "commands from start to end.",
    ),
    Chapter(
        "local",
        "This machine's processes",
        "processes",
        "bmc_healer local probe",
        "One look at all processes: kipmi threads, IPMI clients, the driver's counters. psutil in\n"
        "a process that keeps running, ps and top from start to end. Each is the cheapest of five.",
    ),
    Chapter(
        "loop",
        "On a host that is watched through SSH",
        "processes",
        None,
        "What one answer of the watching loop costs the host, by its shell.",
    ),
    Chapter(
        "ssh",
        "SSH hosts, from the machine that watches",
        "hosts",
        "bmc_healer SSH probe",
        "One look at all hosts: ours gets a snapshot, the others run `true`. Counted is the\n"
        "client, not sshd. The memory of ControlMaster is that of one master, and every host\n"
        "needs one.",
    ),
)


def page(rows: Sequence[Row], bounds: Sequence[Bound], *, before: str) -> str:
    """docs/bench.md.

    :param before: how busy the machine was when the run began
    """
    parts = [
        "# What watching costs",
        f"Written by `make bench`. {machine()}; load average before the run: {before}.\n"
        "CPU is user and system time. Half an hour of it: [soak.md](soak.md); a restart with 10,000\n"
        "SSH hosts: [logins.md](logins.md).",
        "![CPU of one look](bench.svg)",
        "## Promises",
        promises(bounds),
    ]
    for chapter in CHAPTERS:
        parts += [f"## {chapter.title}", chapter.text, table(rows, chapter)]
        parts += [daemons(rows)] if chapter.section == "bmc" else []
    return "\n\n".join(parts) + "\n"


def machine() -> str:
    """What it was measured on."""
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{os.cpu_count()} CPUs, Linux {kernel}, Python {platform.python_version()}"


def soak_page(rows: Sequence[Row], bounds: Sequence[Bound], *, before: str) -> str:
    """docs/soak.md; the rows' notes are memory and descriptors at moments of the run."""
    minutes = max(row.count for row in rows)
    lines = [
        "| | CPU of the whole run | memory and descriptors, from the start to the end |",
        "|---|---|---|",
    ]
    lines += [f"| {row.who} | {seconds(row.cost.cpu)} | {row.note} |" for row in rows]
    parts = [
        "# A soak",
        f"Written by `python -m bench soak`. {machine()}; load average before the run: {before}.",
        f"`bmc-healer run` for {minutes} minutes: 10,000 BMCs swept every 10 s through a network that\n"
        "loses 2 % of the packets, and 300 SSH hosts, all on one sshd, looked at every 30 s. Memory is\n"
        "resident; how it grows is the median of the slopes between all pairs of samples (every 10 s) of\n"
        "the last three quarters of the run.",
        promises(bounds),
        "\n".join(lines),
    ]
    return "\n\n".join(parts) + "\n"


def logins_page(rows: Sequence[Row], bounds: Sequence[Bound], *, before: str) -> str:
    """docs/logins.md."""
    chapter = Chapter("logins", "", "SSH hosts", None, "")
    parts = [
        "# SSH hosts after a restart",
        f"Written by `python -m bench logins`. {machine()}; load average before the run: {before}.",
        "The process behind kipmi_sensor starts with hosts that it has to log in to, a hundred of which\n"
        "were ill when an earlier one ended. Every host has an address and a line in known_hosts; all are\n"
        "played by two SSH servers on the same machine, which take as much CPU as the watch does. Every\n"
        "fifth host is dead: what asks it for a connection is dropped without a word.",
        promises(bounds),
        table(rows, chapter),
    ]
    return "\n\n".join(parts) + "\n"


def promises(bounds: Sequence[Bound]) -> str:
    """One line for each, and whether it is kept."""
    lines = ["| | measured | promised | |", "|---|---|---|---|"]
    for bound in bounds:
        limit = f"at {'least' if bound.least else 'most'} {bound.limit:g} {bound.unit}".rstrip()
        value = f"{number(bound.value)} {bound.unit}".rstrip()
        lines.append(f"| {bound.what} | {value} | {limit} | {'kept' if bound.held else '**MISSED**'} |")
    return "\n".join(lines)


def table(rows: Sequence[Row], chapter: Chapter) -> str:
    """The rows of one chapter."""
    mine = [row for row in rows if row.section == chapter.section]
    ratio = " CPU, times ours |" if chapter.ours else ""
    lines = [
        f"| | {chapter.unit} | CPU | wall | memory |{ratio} |",
        "|---|---|---|---|---|---|" + ("---|" if chapter.ours else ""),
    ]
    for row in mine:
        wall = "" if row.cost.wall is None else seconds(row.cost.wall)
        memory = "" if row.cost.mib is None else f"{row.cost.mib:.0f} MiB"
        times = f" {times_ours(row, mine, chapter.ours)} |" if chapter.ours else ""
        count = f"{row.count:,}"
        lines.append(
            f"| {row.who} | {count} | {seconds(row.cost.cpu)} | {wall} | {memory} |{times} {row.note} |"
        )
    return "\n".join(lines)


def daemons(rows: Sequence[Row]) -> str:
    """What is compared with what: of ipmidetectd there is the whole daemon, of ours the sweep alone, too."""
    cpu = {row.who: row.cost.cpu for row in rows if row.count == FLEET}
    beside_sweep, beside_round = cpu[DAEMON] / cpu[OURS], cpu[WATCH] / cpu[DAEMON]
    return (
        "Of ipmidetectd a round of the whole daemon is measured, and compared with our bare sweep: it\n"
        f"takes {number(beside_sweep)} times the CPU. Daemon beside daemon, a round of our watch process,\n"
        f"with states, incidents and inventory, takes {number(beside_round)} times the CPU of a round of\n"
        "ipmidetectd."
    )


def times_ours(row: Row, rows: Sequence[Row], ours: str) -> str:
    """CPU for each, compared with ours at the same count, or else at the nearest one."""
    base = min((r for r in rows if r.who == ours), key=lambda r: abs(r.count - row.count))
    return number((row.cost.cpu / row.count) / (base.cost.cpu / base.count)) if row is not base else "1"


def seconds(value: float) -> str:
    """12.3 s, 4.5 ms."""
    return f"{number(value)} s" if value >= 0.1 else f"{number(value * 1000)} ms"


def number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
