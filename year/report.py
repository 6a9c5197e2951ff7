"""What came of a run, as a page, a curve, and the list of what must never happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from statistics import median

from year.book import Book, Fault
from year.fate import DAY, KINDS, OBEYS, Rates
from year.simulation import START, Simulation

WIDTH, HEIGHT, LEFT, TOP = 640, 300, 60, 40
FONT = "font-family='system-ui, sans-serif' font-size"


def wrongs(run: Simulation) -> list[str]:
    """One sentence each; empty is what it should be."""
    book, now = run.book, run.loop.now
    found = [f"wrong reset of {r.bmc} at {r.at:.0f} ({r.by}, {r.execution}): {r.wrong}" for r in book.wrong]
    found += [f"second reset of {r.bmc} at {r.at:.0f} ({r.by}, {r.execution})" for r in book.duplicates]
    found += [f"missed: {f.host}, {f.kind} since {f.began:.0f}" for f in book.missed(now)]
    found += [f"{lock.host} is still held by {lock.incident}" for lock in run.forgotten()]
    return found + [f"called healed and was ill: {host}" for host in book.false_heals]


def markdown(run: Simulation, days: float, seed: int) -> str:
    """docs/year.md."""
    book, now = run.book, run.loop.now
    own = [reset for reset in book.resets if reset.by != "late"]
    late = len(book.resets) - len(own)
    lines = [
        "# A simulated year",
        "",
        f"`make year` ran {len(run.world.hosts):,} hosts for {days:.0f} days of virtual time (seed {seed}).",
        "The product's own code decided: watches, mass outages, guardrails, diagnosis, plan, rungs, gates,",
        "outcome, locks, budgets, tidy. Made up are hosts, BMCs, networks, people, and the places of the",
        "engine and the datastore (`year/`). Real kernels and real sessions are tried elsewhere (`tests/`).",
        "",
        "![Faults and what became of them](year.svg)",
        "",
        "| | |",
        "|---|---|",
        f"| resets that reached a BMC | {len(own)} |",
        f"| **wrong resets** (BMC well, booting, updating, another machine's, paused) | {len(book.wrong)} |",
        f"| **duplicate resets** (a second one within the hour) | {len(book.duplicates)} |",
        f"| late in-band resets out of the driver's queue | {late} |",
        f"| **missed faults** (nobody heard of it within 2 h) | {len(book.missed(now))} |",
        f"| **called healed and was ill** | {len(book.false_heals)} |",
        f"| longest silence, until anybody heard of a fault | {book.longest_silence(now) / 60:.0f} min |",
        f"| heals whose process was killed half-way | {run.engine.kills} |",
        f"| **of these never tidied up** (a lock older than an hour) | {len(run.forgotten())} |",
        "",
        "## Faults",
        "",
        "| fault | number | cured by a reset | by a person | open | heard after | cured by a reset after |",
        "|---|---|---|---|---|---|---|",
        *(_row(kind, [f for f in book.faults if f.kind == kind], now) for kind, _ in KINDS),
        "",
        "## What had to be left alone",
        "",
        "| event | number |",
        "|---|---|",
        *(f"| {what} | {count} |" for what, count in sorted(book.harmless.items())),
        "",
        "## How heals ended",
        "",
        "| outcome | number |",
        "|---|---|",
        *(f"| `{what}` | {count} |" for what, count in sorted(book.outcomes.items())),
        *(f"| refused, told: {what} | {count} |" for what, count in sorted(book.refusals.items())),
        "",
        "## Rates",
        "",
        "Nobody publishes how often BMCs hang: these are guesses on the high side, a year, for a BMC, host",
        "or rack, or in the fleet. They decide how much is tried, nothing else.",
        "",
        "| event | a year |",
        "|---|---|",
        *(
            f"| {field.name.replace('_', ' ')} | {getattr(Rates(), field.name):g} |"
            for field in fields(Rates)
        ),
        "",
        "Of the hangs: "
        + ", ".join(f"{name} {share:.0%}" for name, share in KINDS)
        + ". A cold reset: "
        + ", ".join(f"{name} {share:.0%}" for name, share in OBEYS)
        + ".",
    ]
    return "\n".join(lines) + "\n"


def _row(kind: str, faults: Sequence[Fault], now: float) -> str:
    by = {who: sum(fault.ended_by == who for fault in faults) for who in ("product", "person", "")}
    heard = [fault.silence(now) / 60 for fault in faults]
    cured = [(f.ended or now) - f.began for f in faults if f.ended_by == "product"]
    return (
        f"| {kind} | {len(faults)} | {by['product']} | {by['person']} | {by['']} | {_minutes(heard)} | "
        f"{_minutes([seconds / 60 for seconds in cured])} |"
    )


def _minutes(values: Sequence[float]) -> str:
    return f"{median(values):.1f} min" if values else "-"


def svg(book: Book, days: float) -> str:
    """Cumulated faults, cures and wrong resets over the days."""
    lines = {
        "faults": ("#5b6770", [fault.began for fault in book.faults]),
        "cured by a reset": (
            "#c2410c",
            [f.ended for f in book.faults if f.ended and f.ended_by == "product"],
        ),
        "by a person": ("#1f4e79", [f.ended for f in book.faults if f.ended and f.ended_by == "person"]),
        "wrong resets": ("#b00020", [reset.at for reset in book.wrong]),
    }
    most = max(len(book.faults), 1)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {LEFT + WIDTH + 180} {TOP + HEIGHT + 50}'>",
        "<title>A simulated year</title><rect width='100%' height='100%' fill='#ffffff'/>",
        f"<g transform='translate({LEFT},{TOP})'>",
    ]
    for part in range(5):
        y = HEIGHT - HEIGHT * part / 4
        parts.append(f"<line x1='0' x2='{WIDTH}' y1='{y:.0f}' y2='{y:.0f}' stroke='#e3e7eb'/>")
        parts.append(_text(-8, y + 4, "end", f"{most * part / 4:,.0f}"))
        parts.append(_text(WIDTH * part / 4, HEIGHT + 18, "middle", f"{days * part / 4:.0f}"))
    parts.append(_text(WIDTH / 2, HEIGHT + 38, "middle", "day"))
    placed = HEIGHT + 20.0
    for name, (colour, times) in sorted(lines.items(), key=lambda item: len(item[1][1])):
        points = [(0.0, 0)] + [((when - START) / DAY, n) for n, when in enumerate(sorted(times), 1)]
        points = [*points[:: max(1, len(points) // 200)], (days, len(times))]
        path = " ".join(f"{WIDTH * x / days:.1f},{HEIGHT - HEIGHT * y / most:.1f}" for x, y in points)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>")
        placed = min(placed - 18, HEIGHT - HEIGHT * len(times) / most)
        parts.append(
            f"<text x='{WIDTH + 8}' y='{placed + 4:.0f}' {FONT}='12' fill='{colour}'>"
            f"{name} ({len(times)})</text>"
        )
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f"<text x='{x:.0f}' y='{y:.0f}' text-anchor='{anchor}' {FONT}='12' fill='#52606d'>{text}</text>"
