"""The plot of a bench as SVG: CPU of one look over how many are looked at, both logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from bench.measure import Row

WIDTH, HEIGHT = 470, 340  # of a panel's plane
LEFT, TOP, BELOW, BESIDE = 62, 46, 46, 216  # around it; beside it stand the names
OURS = "#c2410c"
OTHERS = ("#1f4e79", "#2e7d6b", "#6b4fa0", "#8a6d1d", "#4a7fb5", "#7a3b5e", "#5b6770")
FONT = "font-family='system-ui, sans-serif' font-size"


def svg(rows: Sequence[Row]) -> str:
    """One panel for BMCs, one for processes."""
    panels = [
        ("CPU of one look at so many BMCs", "BMCs", "bmc"),
        ("CPU of one look at so many processes", "processes", "local"),
    ]
    across = LEFT + WIDTH + BESIDE
    high = TOP + HEIGHT + BELOW
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {across} {high * len(panels)}' role='img'>",
        "<title>What one look costs in CPU</title>",
        "<rect width='100%' height='100%' fill='#ffffff'/>",
    ]
    for place, (title, unit, section) in enumerate(panels):
        lines = _lines([row for row in rows if row.section == section])
        parts.append(f"<g transform='translate({LEFT},{place * high + TOP})'>")
        parts += panel(title, unit, lines)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _lines(rows: Sequence[Row]) -> dict[str, list[tuple[float, float]]]:
    """Points by name; what was measured at one count only is no line."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        found.setdefault(row.who, []).append((row.count, row.cost.cpu))
    return {who: sorted(points) for who, points in found.items() if len(points) > 1}


def panel(title: str, unit: str, lines: dict[str, list[tuple[float, float]]]) -> Iterator[str]:
    """One plane with its axes, lines and their names."""
    points = [point for line in lines.values() for point in line]
    x = _Scale([count for count, _ in points], WIDTH, up=False)
    y = _Scale([cpu for _, cpu in points], HEIGHT, up=True)
    yield f"<text x='0' y='-20' {FONT}='15' font-weight='600' fill='#1f2933'>{title}</text>"
    for power in x.powers:
        at = x.at(10.0**power)
        yield f"<line x1='{at:.1f}' x2='{at:.1f}' y1='0' y2='{HEIGHT}' stroke='#e3e7eb'/>"
        yield _axis(at, HEIGHT + 18, "middle", f"{10**power:,}")
    for power in y.powers:
        at = y.at(10.0**power)
        yield f"<line x1='0' x2='{WIDTH}' y1='{at:.1f}' y2='{at:.1f}' stroke='#e3e7eb'/>"
        yield _axis(-8, at + 4, "end", _label(power))
    yield _axis(WIDTH / 2, HEIGHT + 36, "middle", unit)
    ends = {who: y.at(line[-1][1]) for who, line in lines.items()}
    names = _apart(ends)
    others = iter(OTHERS)
    for who, line in lines.items():
        ours = who.startswith("bmc_healer")
        colour, width = (OURS, 3) if ours else (next(others), 1.8)
        path = " ".join(f"{x.at(count):.1f},{y.at(cpu):.1f}" for count, cpu in line)
        yield f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='{width}'/>"
        for count, cpu in line:
            yield f"<circle cx='{x.at(count):.1f}' cy='{y.at(cpu):.1f}' r='3' fill='{colour}'/>"
        end = x.at(line[-1][0])
        if WIDTH - end > 20:  # it ends early: lead the eye to its name
            yield (
                f"<line x1='{end + 5:.1f}' y1='{ends[who]:.1f}' x2='{WIDTH + 6}' y2='{names[who]:.1f}'"
                f" stroke='{colour}' stroke-dasharray='1 4'/>"
            )
        yield (
            f"<text x='{WIDTH + 10}' y='{names[who] + 4:.1f}' {FONT}='12' fill='{colour}'"
            f" font-weight='{600 if ours else 400}'>{escape(who)}</text>"
        )


def _axis(x: float, y: float, anchor: str, text: str) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' {FONT}='12' fill='#52606d'>{text}</text>"


class _Scale:
    """A logarithmic axis over whole powers of ten."""

    def __init__(self, values: Sequence[float], length: float, *, up: bool) -> None:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        self.powers = range(low, max(high, low + 1) + 1)
        self._length, self._up = length, up

    def at(self, value: float) -> float:
        """Where a value lies, in pixels."""
        first, last = self.powers[0], self.powers[-1]
        part = (math.log10(value) - first) / (last - first)
        return self._length * (1 - part if self._up else part)


def _apart(ends: dict[str, float], least: float = 16) -> dict[str, float]:
    """Heights of names: where their lines end, but never on each other."""
    placed: dict[str, float] = {}
    last = -least
    for who in sorted(ends, key=lambda name: ends[name]):
        last = max(ends[who], last + least)
        placed[who] = last
    return placed


def _label(power: int) -> str:
    """Seconds as a person says them."""
    for unit, shift in (("s", 0), ("ms", 3), ("µs", 6)):
        if power + shift >= 0:
            return f"{10 ** (power + shift):,} {unit}"
    return f"1e{power} s"
