"""Minimal st2common and st2reactor; this directory goes on the path where the real ones are not installed."""
