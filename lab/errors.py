"""The lab's one error."""


class LabError(Exception):
    """Something the lab needs is missing or did not happen; the text says what, where and what to do."""
