"""The deeds on a host: one module per rung, each answering with a RungOutcome."""
