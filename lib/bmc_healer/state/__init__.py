"""Locks, intents, budgets, incidents and the outbox, in StackStorm's datastore or packrunner's."""
