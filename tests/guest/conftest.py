"""A booted guest per driver and worker, brought back to healthy after each test; the product beside it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from tests.guest.chat import Chat
from tests.guest.healer import Healer
from tests.guest.matrix.row import Row, rows
from tests.guest.played.lab import PlayedLab

SECONDS = 900  # of a test; the longest take 300 s on two idle cores, and CI's may not be idle


@pytest.fixture(scope="session")
def booted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Lab]]:
    """The guest of a driver (and kernel, ...), booted when first asked for; all end with the run."""
    kind = PlayedLab if request.config.getoption("--played") else Lab
    labs: dict[tuple[tuple[str, Any], ...], Lab] = {}
    with ExitStack() as stack:

        def of(driver: str, **made_of: Any) -> Lab:
            key = (("driver", driver), *sorted(made_of.items()))
            if key not in labs:
                run_dir = tmp_path_factory.mktemp(driver)
                labs[key] = stack.enter_context(kind(driver=driver, name=driver, run_dir=run_dir, **made_of))
            return labs[key]

        yield of


@pytest.fixture
def lab(request: pytest.FixtureRequest, booted: Callable[..., Lab]) -> Iterator[Lab]:
    """A healthy guest with nothing counted by its BMC; the legacy driver's unless the test says

    `@pytest.mark.parametrize("lab", ["legacy", "stock"], indirect=True)`, or in place of the name what `Lab`
    takes: `{"driver": "stock", "kernel": "7.2"}`.
    """
    asked = getattr(request, "param", "legacy")
    of = booted(**asked) if isinstance(asked, dict) else booted(asked)
    yield of
    of.restore()


@pytest.fixture
def stock(booted: Callable[..., Lab]) -> Iterator[Lab]:
    """A healthy guest with Debian's own driver."""
    of = booted("stock")
    of.bmc.reset_seconds(3)
    yield of
    of.restore()


@pytest.fixture
def irq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A guest whose KCS interface has an interrupt: no kipmi thread at all."""
    run_dir = tmp_path_factory.mktemp("irq")
    with Lab(driver="stock", irq=5, name="irq", reset_seconds=3, run_dir=run_dir) as lab:
        yield lab


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A chat endpoint; it hears nothing before a test names it in `notify`."""
    with Chat() as chat:
        yield chat


@pytest.fixture
def healer(stock: Lab, tmp_path: Path) -> Iterator[Healer]:
    """The product, configured for the stock guest."""
    healer = Healer(stock, tmp_path)
    yield healer
    healer.close()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks: those of the matrix, and a time limit, since a test may hold several heals.

    A hung legacy guest spins a core: one worker alone has such guests.
    """
    proofs = {row.proof: row for row in rows()}
    for item in items:
        item.add_marker(pytest.mark.timeout(SECONDS))
        row = proofs.get(item.nodeid) or proofs.get(item.nodeid.partition("[")[0])
        if row is not None:
            mark(item, row)
        fixtures = getattr(item, "fixturenames", ())
        callspec = getattr(item, "callspec", None)
        asked = callspec.params.get("lab", "legacy") if callspec is not None else "legacy"
        if "lab" in fixtures and "legacy" in (asked, *(asked.values() if isinstance(asked, dict) else ())):
            item.add_marker(pytest.mark.xdist_group("legacy"))


def mark(item: pytest.Item, row: Row) -> None:
    """Where the row is played besides make matrix."""
    if not row.everyday:
        item.add_marker(pytest.mark.matrix)
    if row.played:
        item.add_marker(pytest.mark.played)
