"""`bmc-healer demo`: hands over to the checkout's demo, which is stood in for here: a guest takes minutes."""

import subprocess
import sys

import pytest

from bmc_healer_cli import places
from tests.cli.conftest import LAUNCHER

STANDIN = """
import os, sys
print(*sys.argv[1:], os.isatty(0), os.path.basename(os.getcwd()))
sys.exit(4)
"""


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    for room in ("demo", "lab"):
        (folder / room).mkdir(parents=True)
        (folder / room / "__init__.py").touch()  # or the real one, where it is installed, goes before it
        (folder / room / "__main__.py").write_text(STANDIN)
    return folder


@pytest.mark.parametrize(
    ("given", "driver"),
    [([], "legacy"), (["--driver", "stock"], "stock"), (["--driver", "legacy"], "legacy")],
)
def test_it_is_the_checkout_s_own_demo_with_its_exit_status(checkout, given, driver):
    command = [sys.executable, "-c", LAUNCHER, str(checkout), "demo", *given]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (4, "")
    assert done.stdout == f"--driver {driver} False checkout\n"


def test_an_unknown_driver_is_a_mistake(cli):
    status, _, err = cli("demo", "--driver", "new")
    assert status == 2 and "legacy" in err


@pytest.mark.parametrize("missing", ["lab", "demo"])
def test_without_a_checkout_it_says_so(checkout, monkeypatch, cli, missing):
    (checkout / missing / "__main__.py").unlink()
    monkeypatch.setattr(places, "pack_dir", lambda: checkout)
    status, out, err = cli("demo")
    assert (status, out) == (1, "")
    assert err == (
        f"bmc-healer: {checkout}: there is no lab/ and demo/ beside the pack. "
        "Run the demo in a checkout of the source: make demo.\n"
    )
