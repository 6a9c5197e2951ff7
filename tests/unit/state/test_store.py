"""Closed when blind: whatever is wrong with the datastore is an error, never "nothing is set"."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.errors import StateError
from bmc_healer.state import keys
from bmc_healer.state.documents import Lock, Pause, decode
from bmc_healer.state.store import Store
from bmc_healer.state.views import fleet_view


@pytest.fixture
def store(datastore, clock):
    return Store(datastore, clock)


def test_what_was_written_is_read(store):
    store.write("bmc_healer:h:db1:memory:", {"a": 1})
    store.write("bmc_healer:h:db10:memory:", {"a": 2})
    assert store.read("bmc_healer:h:db1:") == {"bmc_healer:h:db1:memory:": {"a": 1}}


def test_nothing_is_read_by_get_value(store, datastore):
    store.write("bmc_healer:f:x:", {})
    store.read("bmc_healer:f:")
    assert {operation for operation, _ in datastore.operations} == {"set", "list"}


def test_a_datastore_that_is_down(store, datastore):
    datastore.down = True
    with pytest.raises(StateError, match="would not write"):
        store.read("bmc_healer:f:")
    with pytest.raises(StateError, match="would not"):
        store.delete("bmc_healer:f:x:")


class HttpError(Exception):
    """As requests has it: the response is its member."""

    def __init__(self, status):
        super().__init__(f"{status} Client Error: No.\nMESSAGE: No. for url: http://127.0.0.1:9101/v1/keys")
        self.response = SimpleNamespace(status_code=status)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            401,
            "the token any more that it gave this action or sensor. [auth] service_token_ttl must be longer",
        ),
        (
            403,
            "RBAC does not allow it to the user that this runs as. It needs the role admin, as",
        ),
        (500, "HttpError: 500 Client Error: No. MESSAGE: No. for url: http://127.0.0.1:9101/v1/keys."),
    ],
)
def test_what_stackstorm_refuses_says_why_and_what_to_do(store, datastore, status, words):
    def refuse(operation):
        raise HttpError(status)

    datastore.before = refuse
    with pytest.raises(StateError) as refusal:
        store.write("p:a:", {})
    assert refusal.value.sentence.startswith("the datastore would not write p:a:: ")
    assert words in refusal.value.sentence


def test_reads_fail_while_writes_still_work(store, datastore):
    datastore.before = lambda operation: setattr(datastore, "down", operation == "list")
    with pytest.raises(StateError, match="would not read"):
        store.read("bmc_healer:f:")


def test_an_error_after_the_writing_is_none(store, datastore):
    """As StackStorm answers when its message bus is away: 500, and the key is written."""
    datastore.refuse_after_writing = True
    store.write("p:a:", {"x": 1})
    assert store.read("p:") == {"p:a:": {"x": 1}}


def test_an_error_instead_of_the_writing_is_one_though_an_older_value_is_there(store, datastore):
    store.write("p:a:", {"x": 1})
    datastore.refuse_after_writing = datastore.lose_writes = True
    with pytest.raises(StateError, match="would not write"):
        store.write("p:a:", {"x": 2})


@pytest.mark.parametrize("fault", ["lost", "stale", "empty"])
def test_an_answer_without_the_sentinel_is_no_answer(store, datastore, fault):
    store.write("bmc_healer:f:lock:x:", {})
    store.read("bmc_healer:f:")
    datastore.lose_writes = fault == "lost"
    datastore.stale = {"stale": dict(datastore.rows), "empty": {}}.get(fault)
    with pytest.raises(StateError, match="a moment ago"):
        store.read("bmc_healer:f:")


@pytest.mark.parametrize("count", [0, 98, 99, 100, 101, 198, 199, 250])
def test_every_page_is_read(store, count):
    for number in range(count):
        store.write(f"bmc_healer:f:heal:{number:03d}:", {"n": number})
    assert len(store.read("bmc_healer:f:")) == count


def test_a_key_that_vanishes_between_two_pages_hides_no_other(store, datastore):
    for number in range(250):
        store.write(f"bmc_healer:f:heal:{number:03d}:", {"n": number})
    lists = []

    def vanish(operation):
        lists.append(operation) if operation == "list" else None
        if len(lists) == 2 and operation == "list":
            del datastore.rows["bmc_healer:f:heal:005:"]

    datastore.before = vanish
    found = store.read("bmc_healer:f:")
    assert len(found) == 249 and "bmc_healer:f:heal:100:" in found


def test_keys_that_never_stop_changing_are_an_error(store, datastore):
    for number in range(250):
        store.write(f"bmc_healer:f:heal:{number:03d}:", {"n": number})

    def churn(operation):
        if operation == "list":
            datastore.rows.pop(next(iter(datastore.rows)))

    datastore.before = churn
    with pytest.raises(StateError, match="changed under"):
        store.read("bmc_healer:f:")


def test_a_user_whose_prefix_and_limit_are_ignored_still_reads_only_ours(store, datastore):
    """StackStorm with RBAC, user not an administrator: every key he may see, whatever was asked for."""
    for number in range(150):
        datastore.rows[f"other:{number}"] = "no JSON"
    plain = datastore.list_values

    def ignoring(local=True, prefix=None, limit=None, offset=0):
        plain(local=local, prefix=prefix)
        return [type("Row", (), {"name": n, "value": v}) for n, v in datastore.rows.items()]

    datastore.list_values = ignoring
    store.write("bmc_healer:f:x:", {"a": 1})
    assert store.read("bmc_healer:f:") == {"bmc_healer:f:x:": {"a": 1}}


@pytest.mark.parametrize("value", ["", "None", "[1]", '"text"', "{", '{"expires_at": "soon"}'])
def test_garbage_is_an_error_that_names_the_key(store, datastore, value):
    datastore.rows["bmc_healer:f:pause:fleet:"] = value
    with pytest.raises(StateError, match="bmc_healer:f:pause:fleet:"):
        store.read("bmc_healer:f:")


@pytest.mark.parametrize(
    "document",
    [{}, {"target": "fleet"}, {"target": "fleet", "by": "x", "reason": "y", "since": "yesterday"}],
)
def test_a_document_of_another_shape_is_an_error(document):
    with pytest.raises(StateError, match="no Pause"):
        decode(Pause, "bmc_healer:f:pause:fleet:", document)


def test_a_late_ttl_is_of_no_consequence(store, datastore, clock):
    store.write("bmc_healer:f:candidate:x:", {"a": 1}, ttl=62.2)
    assert datastore.ttl["bmc_healer:f:candidate:x:"] == 63
    clock.now += 62
    assert store.read("bmc_healer:f:")
    clock.now += 1
    assert not store.read("bmc_healer:f:")


def test_locks_never_expire(claim, state, clock):
    claim()
    clock.now += 10 * 365 * 86400
    assert len(state.fleet().locks) == 1


def test_deleting_what_is_not_there_is_fine_whatever_the_datastore_answers(store, datastore):
    store.delete("bmc_healer:f:nothing:")
    datastore.delete_value = lambda name, local: False  # packrunner: there was none
    store.delete("bmc_healer:f:nothing:")
    store.write("bmc_healer:f:x:", {})
    with pytest.raises(StateError, match="would not delete"):
        store.delete("bmc_healer:f:x:")


def test_threads_of_one_process_may_read_at_the_same_time(store, datastore):
    together = threading.Barrier(2, timeout=0.2)

    def pace(operation):
        if operation == "list":
            with suppress(threading.BrokenBarrierError):
                together.wait()

    datastore.before = pace
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(store.read, ["bmc_healer:f:"] * 2)) == [{}, {}]


def test_a_prefix_ends_in_a_delimiter(store):
    with pytest.raises(ValueError, match="delimiter"):
        store.read("bmc_healer:h:db1")


@given(st.text(), st.text())
def test_two_names_never_become_one_key_nor_one_the_prefix_of_the_other(one, other):
    first, second = keys.host(one), keys.host(other)
    assert (first == second) == (one.lower() == other.lower())
    assert first == second or not second.startswith(first)
    assert not set(first.removeprefix("bmc_healer:")) & set("/?#% ~")


LEAVES = st.none() | st.integers() | st.text()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_document_crashes_the_reading(value):
    documents = {"bmc_healer:f:lock:x:": value if isinstance(value, dict) else {"id": value}}
    with pytest.raises(StateError):
        fleet_view(json.loads(json.dumps(documents)))


def test_members_of_a_later_version_are_ignored():
    lock = Lock("1", "db01", "i", "", None, ("rack=r1",), "me", 1.0)
    document = {**lock.__dict__, "labels": ["rack=r1"], "colour": "red"}
    assert fleet_view({"bmc_healer:f:lock:i:": document}).locks == (lock,)
