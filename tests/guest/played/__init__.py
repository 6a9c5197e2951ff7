"""A played host: `Lab`'s face without QEMU, for the rows of the fault matrix that need no real kernel.

Real are the BMC (ipmi_sim, over RMCP+ and, with QEMU's protocol, in-band), the SSH server, and of course the
product. Made up is what the host's kernel and its shell answer (`driver.py`, `shell.py`): the driver's rules
are those that docs/kernels.md shows of 6.1, the text is that of `year/host.py`. A stand-in, because most rows
are about the BMC, the login, chat or the ladder, and a guest takes two minutes for what this does in half of
one.
"""
