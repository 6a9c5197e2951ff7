import pathlib
import subprocess
import sys
import time

from st2common.runners.base_action import Action

# A child, and a grandchild that leaves session and process group and whose parent ends.
FAMILY = """
import os, pathlib, subprocess, sys, time
mark = sys.argv[1]
pathlib.Path(mark + ".child").write_text(str(os.getpid()))
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    pathlib.Path(mark + ".daemon").write_text(str(os.getpid()))
time.sleep(300)
"""


class Sleeper(Action):
    def run(self, seconds, mark, family, host):
        if family:
            subprocess.Popen([sys.executable, "-c", FAMILY, mark])
        if mark:
            pathlib.Path(mark + ".begun").write_text("1")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            print("still here")
            time.sleep(0.05)
        if mark:
            pathlib.Path(mark + ".done").write_text("1")
        return (True, {"slept": seconds})
