# Linewarden. `make run` and `make test` are all that a newcomer needs.
PYTHON ?= python3
PORT ?= 8000
DATA ?= data
JOBS ?= 4

PY := .venv/bin/python
EXTRAS := agent,server,build,plc,dev

.PHONY: help install litert run demo test oldest check format bench proof clean
.DEFAULT_GOAL := help

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 18

install: .venv/installed ## Make the environment (.venv) and nothing else

.venv/installed: pyproject.toml constraints.txt
	@"$(PYTHON)" server/preflight.py install
	@echo "Making .venv (about 1.7 GB; some minutes on a slow line) …"
	@"$(PYTHON)" -m venv --clear .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	@touch .venv/installed

litert: ## Make the environment (.venv-litert) that converts to TFLite; PYTHON= must be 3.12 or newer
	@"$(PYTHON)" -m venv --clear .venv-litert
	@.venv-litert/bin/python -m pip install --quiet --disable-pip-version-check ".[litert-build]"

run: .venv/installed ## Start server, worker and three agents here; PORT= and DATA= move it
	@$(PY) server/preflight.py run --data "$(DATA)" --port "$(PORT)"
	@exec $(PY) -m server run --data "$(DATA)" --port "$(PORT)"

demo: .venv/installed ## The whole story once, without a browser; ends with one JSON object
	@$(PY) server/preflight.py demo
	@exec $(PY) -m server demo

# The slowest files come first, else one of them runs alone at the end. Much of the time is waiting,
# so there may be more jobs than cores.
test: .venv/installed ## All tests; says what it skipped and why
	@$(PY) -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder \
		tests/faults tests/agent tests --ignore tests/e2e --ignore tests/backends
	@$(PY) -m pytest --numprocesses 2 tests/backends
	@$(PY) -m pytest tests/e2e

# JetPack 6 has Python 3.10. No Django there: its setting is unknown, so --strict-config is left
# out, and so are the tests whose other side is the server's own code.
oldest: ## Test the agent on the oldest Python that a device may have; PYTHON= must be a 3.10
	@"$(PYTHON)" -m venv --clear .venv-oldest
	@.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[agent,onnx,device-test]"
	@.venv-oldest/bin/python -m pytest --numprocesses $(JOBS) --dist loadfile \
		--override-ini "addopts=-ra --strict-markers --import-mode=importlib" \
		tests/agent --ignore tests/agent/test_certificates.py --ignore tests/agent/test_doorbell.py

# Devices have Python 3.10: the second run knows its standard library. There numpy's own stubs,
# written for newer ones, let some results through as Any.
check: .venv/installed ## ruff, mypy, import-linter
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m mypy --python-version 3.10 --no-warn-return-any -p inference_core -p device_agent
	@.venv/bin/lint-imports

format: .venv/installed ## Let ruff put the code into shape
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: .venv/installed ## Speed as ratios in one run, peers beside us; benchmarks/report.json
	@exec $(PY) -m tests.benchmarks

proof: .venv/installed ## Three real models built and certified for every profile that runs here; a table
	@exec $(PY) -m tests.benchmarks.build_matrix

clean: ## Remove the environment and caches; data stays
	@rm -rf .venv .venv-litert .venv-oldest .venv-peers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
