"""A host and a BMC that can be made to hang, for the demo and the tests.

with BmcSim() as sim:                  # a BMC alone: LAN side, switches, counters
with Lab(driver="legacy") as lab:      # a booted guest with that BMC behind its KCS interface
    lab.bmc.hang()
"""

from lab.bmc.commands import Received
from lab.bmc.control import Bmc, Status
from lab.errors import LabError
from lab.instance import Lab
from lab.sim import BmcSim, Ran

__all__ = ["Bmc", "BmcSim", "Lab", "LabError", "Ran", "Received", "Status"]
