"""The configuration as typed, frozen data: what `config.load` returns and everything else reads.

Durations are seconds, CPU is percent of one core, unless a name says otherwise. Defaults live here
alone; `config.schema.yaml` repeats none of them (StackStorm would make up objects from nested defaults).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

Transport = Literal["ssh", "local", "none"]
Identity = Literal["verify", "trust"]


class Mode(str, Enum):
    """How much the pack may do by itself; ordered from the most careful to the least."""

    OBSERVE = "observe"
    PROPOSE = "propose"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)  # slots: there are tens of thousands of hosts
class SshSettings:
    """How to log in to a host. `known_hosts` None means the user's own `~/.ssh/known_hosts`."""

    port: int = 22
    user: str = "root"
    key_file: str | None = None
    known_hosts: str | None = None
    connect_timeout: float = 10.0


@dataclass(frozen=True)
class RedfishSettings:
    """Manager.Reset as the way in when lanplus is dead and the BMC has Redfish."""

    url: str
    manager: str | None = None
    verify: bool | str = True


@dataclass(frozen=True, slots=True)
class BmcSettings:
    """The BMC's LAN side. `address` is an IPv4 or IPv6 address or a name, unique in the fleet."""

    address: str
    port: int = 623
    credential: str | None = None
    identity: Identity = "verify"
    redfish: RedfishSettings | None = None


@dataclass(frozen=True, slots=True)
class HostSettings:
    """One watched machine. `name` is lower case; `address` is where SSH goes (`name` when not given)."""

    name: str
    address: str
    transport: Transport
    ssh: SshSettings = SshSettings()
    bmc: BmcSettings | None = None
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def label_keys(self) -> tuple[str, ...]:
        """Labels as `key=value` strings, sorted: the form used in pauses, budgets and modes."""
        return tuple(sorted(f"{key}={value}" for key, value in self.labels.items()))


@dataclass(frozen=True)
class Credential:
    """Where a BMC login comes from; exactly one of the three password fields is set.

    `password` (plain) is accepted from a runner's own 0600 file only, never from a StackStorm configuration.
    """

    username: str
    password_key: str | None = None
    password_file: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class NotifyTarget:
    """Where chat is: an Apprise URL from a datastore key, a file, or (plain, 0600 files only) `url`."""

    url_key: str | None = None
    url_file: str | None = None
    url: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class WatchSettings:
    """The marks of the sensors. Sources: KERNELS (measured per kernel) and the field's runbook."""

    kipmi_cpu_high: float = 90.0  # kernels up to 5.3 and the legacy driver: 87-100 % when hung
    kipmi_cpu_low: float = (
        10.0  # 5.4 and later: 10-22 % when hung; counts only with stuck counters or clients
    )
    sustained_seconds: float = 60.0
    ipmitool_limit: int = 10  # field rule: at this many clients no new IPMI command is started
    hung_client_seconds: float = 60.0
    counter_window_seconds: float = 10.0
    stuck_windows: int = 3
    poll_seconds: float = 30.0
    bmc_poll_seconds: float = 60.0
    bmc_failures: int = 3  # sweeps in a row without an answer before a BMC is a suspect
    recover_polls: int = 2  # good polls in a row before an incident is over
    probe_seconds: float = 3600.0  # the one rare in-band probe per host when nobody asks; 0 switches it off
    repeat_seconds: float = 600.0  # a trigger is repeated until begin_heal acknowledged it
    overdue_seconds: float = 120.0  # a heal without heartbeat for this long is overdue
    mass_outage_share: float = 0.3  # of a label or the fleet ...
    mass_outage_hosts: int = 5  # ... and at least this many
    mass_outage_window_seconds: float = 300.0


@dataclass(frozen=True)
class GuardrailSettings:
    """What may be done how often; each refusal names the setting and its value."""

    cooldown_seconds: float = 3600.0  # per host, after a heal that did something
    heals_per_host_per_day: int = 3
    concurrent_fleet: int = 3
    concurrent_label: int = 1
    heals_per_hour_fleet: int = 10
    heals_per_hour_label: int = 3
    sample_hosts: int = 20  # BMCs of the fleet swept before the first reset, beside the host's labels
    clock_skew_seconds: float = 30.0
    settle_seconds: float = 2.0  # between writing a candidate key and reading who else did
    hang_proof_seconds: float = 1800.0  # SAFETY 2: host unreachable over SSH needs a hang proven within this
    booting_seconds: float = 600.0  # SAFETY 2: a BMC dark this recently is booting, not hung
    proposal_seconds: float = 1800.0  # SAFETY 12: the command that propose prints is good for this long
    oob_dead_resets: bool = False  # SAFETY 2: in-band fine and LAN dead may be reset in-band without a person


@dataclass(frozen=True)
class LadderSettings:
    """Time limits of the rungs and gates."""

    inband_when_stuck: Literal["try", "skip"] = "try"
    inband_limit: float = 75.0  # ipmitool's own retries end after 45-60 s (measured)
    probe_limit: float = 75.0
    rmmod_limit: float = 10.0  # measured: 0.3-1.4 s where it works; longer is stuck in D
    modprobe_limit: float = 240.0  # on a dead BMC modprobe takes up to 134 s, on a busy host 189 s (measured)
    hotmod_limit: float = 1800.0  # a write to hotmod: 8 to 30 minutes on old kernels (RUNBOOK 3)
    dark_wait: float = 30.0  # after an accepted reset a BMC has gone dark within this, or did not reset
    back_wait: float = 600.0  # time a BMC may take to return
    steady_answers: int = 3  # good answers in a row: half-dead BMCs answer once
    steady_interval: float = 2.0
    session_limit: float = 40.0  # one out-of-band operation, pyghmi in a child process


@dataclass(frozen=True)
class Config:
    """A whole configuration; hosts are found through `config.inventory`, since there may be thousands."""

    mode: Mode
    hosts: dict[str, HostSettings] = field(default_factory=dict)
    inventory: str | None = None
    credentials: dict[str, Credential] = field(default_factory=dict)
    mode_by_label: dict[str, Mode] = field(default_factory=dict)
    watch: WatchSettings = WatchSettings()
    guardrails: GuardrailSettings = GuardrailSettings()
    ladder: LadderSettings = LadderSettings()
    notify: tuple[NotifyTarget, ...] = ()
    defaults: dict[str, Any] = field(
        default_factory=dict
    )  # under each host of the inventory too; merged in `hosts`

    def mode_for(self, host: HostSettings) -> Mode:
        """The strictest of the fleet's mode and those of the host's labels."""
        modes = [self.mode, *(self.mode_by_label[k] for k in host.label_keys if k in self.mode_by_label)]
        return min(modes, key=list(Mode).index)
