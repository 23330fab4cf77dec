# Every target sets itself up on a machine that has only make and Python.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CACHE := .cache
VENV := .venv
UV_HOME := $(CACHE)/uv
UV = $(shell command -v uv 2>/dev/null || echo $(UV_HOME)/bin/uv)
READY := $(VENV)/.ready
RUN := $(VENV)/bin/
export TF_CPP_MIN_LOG_LEVEL := 3
export RASA_TELEMETRY_ENABLED := false
# Bytecode is written once, at set-up: without it every start compiles TensorFlow anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test lint bench setup model lock phrases clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 10

run: model ## the sandbox with two phones on http://127.0.0.1:8000/
	$(RUN)zhike serve --sandbox

test: model ## every test
	$(RUN)pytest -n 2 --dist loadfile $(ARGS)

lint: $(READY) ## ruff, mypy, import-linter, translations complete
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)lint-imports --no-logo
	$(RUN)python -m nlu.catalogs --check

bench: model ## the speed table of README
	$(RUN)python -m tests.bench $(ARGS)

setup: $(READY) ## the environment in .venv

model: $(READY) ## the trained model, unless nothing it is made of has changed
	$(RUN)zhike train

lock: ## compile requirements.lock anew from pyproject.toml
	@$(MAKE) --no-print-directory $(UV_HOME)/found
	$(UV) pip compile -q pyproject.toml --group dev --python-version 3.10 --python-platform x86_64-manylinux_2_28 \
	  --generate-hashes --no-header --upgrade -o requirements.lock

phrases: $(READY) ## bring the catalogs up to date with the English phrases
	$(RUN)python -m nlu.catalogs

clean: ## forget the environment, caches and models; the data under var/ stays
	rm -rf $(VENV) $(CACHE) var/models build *.egg-info

$(UV_HOME)/found:
	@mkdir -p $(CACHE)
	@command -v uv >/dev/null || python3 -m pip install -q --target $(UV_HOME) uv
	@mkdir -p $(UV_HOME) && touch $@

$(READY): requirements.lock pyproject.toml .python-version | $(UV_HOME)/found
	$(UV) venv -q --allow-existing --python 3.10 $(VENV)
	$(UV) pip sync -q --compile-bytecode --python $(VENV)/bin/python requirements.lock
	$(UV) pip install -q --no-deps --no-build-isolation --python $(VENV)/bin/python -e .
	@touch $@
