"""`make fuzz`: one target after the other under atheris, from the kept corpus on. Needs the extra `fuzz`.

A finding ends its target with the traceback, and its input is kept as tests/fuzz/findings/TARGET-*: mend the
parser, then move the input into the corpus.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SLOW_SECONDS = 5  # one input; longer is a finding


def every_target(seconds: int) -> int:
    """A process for each, since libFuzzer ends the one it runs in."""
    from tests.fuzz.targets import TARGETS

    failed = []
    (HERE / "findings").mkdir(exist_ok=True)
    for name in TARGETS:
        with tempfile.TemporaryDirectory() as grown:
            options = [
                f"-max_total_time={seconds}",
                f"-timeout={SLOW_SECONDS}",
                "-max_len=4096",
                "-print_final_stats=1",
            ]
            options += [
                f"-artifact_prefix={HERE}/findings/{name}-",
                "-verbosity=0",
                grown,
                str(HERE / "corpus" / name),
            ]
            done = subprocess.run(
                [sys.executable, "-m", "tests.fuzz.run", "--target", name, *options], check=False
            )
        print(f"{name}: {'FINDING' if done.returncode else 'nothing found'}", flush=True)
        failed += [name] if done.returncode else []
    return 1 if failed else 0


def one_target(name: str, options: list[str]) -> None:
    """Does not return."""
    import atheris

    with atheris.instrument_imports(include=["bmc_healer", "packrunner"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1] == "--target":
        one_target(sys.argv[2], sys.argv[3:])
    sys.exit(every_target(int(sys.argv[1])))
