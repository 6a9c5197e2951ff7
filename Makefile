# What people and CI call. Everything installs what it needs; a missing package is an error that names it.
PY := .venv/bin/python
DRIVER ?= legacy

.PHONY: help setup demo test lint types unit protocol pack guest test-stackstorm clean

help:
	@echo "make demo [DRIVER=legacy|stock]   a hung BMC heals itself, in a QEMU guest"
	@echo "make test                         lint, types, unit, protocol, pack and guest tests"
	@echo "make test-stackstorm              against the running StackStorm of ST2_API_URL (docs/stackstorm.md)"
	@echo "make setup                        only install what these need"

setup: .venv/.ok

.venv/.ok: pyproject.toml tools/setup
	tools/setup
	touch $@

demo: setup
	@$(PY) -m demo --driver $(DRIVER)

test: setup lint types
	tools/test

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: setup
	.venv/bin/mypy lib packrunner cli/bmc_healer_cli lab demo

unit protocol pack guest: setup
	tools/test $@

# Fails when ST2_API_URL is not set, or nobody answers there: tests/stackstorm/conftest.py.
test-stackstorm: setup
	.venv/bin/pytest tests/stackstorm

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
