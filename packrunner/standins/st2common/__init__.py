"""Stands in for the StackStorm package of this name where that is not installed."""
