"""What docs/bench.md says beside its tables is computed from the same run."""

from bench.bmcs import DAEMON, FLEET, OURS, WATCH
from bench.measure import Cost, Row
from bench.report import page


def written(daemon, watch):
    costs = [(OURS, FLEET, 0.1), (OURS, 100, 1.0), (WATCH, FLEET, watch), (DAEMON, FLEET, daemon)]
    rows = [Row("bmc", who, count, Cost(cpu, None, 1.0)) for who, count, cpu in costs]
    return page(rows, (), before="0.1").replace("\n", " ")


def test_it_says_what_is_compared_with_ipmidetectd():
    assert "takes 2 times the CPU. Daemon beside daemon" in written(daemon=0.2, watch=0.25)
    assert "takes 1.25 times the CPU of a round of ipmidetectd" in written(daemon=0.2, watch=0.25)
    assert "takes 0.5 times the CPU of a round of ipmidetectd" in written(daemon=0.4, watch=0.2)
