"""Notices a hung BMC, walks the remedy ladder with a gate after every rung, and knows when to stop."""

__version__ = "0.1.0"
