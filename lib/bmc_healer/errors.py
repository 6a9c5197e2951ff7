"""The one base error of the library: every error is a sentence for an operator."""

from __future__ import annotations


class HealerError(Exception):
    """What went wrong, where, and what to do about it.

    :param what: the fault, e.g. ``"SSH was refused"``; no secret may be in it
    :param where: host, file or BMC it happened at, e.g. ``"db01 (10.0.0.5:22)"``
    :param do: what the operator can do, as an imperative
    """

    def __init__(self, what: str, where: str = "", do: str = "") -> None:
        self.what = what
        self.where = where
        self.do = do
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """One line: ``where: what. do.``"""
        head = f"{self.where}: {self.what}" if self.where else self.what
        do = f" {self.do.rstrip('.')}{'' if self.do.endswith('?') else '.'}" if self.do else ""
        return f"{head.rstrip('.')}{'' if head.endswith('?') else '.'}{do}"


class ConfigError(HealerError):
    """The configuration or the inventory is not usable; nothing was changed."""


class UnknownHostError(HealerError):
    """The host is not in the configuration or the inventory, or its name is malformed.

    :param unnamed: the same without the name that was given. An engine may have evaluated that text as a
        template before it came here, so that chat must not be shown it: it could be a secret's value.
    """

    def __init__(self, what: str, where: str = "", do: str = "", *, unnamed: str = "") -> None:
        super().__init__(what, where, do)
        self.unnamed = unnamed or "There is no such host in the configuration."


class HostAccessError(HealerError):
    """The host could not be reached or would not let us in (SSH refused, host key, sudo)."""


class HostKeyError(HostAccessError):
    """No SSH key is known of the host, or it shows another one: it may be another machine."""


class HostLoginError(HostAccessError):
    """The host is the right one by its key, and refuses the login."""


class BmcError(HealerError):
    """The BMC could not be asked: no answer, garbage, a completion code that is not 0."""


class BmcLoginError(BmcError):
    """The BMC refused the credential: never tried again by itself, repeated logins lock accounts."""


class StateError(HealerError):
    """The datastore could not be read or written reliably; without state there is no deed."""
