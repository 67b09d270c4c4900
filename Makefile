# What one does with a clone; `make help` says the same in one line each.
# Needs make, bash and Python 3.11. Nothing is installed outside .venv.

DRIFTWHEEL = .venv/bin/driftwheel
WORKERS ?= 2
BENCHMARKS = $(sort $(patsubst benchmarks/%/run.py,%,$(wildcard benchmarks/*/run.py)))

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

install:  ## make .venv from the lock (constraints.txt); does nothing when it is up to date
	@bash infra/install.sh

demo: install  ## the whole loop on shipped real data, in simulated time
	@$(DRIFTWHEEL) demo

# One file stays on one worker (its costly fixtures are made once); tests marked `slow` start first.
test: install  ## run the tests, in parallel
	@.venv/bin/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: install  ## format, lint, types, banned calls, and which way imports point
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy --strict
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/pytest tests/test_banned_calls.py   # readers of Delta that abort the process

bench: install  ## make bench NAME=…: print a table, write benchmarks/NAME/results.json
	@if [ -z "$(NAME)" ] || [ ! -f "benchmarks/$(NAME)/run.py" ]; then \
	  echo "make bench: no benchmark named '$(NAME)'; known: $(or $(BENCHMARKS),none yet)" \
	       "(say: make bench NAME=…)" >&2; exit 2; fi
	@.venv/bin/python -m benchmarks.$(NAME).run

clean:  ## remove .venv and every cache; lake, ledger and mlruns stay
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
