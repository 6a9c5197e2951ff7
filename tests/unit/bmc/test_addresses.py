from bmc_healer.bmc import addresses
from bmc_healer.bmc.addresses import KEEP_SECONDS, Addresses
from bmc_healer.config.settings import BmcSettings, HostSettings
from bmc_healer.errors import BmcError


def host(name, address):
    return HostSettings(name, name, "none", bmc=BmcSettings(address, credential="dell"))


class NameServer:
    def __init__(self, monkeypatch):
        self.asked = []
        self.knows = {}
        monkeypatch.setattr(addresses, "resolve", self.resolve)

    def resolve(self, name):
        self.asked.append(name)
        if name not in self.knows:
            raise BmcError("the BMC's name cannot be resolved", name)
        return self.knows[name]


def test_only_names_are_looked_up_and_only_once_in_a_while(monkeypatch):
    names, now, told = NameServer(monkeypatch), [1000.0], []
    names.knows["db02-bmc"] = "10.1.0.6"
    seen = Addresses(told.append, lambda: now[0])
    fleet = [host("db01", "10.1.0.5"), host("db02", "db02-bmc"), host("db03", "2001:db8::5")]
    peers = {"db01": ("10.1.0.5", 623), "db02": ("10.1.0.6", 623), "db03": ("2001:db8::5", 623)}
    assert [seen.peers(fleet) for _ in range(2)] == [peers] * 2
    assert names.asked == ["db02-bmc"]
    now[0] += KEEP_SECONDS
    del names.knows["db02-bmc"]  # the name server is down: the last address holds
    assert seen.peers(fleet) == peers
    assert (names.asked, told) == (["db02-bmc"] * 2, [])


def test_a_name_that_never_resolved_is_told_and_left_out(monkeypatch):
    NameServer(monkeypatch)
    told = []
    assert Addresses(told.append, lambda: 0.0).peers([host("db01", "db01-bmc")]) == {}
    assert "db01-bmc" in told[0]
