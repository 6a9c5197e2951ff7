"""Standard output whose reader may have had enough (`| head -1`): what was begun goes on, unseen."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class Output(Console):
    """rich's own console ends the thread that prints, which may be the one that runs a heal."""

    def on_broken_pipe(self) -> None:
        """Print nothing from here on."""
        self.quiet = True
        give_up()


def give_up() -> None:
    """Nobody reads standard output any more; also not what is still in its buffer."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
