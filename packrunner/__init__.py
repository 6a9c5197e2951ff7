"""Runs one StackStorm pack on one machine without a StackStorm server.

``packrunner.runner.PackRunner`` is the way in. Nothing is imported here: the processes of actions and
sensors import this package too, and an action's start must stay cheap.
"""
