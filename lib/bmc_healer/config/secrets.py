"""Secrets, read from datastore or file by the action that needs them, at the moment it needs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from bmc_healer.config import private
from bmc_healer.config.names import printable
from bmc_healer.config.settings import Config, NotifyTarget
from bmc_healer.errors import ConfigError, HealerError


class SecretStore(Protocol):
    """The one call of StackStorm's (and packrunner's) datastore that gives a secret."""

    def get_value(self, name: str, local: bool = True, *, decrypt: bool = False) -> str | None:
        """The value, or None: also when the datastore cannot be reached."""
        ...


@dataclass(frozen=True)
class BmcLogin:
    """User and password as bytes (with str pyghmi breaks); repr and str never show the password."""

    username: bytes
    password: bytes = field(repr=False)


@dataclass(frozen=True)
class NotifyUrls:
    """Apprise URLs that could be read, and a sentence for each target whose URL could not."""

    urls: tuple[str, ...] = field(repr=False)
    problems: tuple[str, ...] = ()


def bmc_login(config: Config, credential_name: str, datastore: SecretStore) -> BmcLogin:
    """:raises ConfigError: the credential is not defined, or its password cannot be had"""
    at = f"credentials.{credential_name}"
    credential = config.credentials.get(credential_name)
    if credential is None:
        raise ConfigError(f"the credential {printable(credential_name)} is not defined", at)
    secret = _secret(
        credential.password, credential.password_file, credential.password_key, datastore, at, "password"
    )
    return BmcLogin(credential.username.encode(), secret)


def read_notify_urls(config: Config, datastore: SecretStore) -> NotifyUrls:
    """All URLs that can be read: one target without its URL does not silence the others."""
    urls, problems = [], []
    for number, target in enumerate(config.notify):
        try:
            urls.append(_url(target, datastore, f"notify.{number}"))
        except HealerError as error:
            problems.append(error.sentence)
    return NotifyUrls(tuple(urls), tuple(problems))


def notify_urls(config: Config, datastore: SecretStore) -> tuple[str, ...]:
    """:raises ConfigError: any of the URLs cannot be read"""
    return tuple(_url(target, datastore, f"notify.{i}") for i, target in enumerate(config.notify))


def _url(target: NotifyTarget, datastore: SecretStore, at: str) -> str:
    secret = _secret(target.url, target.url_file, target.url_key, datastore, at, "url")
    try:
        return secret.decode().strip()
    except UnicodeDecodeError:
        raise ConfigError("the URL is not UTF-8 text", at) from None


def _secret(
    plain: str | None, file: str | None, key: str | None, datastore: SecretStore, at: str, kind: str
) -> bytes:
    if plain:
        return plain.encode()
    if file:
        return private.read_secret(file, f"{at}.{kind}_file")
    value = datastore.get_value(key or "", local=False, decrypt=True)
    if not value:
        what = f"the datastore gives no value for the key {printable(key)}"
        do = f"st2 key set {key} --encrypt ..., or see whether the datastore can be reached"
        raise ConfigError(what, f"{at}.{kind}_key", do)
    return value.encode()
