"""A running StackStorm, named by ST2_API_URL, with the pack installed; the lab's BMC and guest beside it.

Nothing is skipped: without a StackStorm the run ends at once, and says so. StackStorm's action runners and
sensors must run on this machine, since the lab's host and BMC are on its loopback.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from lab import BmcSim, Lab
from tests.guest.chat import Chat
from tests.stackstorm.api import Api, ApiError, until
from tests.stackstorm.dying import API_SECONDS, Aftermath
from tests.stackstorm.product import PACK, Product
from tests.stackstorm.services import Services

SECONDS = 900


def pytest_sessionstart(session: pytest.Session) -> None:
    """Fail before the first test when there is nothing to test."""
    url = os.environ.get("ST2_API_URL", "")
    if not url:
        pytest.exit("ST2_API_URL names no StackStorm: these tests need a running one (docs/stackstorm.md)", 2)
    try:
        Api(url).call("GET", f"/packs/{PACK}")
    except requests.RequestException as error:
        pytest.exit(f"no StackStorm answers at {url} ({type(error).__name__})", 2)
    except ApiError as error:
        why = f"the pack {PACK} is not installed there" if error.status == 404 else str(error)
        pytest.exit(f"StackStorm at {url}: {why}", 2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test may hold several heals, on a machine that also runs StackStorm and a guest."""
    for item in items:
        item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def api() -> Api:
    """The StackStorm under test."""
    return Api(os.environ["ST2_API_URL"])


@pytest.fixture(scope="session")
def services() -> Services:
    """StackStorm's processes; only where ST2_LAB_STATE names the directory with their pid files."""
    state = os.environ.get("ST2_LAB_STATE", "")
    assert state, "ST2_LAB_STATE is not set: this test kills StackStorm's services and needs their pid files"
    return Services(Path(state))


@pytest.fixture(scope="session")
def token_seconds() -> float:
    """What `[auth] service_token_ttl` is set to there, which StackStorm's API does not tell."""
    told = os.environ.get("ST2_TOKEN_SECONDS", "")
    assert told, "ST2_TOKEN_SECONDS does not say how long the tokens of services live (docs/stackstorm.md)"
    return float(told)


@pytest.fixture
def running(api: Api, services: Services) -> Iterator[Services]:
    """All services, also afterwards."""
    services.start()
    yield services
    services.start()
    until(api.answers, API_SECONDS, "StackStorm's API")


@pytest.fixture
def aftermath(
    product: Product, running: Services, record_property: Callable[[str, object], None]
) -> Iterator[Callable[[], Aftermath]]:
    """What comes after the moment of its call; its times are kept for the report."""
    opened: list[Aftermath] = []

    def now() -> Aftermath:
        opened.append(Aftermath(product, running))
        return opened[-1]

    yield now
    for after in opened:
        record_property("seconds", after.seconds)
        print(f"\n{after.seconds}")


@pytest.fixture
def product(api: Api) -> Iterator[Product]:
    """The pack with its sensors off and an empty datastore."""
    product = Product(api)
    product.sensors(on=False)
    product.forget()
    yield product
    product.sensors(on=False)
    product.free()


@pytest.fixture
def sim() -> Iterator[BmcSim]:
    """A BMC alone, that is back 3 s after a reset."""
    with BmcSim(reset_seconds=3) as sim:
        yield sim


@pytest.fixture(scope="session")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Lab]]:
    """The guest of a driver, booted when first asked for; all end with the run."""
    labs: dict[str, Lab] = {}
    with ExitStack() as stack:

        def of(driver: str) -> Lab:
            if driver not in labs:
                run_dir = tmp_path_factory.mktemp(driver)
                labs[driver] = stack.enter_context(Lab(driver=driver, name="labhost", run_dir=run_dir))
            return labs[driver]

        yield of


@pytest.fixture
def lab(booted: Callable[[str], Lab]) -> Iterator[Lab]:
    """A healthy guest with Debian's own driver."""
    of = booted("stock")
    of.bmc.reset_seconds(3)
    yield of
    of.restore()


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A chat endpoint."""
    with Chat() as chat:
        yield chat
