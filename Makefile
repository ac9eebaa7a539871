# On a fresh machine `make repro` runs the pipeline and `make test` the tests. Needs Python 3.11 or newer, and git.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONNOUSERSITE := 1
.DEFAULT_GOAL := help
.PHONY: help setup repro test lint docs bench lock

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

setup: $(VENV)/.installed ## create .venv with the pinned dependencies

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing 8 GB of pinned packages into $(VENV): two minutes where the network is fast"
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# If Python may not write bytecode, every stage would compile torch again, half of its start-up time. pip would
	@# compile on one core only. Files for a newer Python do not compile, and are not needed.
	@$(VENV)/bin/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

repro: setup ## run the pipeline, print the table (PRESET=name writes a preset into params.yaml first)
	$(if $(PRESET),cfnsr preset $(PRESET))
	cfnsr check
	cfnsr launch
	@cfnsr results

test: setup ## run all tests
	python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

lint: setup ## check style, types and import directions
	ruff check .
	basedpyright
	lint-imports

docs: export NO_MKDOCS_2_WARNING := 1  # the theme's advertisement
docs: setup ## build the site, with the reference of all modules, in build/site; it opens without a server
	mkdocs build --strict
	python -W error -m pdoc --docformat google --template-directory docs/site/pdoc --output-directory build/site/api cfnsr stages

bench: setup ## measure what users wait for, and write the table into docs/speed.md: four minutes
	python -m benchmarks

lock: setup ## resolve pyproject.toml into requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --annotation-style line --extra dev --extra decord --extra face-align --extra dlib --extra face-mesh --extra whisper-tiny --extra speech-transformer --extra image-transformer --extra onnx --extra xlsx --extra s3 --extra ray --extra slurm pyproject.toml --output-file requirements.lock
