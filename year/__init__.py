"""A simulated year of a fleet: `make year`. The product's own code in virtual time, in a small made-up world.

Real are the watches' state machines and mass outages, the ledger, begin_heal and its guardrails, diagnosis,
plan, rungs, gates, outcome, tidy, the lock, deeds and budgets: `bmc_healer` as it is. Made up is what they
reach: `world.py` (BMCs, hosts, racks), the datastore's place (`memory.py`), the engine that would run the
workflow (`engine.py`), time (`loop.py`), people and chance (`fate.py`). Sockets, a host's shell and BMC
sessions are replaced where the library reaches for them (`rim.py`), so nothing here tests those.
"""
