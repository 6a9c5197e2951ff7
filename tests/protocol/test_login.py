"""How often and how a login is tried, counted on the wire; a mock, since ipmi_sim answers properly."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from misbehaving_bmc import SUITE_3, SUITE_17, MisbehavingBmc, silent_at

from bmc_healer.bmc.facts import Login
from bmc_healer.bmc.session import cold_reset, fru_serial, look
from bmc_healer.config.secrets import BmcLogin
from bmc_healer.errors import BmcError

HERE = "127.0.0.1"
LOGIN = BmcLogin(b"admin", b"secret")
LIMIT = 25.0
OPERATOR_ONLY = {(6, 0x3B): lambda data: (0x81, b"") if data[0] == 4 else (0, data)}


def looked(**misbehaviour):
    limit = misbehaviour.pop("limit", LIMIT)
    with MisbehavingBmc(**misbehaviour) as bmc:
        return look(HERE, bmc.port, LOGIN, limit=limit), bmc.received


@pytest.mark.parametrize(
    ("status", "login"),
    [
        ({"open": 0x01}, Login.FAILED),  # session table full
        ({"rakp2": 0x01}, Login.FAILED),
        ({"rakp2": 0x02}, Login.FAILED),  # pyghmi alone would wait and log in again
        ({"rakp2": 0x09}, Login.PRIVILEGE),  # pyghmi alone would log in again as operator
        ({"rakp2": 0x0A}, Login.PRIVILEGE),
        ({"rakp2": 0x0D}, Login.REFUSED),  # pyghmi alone would log in again as operator
        ({"rakp2": 0x12}, Login.FAILED),
        ({"rakp2": 0xFF}, Login.FAILED),
        ({"rakp4": 0x02}, Login.FAILED),  # pyghmi alone would log in again
        ({"rakp4": 0x0F}, Login.REFUSED),  # pyghmi alone would log in again
    ],
)
def test_a_refusal_is_one_attempt_and_one_sentence(status, login):
    facts, received = looked(status=status)
    assert (facts.alive, facts.login) == (True, login)
    assert facts.error.endswith(".")
    assert received["rakp1"] == (0 if "open" in status else 1)
    assert received["rakp3"] == (1 if "rakp4" in status else 0)


def together(function, *arguments):
    """The results of several calls that mostly wait."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, *arguments))


def test_silence_is_one_attempt():
    attempts = {"open": (0, 0), "rakp1": (1, 0), "rakp3": (1, 1), "6/0x3b": (1, 1)}
    started = time.monotonic()
    looks = together(lambda step: looked(script=silent_at(step)), attempts)
    assert time.monotonic() - started < 18
    for (facts, received), expected in zip(looks, attempts.values(), strict=True):
        assert (facts.alive, facts.login) == (True, Login.FAILED)
        assert (received["rakp1"], received["rakp3"]) == expected


def test_a_slow_bmc_is_logged_in_to_once():
    def slow(step, packet):  # pyghmi alone would log in again after a second
        return [(1.5 if step.startswith("rakp") else 0.0, packet)]

    with MisbehavingBmc(slow) as bmc:
        facts = look(HERE, bmc.port, LOGIN, limit=LIMIT)
        assert facts.login is Login.OK
        assert (bmc.received["rakp1"], bmc.received["rakp3"]) == (1, 1)


def test_an_operator_may_look_but_not_reset():
    facts, _ = looked(answers=OPERATOR_ONLY)
    assert (facts.login, facts.firmware) == (Login.PRIVILEGE, "2.41")
    assert "not as administrator" in facts.error
    with MisbehavingBmc(answers=OPERATOR_ONLY) as bmc:
        answer = cold_reset(HERE, bmc.port, LOGIN, limit=LIMIT, guid=None, may_send=pytest.fail)
        assert (answer.sent, answer.login) == (False, Login.PRIVILEGE)
        assert bmc.received["6/0x02"] == 0


@pytest.mark.parametrize(
    ("limit", "login"),
    [(b"\x3f\x03\x00\x13", Login.PRIVILEGE), (b"\x3f\x03\x00\x14", Login.OK), (b"\x3f", Login.OK)],
)
def test_an_administrator_s_session_of_somebody_who_is_none(limit, login):
    session = bytes.fromhex("013f01030411")
    asked = []

    def access(data):
        asked.append(data)
        return 0, limit

    facts, _ = looked(answers={(6, 0x3D): (0, session), (6, 0x44): access})
    assert (facts.login, facts.firmware, asked) == (login, "2.41", [b"\x01\x03"])


@pytest.mark.parametrize("step", ["6/0x3d", "6/0x44"])
def test_a_bmc_that_does_not_tell_the_privilege_is_believed(step):
    answers = {(6, 0x3D): (0, bytes.fromhex("013f01030411")), (6, 0x44): (0, b"\x3f\x03\x00\x14")}
    facts, _ = looked(script=silent_at(step), answers=answers)
    assert (facts.login, facts.watchdog_running, facts.error) == (Login.OK, False, "")


def test_neither_administrator_nor_operator():
    facts, _ = looked(answers={(6, 0x3B): (0x81, b"")})
    assert facts.login is Login.PRIVILEGE


@pytest.mark.parametrize(("suites", "opened"), [((SUITE_3,), 2), ((SUITE_17,), 1), ((SUITE_3, SUITE_17), 1)])
def test_either_cipher_suite_will_do(suites, opened):
    """A stand-in for ipmi_sim, which knows no suite but 3; pyghmi checks its answers."""
    with MisbehavingBmc(suites=suites) as bmc:
        facts = look(HERE, bmc.port, LOGIN, limit=LIMIT)
        assert (facts.login, facts.firmware, facts.error) == (Login.OK, "2.41", "")
        assert (bmc.received["open"], bmc.received["rakp1"], bmc.received["rakp3"]) == (opened, 1, 1)
        answer = cold_reset(HERE, bmc.port, LOGIN, limit=LIMIT, guid=None, may_send=lambda: None)
        assert (answer.sent, answer.completion_code) == (True, 0)


def test_a_wrong_password_is_one_with_either_cipher_suite():
    for suite in (SUITE_3, SUITE_17):
        with MisbehavingBmc(suites=(suite,)) as bmc:
            facts = look(HERE, bmc.port, BmcLogin(b"admin", b"other"), limit=LIMIT)
            assert facts.login is Login.REFUSED
            assert (bmc.received["rakp1"], bmc.received["rakp3"]) == (1, 0)


def test_a_bmc_with_neither_cipher_suite_is_told_so_and_no_user_named():
    facts, received = looked(suites=())
    assert (facts.alive, facts.login) == (True, Login.FAILED)
    assert "offers neither cipher suite 17 nor 3" in facts.error
    assert (received["open"], received["rakp1"]) == (2, 0)


def test_no_ipmi_2():
    facts, received = looked(capabilities=bytes.fromhex("0104040000000000"))
    assert facts.login is Login.FAILED
    assert "IPMI 2.0" in facts.error
    assert received["rakp1"] == 0


@pytest.mark.parametrize("step", ["open", "rakp1", "rakp3", "6/0x3b", "6/0x01"])
def test_cut_short_anywhere_is_one_sentence(step):
    def cut_to(length):
        return looked(script=lambda at, packet: [(0.0, packet[:length] if at == step else packet)], limit=3.0)

    for facts, received in together(cut_to, [4, 5, 14, 17, 18, 25, -1]):
        assert facts.alive
        assert facts.error.startswith(f"{HERE}:") or facts.login is Login.OK
        assert "\n" not in facts.error
        assert max(received["rakp1"], received["rakp3"]) <= 1


def test_garbage_beside_the_answers_is_one_sentence_or_nothing():
    facts, _ = looked(script=lambda step, packet: [(0.0, b"\x06\x00\xff\x07" + bytes(3)), (0.0, packet)])
    assert "sense" in facts.error or facts.login is Login.OK


def test_one_nonsensical_answer_does_not_hide_the_others():
    facts, _ = looked(answers={(6, 0x01): (0, b""), (6, 0x25): (0xC1, b"")})
    assert (facts.login, facts.firmware, facts.power_on, facts.watchdog_running) == (
        Login.OK,
        None,
        True,
        None,
    )
    assert "Get Device ID" in facts.error


@pytest.mark.parametrize(("code", "login"), [(0xD4, Login.PRIVILEGE), (0xC1, Login.OK), (0xD6, Login.OK)])
def test_the_completion_code_of_the_reset_is_shown(code, login):
    with MisbehavingBmc(answers={(6, 0x02): (code, b"")}) as bmc:
        answer = cold_reset(HERE, bmc.port, LOGIN, limit=LIMIT, guid=None, may_send=lambda: None)
        assert (answer.sent, answer.completion_code, answer.session_dead) == (True, code, False)
        assert f"{code:#x}" in answer.error
        assert answer.login is login
        assert bmc.received["6/0x02"] == 1


def test_a_reset_without_an_answer_is_sent_once():
    with MisbehavingBmc(silent_at("6/0x02")) as bmc:
        answer = cold_reset(HERE, bmc.port, LOGIN, limit=9, guid=None, may_send=lambda: None)
        assert (answer.sent, answer.completion_code, answer.session_dead) == (True, None, False)
        assert bmc.received["6/0x02"] == 1


def test_a_session_that_is_forgotten_without_any_darkness():
    with MisbehavingBmc() as bmc:

        def forget(step, packet):
            bmc.forgetful = step == "6/0x02" or bmc.forgetful
            return [(0.0, packet)]

        bmc.script = forget
        assert cold_reset(HERE, bmc.port, LOGIN, limit=LIMIT, guid=None, may_send=lambda: None).session_dead


def test_loss_does_not_look_like_a_forgotten_session():
    every_third = iter(range(10**6))
    with MisbehavingBmc(lambda step, packet: [(0.0, packet)]) as bmc:

        def lose(step, packet):
            lost = step == "6/0x01" and next(every_third) % 3
            return [] if lost else [(0.0, packet)]

        bmc.script = lose
        answer = cold_reset(HERE, bmc.port, LOGIN, limit=12, guid=None, may_send=lambda: None)
        assert (answer.completion_code, answer.session_dead) == (0, False)


def fru(product_serial, chassis_serial=b""):
    """FRU 0 with a chassis and a product area, as the FRU specification lays them out."""

    def area(*fields, head=b""):
        body = (
            b"\x01\x00" + head + b"".join(bytes((0xC0 | len(field),)) + field for field in fields) + b"\xc1"
        )
        body += bytes(-(len(body) + 1) % 8)
        body = body[:1] + bytes(((len(body) + 1) // 8,)) + body[2:]
        return body + bytes((-sum(body) & 255,))

    chassis = area(b"part", chassis_serial, head=b"\x17")
    product = area(b"maker", b"name", b"model", b"1.0", product_serial, b"", b"", head=b"\x00")
    header = bytes((1, 0, 1, 0, 1 + len(chassis) // 8, 0, 0))
    return header + bytes((-sum(header) & 255,)) + chassis + product


@pytest.mark.parametrize(
    ("data", "serial"),
    [
        (fru(b"CZ3012ABCD", b"CH1"), "CZ3012ABCD"),
        (fru(b"", b"CHASSIS1"), "CHASSIS1"),
        (fru(b"", b""), None),
    ],
)
def test_the_serial_number(data, serial):
    answers = {
        (10, 0x10): (0, len(data).to_bytes(2, "little") + b"\x00"),
        (10, 0x11): lambda asked: (
            0,
            bytes((len(data[asked[1] : asked[1] + asked[3]]),)) + data[asked[1] : asked[1] + asked[3]],
        ),
    }
    with MisbehavingBmc(answers=answers) as bmc:
        assert fru_serial(HERE, bmc.port, LOGIN, limit=LIMIT) == serial


@pytest.mark.parametrize("data", [b"\x01" * 8, b"\x01\x00\xff\x00\xff\x00\x00\x01"])
def test_a_nonsensical_fru_is_one_sentence(data):
    answers = {(10, 0x10): (0, b"\x08\x00\x00"), (10, 0x11): (0, b"\x08" + data)}
    with MisbehavingBmc(answers=answers) as bmc, pytest.raises(BmcError, match="sense"):
        fru_serial(HERE, bmc.port, LOGIN, limit=LIMIT)


def test_ipv6():
    with MisbehavingBmc(host="::1") as bmc:
        assert look("::1", bmc.port, LOGIN, limit=LIMIT).login is Login.OK
        bmc.script = silent_at("caps")
        assert f"[::1]:{bmc.port}: " in look("::1", bmc.port, LOGIN, limit=1.0).error
