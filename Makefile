# `make help` lists what there is. Every target sets up what it needs in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro ray test check docs detectors questions ablations bench gpu clean

help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

setup: .venv/.ready  ## create .venv and install what requirements.txt pins; builds openpifpaf (some minutes)

.venv/.ready: requirements.txt requirements-no-deps.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -r requirements-no-deps.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

repro: setup     ## run the whole DAG: pictures, training, data/report/index.html
	@python -m pipeline.mend  # files that a killed dvc left torn; the next would not start
	dvc repro

.venv/.ray: .venv/.ready requirements-ray.txt
	$(BIN)/python -m pip install --quiet --no-deps -r requirements-ray.txt
	@touch $@

ray: setup .venv/.ray  ## install what `engine.kind: ray` needs (250 MB)

test: setup .venv/.ray ## the default tests (under ten minutes on two cores)
	OMP_NUM_THREADS=1 pytest -n auto --dist loadfile --no-loadscope-reorder --durations=15

check: setup     ## ruff, mypy, who imports whom, docs build
	ruff check .
	ruff format --check .
	mypy
	pytest tests/test_imports.py
	mkdocs build --quiet --strict

docs: setup      ## build the documentation into site/
	mkdocs build --strict

detectors: setup ## train the two shipped networks again (a DVC project of its own)
	cd models/detectors && dvc repro

questions: repro ## the research questions, many small trainings (a DVC project of its own)
	cd experiments && dvc repro questions

ablations: repro ## the tables of the published systems on the rendered people (likewise)
	cd experiments && dvc repro ablations

bench: setup     ## the quick benchmarks: tables of ratios, on a quiet machine (some three minutes)
	OMP_NUM_THREADS=1 python -m benchmarks.pack
	OMP_NUM_THREADS=1 python -m benchmarks.loading
	python -m benchmarks.detectors

gpu: setup       ## what only a CUDA device can tell: its tests, step times, memory, waiting for pictures, hours
	pytest -m gpu
	for method in adgan pg2 spt dpig scagan; do \
		python -m benchmarks.step_time --method $$method --device cuda --batch 4 --compile --steps 10 || exit; done
	python -m benchmarks.training_memory
	python -m benchmarks.loader_memory
	posewright use deepfashion-adgan --dry-run --measure

clean:           ## remove the environment and every cache, not the artifacts under DVC
	rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache site build *.egg-info
