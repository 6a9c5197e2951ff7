"""`make audit`: known holes in the code (bandit) and in what it uses (pip-audit), secrets in a run.

Each part ends with a line that says what came of it. Advisories out of reach are unknown, not clean.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / "bin"
ROOMS = ("lib", "packrunner", "cli", "actions", "sensors", "year")
# Accepted, each with its reason
ACCEPTED = {
    "B415": "IPMI is what this is for; pyghmi is its only user",
    "B506": "the loader is derived from PyYAML's safe one (config/document.py)",
    "B608": "column names are constants (packrunner/history.py)",
}
TESTS = (
    "tests/unit/test_no_shell.py",
    "tests/protocol/test_secrets.py",
    "tests/protocol/test_redfish.py",
    "tests/ssh/test_ssh_access.py",
    "tests/unit/config/test_secrets.py",
    "tests/packrunner/test_datastore.py",
)


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)


def code() -> bool:
    """Bandit, from medium severity on, without what is accepted."""
    command = [str(BIN / "bandit"), "-q", "-r", "-ll", "-f", "json", "-s", ",".join(ACCEPTED), *ROOMS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        say(f"bandit: it could not run: {done.stderr.strip()[-300:]}")
        return False
    for issue in found["results"]:
        say(f"bandit: {issue['filename']}:{issue['line_number']}: {issue['test_id']} {issue['issue_text']}")
    for error in found["errors"]:
        say(f"bandit: not read: {error}")
    say(f"bandit: {len(found['results'])} findings in {len(found['metrics']) - 1} files")
    return not found["results"] and not found["errors"]


def dependencies() -> bool:
    """Pip-audit over what is installed. False only when a known hole was found."""
    command = [str(BIN / "pip-audit"), "--local", "--progress-spinner", "off", "-f", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        listed = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        why = (done.stderr.strip().splitlines() or ["no answer"])[-1][:300]
        say(f"pip-audit: UNKNOWN: the advisories could not be reached ({why})")
        return True
    asked = [each for each in listed if "skip_reason" not in each]
    holes = [(each, hole) for each in asked for hole in each["vulns"]]
    for each, hole in holes:
        say(f"pip-audit: {each['name']} {each['version']}: {hole['id']}, mended in {hole['fix_versions']}")
    if len(asked) < len(listed):
        unknown = len(listed) - len(asked)
        say(f"pip-audit: UNKNOWN for {unknown} of {len(listed)} packages: no advisories to be had")
    say(f"pip-audit: {len(holes)} known holes in {len(asked)} packages")
    return not holes


def behaviour() -> bool:
    """The tests that look for secrets, open files, unchecked keys and built shells."""
    done = subprocess.run([str(BIN / "pytest"), "-q", *TESTS], cwd=ROOT, check=False)
    say(f"secrets, files, keys, certificates, shells: {'FAILED' if done.returncode else 'nothing found'}")
    return done.returncode == 0


if __name__ == "__main__":
    results = [code(), dependencies(), behaviour()]
    sys.exit(0 if all(results) else 1)
