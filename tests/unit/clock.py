"""A clock for tests."""

NOW = 1_795_000_000.0


class Clock:
    """Moves only when somebody sleeps, or sets it."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
