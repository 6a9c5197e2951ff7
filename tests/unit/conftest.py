"""What most rooms of the library are given in tests: a clock and a datastore."""

import pytest

from tests.unit.clock import Clock
from tests.unit.state.fake_datastore import FakeDatastore


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def datastore():
    return FakeDatastore()
