"""Payloads as the sensors send them."""

from tests.guest.healer import HOST

OBSERVED = {"host": HOST, "observed_at": "2026-11-21T10:45:12Z"}


def kipmi_high_cpu(key="labhost:0:1"):
    """`kipmi.high_cpu` of a stuck driver."""
    return {
        **OBSERVED,
        "key": key,
        "signature": "stuck_counters",
        "sustained_seconds": 30.0,
        "lan": {"verdict": "alive", "address": "127.0.0.1", "last_alive": None, "last_dark": None},
        "threads": [{"pid": 77, "name": "kipmi0", "cpu_percent": 18.0}],
        "load": 0.4,
        "iowait_percent": 0.0,
        "ipmitool": {"count": 2, "uninterruptible": 0, "oldest_seconds": 31.0},
        "driver": {"seconds": 10.0, "completed": 0, "timeouts": 800, "hosed": 0},
    }


def bmc_recovered():
    """`bmc.recovered` of the LAN side."""
    return {**OBSERVED, "key": "labhost:oob:1:recovered", "path": "oob", "seconds": 60.0}


def heal_overdue(incident):
    """`heal.overdue` of a heal, as an incident's document shows it."""
    return {
        **OBSERVED,
        "key": incident["id"],
        "incident": incident["id"],
        "execution": incident["execution"],
        "owner": "test",
        "taken_at": "2026-11-21T10:45:12Z",
        "silent_seconds": 61.0,
    }
