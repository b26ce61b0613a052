# Everything works inside .venv, which `make install` makes from python3 alone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv pip install --quiet --python $(BIN)/python

# with it, each of the hundred processes that tests start would compile all modules anew
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test suite test-fast lint bench prove docs notebooks serve lock clean

help:  ## what can be made here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(BIN)/uv:
	@command -v $(PYTHON) >/dev/null || { echo "stagecast needs python3 (3.11 or newer); set PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "stagecast needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'

$(VENV)/.runtime: $(BIN)/uv requirements.lock pyproject.toml
	$(UV) --require-hashes -r requirements.lock
	$(UV) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(UV) --require-hashes -r requirements-dev.lock
	@touch $@

install: $(VENV)/.runtime  ## make .venv with what users need at run time

demo: $(VENV)/.runtime  ## the main job on the CDNOW log: features, stages, models, scores, report
	$(BIN)/stagecast demo

serve: $(VENV)/.runtime  ## the API and the ranked list, on what was published last
	$(BIN)/stagecast serve

lint: $(VENV)/.dev  ## ruff and mypy strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/.dev  ## lint and all tests, beside each other: types are checked on one core
	$(MAKE) --no-print-directory --jobs 2 lint suite

suite: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not long"

test-fast: $(VENV)/.dev  ## the loop of a developer: all tests that are not marked slow (under 90 seconds on two cores)
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not long"

notebooks: $(VENV)/.dev  ## execute the notebooks in place, with their outputs
	$(BIN)/python -m tests.notebooks --write

prove: $(VENV)/.dev  ## accuracy out of time on several logs and dates, against what a data scientist would pick; models that are swapped, servers that are killed and asked for anything; then the long variants of tests, and the property tests on many examples (an hour and more)
	$(BIN)/python -m bench.accuracy
	$(BIN)/python -m bench.next_stage
	$(BIN)/python -m bench.at_risk --seeds 1
	$(BIN)/python -m bench.ranges
	$(BIN)/python -m bench.leads
	$(BIN)/python -m bench.campaigns
	$(BIN)/python -m bench.pooling
	$(BIN)/python -m bench.holdouts --draws 100
	$(BIN)/python -m bench.uplift
	$(BIN)/python -m bench.promotions
	$(BIN)/python -m bench.canaries
	$(BIN)/python -m bench.swaps
	$(BIN)/python -m bench.generated
	$(BIN)/python -m bench.killed_servers
	$(BIN)/python -m pytest -n auto --dist loadfile -m "hypothesis or long" --hypothesis-profile=nightly

docs: $(VENV)/.dev  ## run what README and docs show, check their links and tables
	$(BIN)/python -m pytest tests/test_docs.py

bench: $(VENV)/.dev  ## every speed we claim, as a ratio to a peer in the same run; the history of a million customers; memory; 60 kills
	$(BIN)/python -m bench
	$(BIN)/python -m bench.features --spark
	$(BIN)/python -m bench.training
	$(BIN)/python -m bench.requests
	$(BIN)/python -m bench.served
	$(BIN)/python -m bench.overload
	$(BIN)/python -m bench.history
	$(BIN)/python -m bench.plans
	$(BIN)/python -m bench.larger_than_memory
	$(BIN)/python -m bench.interrupted

lock: $(BIN)/uv  ## write the lock files anew (versions and hashes, no addresses)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	    --group build pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	    --group build --group dev --constraint requirements.lock pyproject.toml --output-file requirements-dev.lock

clean:  ## remove .venv and what the demo wrote
	rm -rf $(VENV) stagecast-demo stagecast.db* mlflow.db* mlartifacts mlruns
