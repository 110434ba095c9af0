# Two commands matter: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# A name on PATH may be a version manager's shim with nothing behind it, so each candidate is run.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$name; break; }; done)
PY := .venv/bin/python
STAMP := .venv/.synced
# llama.cpp is compiled for this very machine; uv keeps the built wheel, so it happens once.
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc 2>/dev/null || echo 2)
export ORT_DISABLE_TELEMETRY := 1
# Without cached bytecode every start of a daemon, worker or test compiles all libraries anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env lint types test test-fast models demo bench bench-env llama-tools nightly lock format clean

help: ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

env: $(STAMP) ## create or refresh the locked environment in .venv

$(STAMP): requirements.lock pyproject.toml tools/get_uv.py
	@test -n "$(PYTHON)" || { echo "Hivekeep needs Python 3.11 or later; install it or run: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 2; }
	@uv=$$($(PYTHON) tools/get_uv.py) && \
	{ test -x $(PY) || "$$uv" venv -q --python $(PYTHON) .venv; } && \
	echo "Installing the locked packages (llama.cpp compiles once, about 5 minutes on 2 cores)" && \
	"$$uv" pip sync -q --compile-bytecode --python $(PY) --require-hashes requirements.lock && \
	"$$uv" pip install -q --python $(PY) --no-deps -e .
	@touch $@

lint: env ## ruff, mypy --strict, the layer contract, and that the lock lacks nothing
	@$$($(PYTHON) tools/get_uv.py) pip check -q --python $(PY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

models: env ## the models that tests and the demo use, into the user's cache
	$(PY) -m hivekeep.cli.main models pull smollm2-135m-instruct-q4_1 --yes
	$(PY) -m hivekeep.cli.main models pull --yes

test: lint models ## everything that CI runs
	$(PY) -m pytest

test-fast: env ## tests without a model, a daemon or the corpus
	$(PY) -m pytest -m "not model and not e2e and not corpus"

demo: env ## the whole road on bundled documents: folder in, workbook out
	@$(PY) -m hivekeep.cli.main demo

bench: env ## one benchmark: make bench NAME=accuracy ARGS="--limit 10"
	$(PY) -m benchmarks.$(NAME) $(ARGS)

bench-env: env ## the other systems that some benchmarks compare with, into .venv
	$$($(PYTHON) tools/get_uv.py) pip install -q --python $(PY) --require-hashes -r requirements-bench.lock

llama-tools: ## llama-server and llama-batched-bench from our llama.cpp's source, for benchmarks
	@$(PYTHON) tools/build_llama_tools.py

nightly: env ## the long measurements, run by hand
	for name in accuracy documents_rate kill_recovery audit_kill audit_append audit_scale fuzz_policy; do $(MAKE) bench NAME=$$name || exit 1; done

lock: ## resolve requirements.lock anew
	$$($(PYTHON) tools/get_uv.py) pip compile pyproject.toml --all-extras --group dev --universal --generate-hashes --no-annotate -q -o requirements.lock
	$$($(PYTHON) tools/get_uv.py) pip compile --group bench -c requirements.lock --universal --generate-hashes --no-annotate -q -o requirements-bench.lock

format: env ## apply ruff's formatting and safe fixes
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean: ## remove the environment and caches, never models or profiles
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
