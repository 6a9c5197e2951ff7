"""An incident in the shape that the verbs write, for the tests of `report` and `incidents`."""

INCIDENT = {
    "id": "db01-20261121-104512",
    "host": "db01",
    "reason": "kipmi0 takes 99.7 % of a core for 61 s",
    "source": "sensor",
    "mode": "auto",
    "dry_run": False,
    "started_at": 1795257912.0,
    "ended_at": 1795258063.4,
    "execution": "6b017f820ae6dc000d10ba0c",
    "diagnosis": "in-band hung, LAN alive",
    "plan": ["reap", "inband", "unload", "oob", "load"],
    "left_out": {"throttle": "the driver can be unloaded"},
    "outcome": "healed",
    "healed_by": "oob",
    "sentence": "Healed by an out-of-band cold reset. In-band answered 3 times in a row, kipmi takes 0 %.",
    "steps": [
        {
            "step": "diagnose",
            "verdict": "hung",
            "sentence": "In-band hangs, the LAN side answers.",
            "seconds": 31.2,
            "at": 1795257912.5,
        },
        {
            "step": "gate_out_of_band_reset",
            "verdict": "passed",
            "sentence": "The BMC went dark for 41 s, came back, and answered 3 times in a row.",
            "seconds": 58.0,
            "at": 1795257990.0,
            "warnings": ["The firmware is 2.42 now, it was 2.41."],
        },
    ],
    "evidence": {
        "in_band": "hung",
        "lan": "alive",
        "symptoms": ["kipmi takes 100 % of a core", "12 IPMI clients hang"],
        "identity": {"proven": True, "how": "guid", "sentence": "The BMC's GUID is the host's SMBIOS UUID."},
        "bmc": {"firmware": "2.41", "error": ""},
        "host": {
            "machine": "Dell Inc. PowerEdge R640",
            "bios": "2.10.2",
            "kernel": "2.6.32-754.el6.x86_64",
            "load1": 194.2,
            "iowait_percent": 0.0,
            "kipmi": [{"name": "kipmi0", "pid": 412, "cpu_percent": 99.7}],
            "counters": {"ipmi0": [{"seconds": 10.0, "completed": 0, "timeouts": 4, "hosed": 0}] * 3},
            "clients": [
                {
                    "pid": 900 + n,
                    "program": "ipmitool",
                    "subcommand": "sdr list",
                    "age_seconds": 3600.0 * n,
                    "state": "S",
                    "wchan": "do_select",
                }
                for n in range(12)
            ],
            "clients_count": 12,
            "modules": {"ipmi_si": {"refcount": 1, "users": ["ipmi_devintf"]}},
            "holders": [{"pid": 911, "program": "ipmitool", "device": "/dev/ipmi0"}],
            "throttle_us": 0,
            "watchdog_module": True,
        },
    },
}
