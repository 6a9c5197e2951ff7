"""Stands in for StackStorm's package of this name where that is not installed.

tests/test_base_classes.py holds it to the real one: the same file runs on both.
"""
