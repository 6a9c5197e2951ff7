# What people and CI call. Everything installs what it needs; a missing package is an error that names it.
PY := .venv/bin/python
DRIVER ?= legacy

.PHONY: help setup demo test lint types unit protocol pack guest test-stackstorm matrix kernels bench soak logins year fuzz audit clean

help:
	@echo "make demo [DRIVER=legacy|stock]   a hung BMC heals itself, in a QEMU guest"
	@echo "make test                         lint, types, unit, protocol, pack and guest tests"
	@echo "make test-stackstorm              against the running StackStorm of ST2_API_URL (docs/stackstorm.md)"
	@echo "     TOKEN_SECONDS=75             only what outlives its tokens there"
	@echo "make matrix [ROWS=...]            every fault, in guests: docs/matrix.md; or the rows whose names hold a word"
	@echo "make kernels [KERNELS=...]        what 5.10, 6.1, 6.12, 7.2 and legacy do with a hung BMC: docs/kernels.md"
	@echo "make bench                        what watching costs, beside ipmitool, FreeIPMI, psutil, ssh: docs/bench.md"
	@echo "make soak, make logins            half an hour of watching, a restart with 10,000 SSH hosts: docs/soak.md, logins.md"
	@echo "make year                         a simulated year of 10,000 hosts: docs/year.md"
	@echo "make fuzz [SECONDS=60]            every parser of foreign input, so many seconds each"
	@echo "make audit                        known holes in the code and in what it uses, secrets in what a run leaves"
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
	.venv/bin/mypy lib packrunner cli/bmc_healer_cli lab demo bench year

unit protocol pack guest: setup
	tools/test $@

# Fails when ST2_API_URL is not set, or nobody answers there: tests/stackstorm/conftest.py.
# Without TOKEN_SECONDS the tests that outlive a token are left out, with it they alone run: docs/stackstorm.md.
test-stackstorm: setup
	ST2_TOKEN_SECONDS=$(TOKEN_SECONDS) .venv/bin/pytest -m "$(if $(TOKEN_SECONDS),,not )token_life" tests/stackstorm

# An hour or two; with ROWS only those are renewed, ROWS=unproven goes on with a run that was broken off.
matrix: setup
	@$(PY) -m tests.guest.matrix $(ROWS)

# Fifteen minutes a kernel; KERNELS="6.12 7.2 hotmod" renews only what is named: kernels, cases.
kernels: setup
	@$(PY) -m tests.guest.kernels $(KERNELS)

# Five minutes; best on a machine that has nothing else to do.
bench: setup .venv/.bench
	.venv/bin/pytest -q bench --benchmark-max-time=0.5 --benchmark-columns=min,median,ops --benchmark-sort=name
	@$(PY) -m bench

# Half an hour; ten minutes.
soak logins: setup .venv/.bench
	@$(PY) -m bench $@

.venv/.bench: pyproject.toml .venv/.ok
	.venv/bin/pip install -q --disable-pip-version-check -e '.[bench]'
	touch $@

# In virtual time, a quarter of an hour of one core; the same year every time, so with the same hashes. Fails when a
# reset was wrong or double, or a fault was missed.
year: setup
	PYTHONHASHSEED=0 PYTHONPATH=lib:cli:. nice -n 10 $(PY) -m year --docs docs

SECONDS ?= 60
fuzz: setup .venv/.fuzz
	PYTHONPATH=lib:cli:. nice -n 10 $(PY) -m tests.fuzz.run $(SECONDS)

.venv/.fuzz: pyproject.toml .venv/.ok
	.venv/bin/pip install -q --disable-pip-version-check -e '.[fuzz]'
	touch $@

audit: setup .venv/.audit
	$(PY) tools/audit.py

.venv/.audit: pyproject.toml .venv/.ok
	.venv/bin/pip install -q --disable-pip-version-check -e '.[audit]'
	touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
