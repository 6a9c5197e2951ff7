"""Secrets come from where the configuration says, or with a sentence not at all."""

import pytest

from bmc_healer.config.load import from_dict
from bmc_healer.config.secrets import BmcLogin, bmc_login, notify_urls, read_notify_urls
from bmc_healer.errors import ConfigError


class Datastore:
    """The one call that is used, strict in how it must be made (a dictionary stands in for a server)."""

    def __init__(self, **values):
        self.values = values

    def get_value(self, name, local=True, *, decrypt=False):
        assert (local, decrypt) == (False, True)
        return self.values.get(name)


def config(credential=None, notify=()):
    data = {"mode": "auto", "notify": list(notify)}
    if credential:
        data["credentials"] = {"dell": {"username": "admin", **credential}}
    return from_dict(data, origin="x", plain_secrets=True)


def test_password_from_the_datastore():
    login = bmc_login(config({"password_key": "bmc_dell"}), "dell", Datastore(bmc_dell="hunter2"))
    assert login == BmcLogin(b"admin", b"hunter2")
    assert "hunter2" not in f"{login!r} {login}"


def test_a_key_without_a_value():
    with pytest.raises(ConfigError, match="no value for the key 'bmc_dell'") as caught:
        bmc_login(config({"password_key": "bmc_dell"}), "dell", Datastore())
    assert caught.value.where == "credentials.dell.password_key"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_password_from_a_file_without_its_line_end(tmp_path, end):
    path = tmp_path / "dell"
    path.write_bytes(b" hunter2 \xe9" + end)
    path.chmod(0o600)
    assert bmc_login(config({"password_file": str(path)}), "dell", Datastore()).password == b" hunter2 \xe9"


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [(b"hunter2\n", 0o640, "0640"), (b"\n", 0o600, "empty"), (b"hunter2\nsecond\n", 0o600, "one line")],
)
def test_password_files_that_are_not_used(tmp_path, content, mode, reason):
    path = tmp_path / "dell"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=reason) as caught:
        bmc_login(config({"password_file": str(path)}), "dell", Datastore())
    assert str(path) in caught.value.where
    assert "hunter2" not in str(caught.value)


def test_unknown_credential():
    with pytest.raises(ConfigError, match="'hp' is not defined"):
        bmc_login(config(), "hp", Datastore())


def test_urls_and_the_one_that_cannot_be_read(tmp_path):
    path = tmp_path / "chat"
    path.write_text("slack://token\n")
    path.chmod(0o600)
    targets = [{"url_key": "chat"}, {"url_file": str(path)}, {"url_key": "gone"}, {"url": "json://127.0.0.1"}]
    found = read_notify_urls(config(notify=targets), Datastore(chat="dingtalk://token"))
    assert found.urls == ("dingtalk://token", "slack://token", "json://127.0.0.1")
    assert len(found.problems) == 1
    assert found.problems[0].startswith("notify.2.url_key")
    assert "token" not in repr(found)
    with pytest.raises(ConfigError, match="'gone'"):
        notify_urls(config(notify=targets), Datastore(chat="x://y"))
