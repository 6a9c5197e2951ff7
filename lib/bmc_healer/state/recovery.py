"""The key under which a sensor tells that an incident is over.

It is another one than the incident's: who took the incident up has not heard yet that it is over.
"""

from __future__ import annotations

_OVER = ":recovered"


def recovery_key(incident_key: str) -> str:
    """Under which the recovery from an incident is told and acknowledged."""
    return f"{incident_key}{_OVER}"


def incident_key(key: str) -> str:
    """The incident that a key is about, whether it tells of its beginning or of its end."""
    return key.removesuffix(_OVER)
