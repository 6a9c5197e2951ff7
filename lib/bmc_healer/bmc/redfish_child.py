"""One Redfish operation in a process of its own: `python -m bmc_healer.bmc.redfish_child`.

In a process because a BMC that drips its answer byte by byte gets past every timeout of an HTTP library. The
protocol with the parent is that of `link`. The credential is sent to the configured server only: no proxy, no
redirect, no address that the BMC gives.
"""

from __future__ import annotations

import time
from urllib.parse import quote

import requests

from bmc_healer.bmc.facts import Login
from bmc_healer.bmc.link import Event, Link, serve
from bmc_healer.errors import BmcError

_ROOT = "/redfish/v1"
_FINISHED = frozenset(("Completed", "Killed", "Exception", "Cancelled"))  # TaskState, DMTF DSP2046
# Status.State of the manager (DMTF Resource), as Get Device ID's "device available"; any other: not known
_AVAILABLE = {"Enabled": True, "Degraded": True, "Starting": False, "InTest": False, "Updating": False}
_RESETS = ("ForceRestart", "GracefulRestart")  # ResetType, in the order of preference: the BMC hangs
_HTTP_SECONDS = 15.0  # without a byte
_LONGEST = 300  # characters of what the BMC says that go on


class LoginError(Exception):
    """The BMC refuses the credential or what it may do."""

    def __init__(self, login: Login, status: int, sentence: str) -> None:
        self.login = login
        self.status = status
        super().__init__(f"{sentence} (HTTP {status})")


class Service:
    """The Redfish service of one BMC."""

    def __init__(self, link: Link) -> None:
        request = link.request
        self._base = request["url"].rstrip("/")
        self._deadline = link.deadline
        self._http = requests.Session()
        self._http.trust_env = False  # neither a proxy nor ~/.netrc
        self._http.verify = request["verify"]
        # bytes, since str would be sent as Latin-1; requests takes both, its type stub only str
        self._http.auth = (bytes.fromhex(request["user"]), bytes.fromhex(request["password"]))  # type: ignore[assignment]

    def call(self, method: str, path: str, body: Event | None = None) -> requests.Response:
        """The answer, whatever its status but 401 and 403.

        :raises LoginError: for those two: nothing more is sent then, repeated logins lock accounts
        :raises BmcError: when `path`, which the BMC gave, leads elsewhere
        """
        if not path.startswith("/") or path.startswith("//"):
            raise BmcError("the BMC's Redfish links lead to another server")
        limit = max(0.1, min(_HTTP_SECONDS, self._deadline - time.monotonic()))
        answer = self._http.request(
            method, self._base + path, json=body, timeout=limit, allow_redirects=False
        )
        if answer.status_code == 401:
            raise LoginError(Login.REFUSED, 401, "Redfish refuses the login")
        if answer.status_code == 403:
            raise LoginError(Login.PRIVILEGE, 403, "Redfish does not allow the user this")
        return answer

    def get(self, path: str) -> Event:
        """A resource.

        :raises BmcError: when there is none
        """
        answer = self.call("GET", path)
        resource = answer.json() if answer.ok else None
        if not isinstance(resource, dict):
            raise BmcError(f"Redfish gives no {path} (HTTP {answer.status_code})")
        return resource

    def manager(self, name: str | None) -> Event:
        """The BMC itself: the manager of that name, or else the only one.

        :raises BmcError: when it is not clear which one it is
        """
        if name:
            return self.get(f"{_ROOT}/Managers/{quote(name, safe='')}")
        members = self.get(f"{_ROOT}/Managers")["Members"]
        if len(members) != 1:
            names = ", ".join(member["@odata.id"].rsplit("/", 1)[-1] for member in members)
            raise BmcError(f"Redfish has {len(members)} managers ({names}): redfish.manager must say which")
        return self.get(members[0]["@odata.id"])


def _printable(text: object) -> str | None:
    """A BMC's own words are shown to people, and kept."""
    return "".join(char for char in text if char.isprintable())[:64] if isinstance(text, str) else None


def look(service: Service, link: Link, found: Event) -> None:
    """The facts that identity and gates need, from the manager and the one system that it manages."""
    manager = service.manager(link.request["manager"])
    found["firmware"] = _printable(manager.get("FirmwareVersion"))
    found["device_available"] = _AVAILABLE.get(manager.get("Status", {}).get("State"))
    servers = manager.get("Links", {}).get("ManagerForServers", [])
    if len(servers) == 1:
        system = service.get(servers[0]["@odata.id"])
        found["guid"] = (system.get("UUID") or "").replace("-", "").lower() or None
        found["power_on"] = {"On": True, "Off": False}.get(system.get("PowerState", ""))


def task_running(service: Service, link: Link, found: Event) -> None:
    """Whether any task is not finished: a firmware update is one."""
    answer = service.call("GET", f"{_ROOT}/TaskService/Tasks")
    members = [] if answer.status_code == 404 else answer.json()["Members"]
    found["running"] = any(
        service.get(member["@odata.id"]).get("TaskState") not in _FINISHED for member in members
    )


def manager_reset(service: Service, link: Link, found: Event) -> None:
    """Manager.Reset, sent once."""
    action = service.manager(link.request["manager"])["Actions"]["#Manager.Reset"]
    allowed = action.get("ResetType@Redfish.AllowableValues") or _RESETS
    kind = next((kind for kind in _RESETS if kind in allowed), None)
    if kind is None:
        raise BmcError(f"the BMC's Manager.Reset allows only {', '.join(map(str, allowed))}")
    link.say("ready")
    if link.told_to_go():
        answer = service.call("POST", action["target"], {"ResetType": kind})
        found["code"] = 0 if answer.ok else answer.status_code
        if not answer.ok:
            found["error"] = f"Redfish refuses Manager.Reset (HTTP {answer.status_code})"


OPERATIONS = {"look": look, "task_running": task_running, "manager_reset": manager_reset}


def perform(link: Link) -> Event:
    """Operate on the BMC of the link's request."""
    return operate(Service(link), link)


def operate(service: Service, link: Link) -> Event:
    """Operate; every way in which a BMC misbehaves becomes one sentence."""
    found: Event = {"login": Login.FAILED.value, "error": ""}
    try:
        OPERATIONS[link.request["operation"]](service, link, found)
        found["login"] = Login.OK.value
    except LoginError as error:
        found |= {"login": error.login.value, "error": str(error), "code": error.status}
    except BmcError as error:
        found |= {"login": Login.OK.value, "error": error.what[:_LONGEST]}
    except requests.exceptions.SSLError:
        found["error"] = "the certificate of its Redfish is not trusted (bmc.redfish.verify may name a file)"
    except requests.RequestException as error:
        found["error"] = f"Redfish does not answer properly ({type(error).__name__})"
    except Exception as error:  # noqa: BLE001 - KeyError, TypeError...: any JSON may come
        found["error"] = f"the BMC's Redfish answers make no sense ({type(error).__name__})"
    return found


if __name__ == "__main__":
    serve(perform)
