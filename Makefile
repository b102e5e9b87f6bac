# aucseg: `make book` and `make test` are the two commands; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Idle OpenMP threads sleep instead of spinning: on two cores that is the difference between fast and stuck.
export OMP_WAIT_POLICY := PASSIVE

# The first interpreter that runs and is new enough; override with `make PYTHON=/path/to/python3.12 ...`.
PYTHON ?= $(shell for p in python3.11 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV ?= .venv
# The index of PyTorch's own wheels, for example of its CPU builds: pytorch.org gives the address. Off by default.
TORCH_INDEX ?=
PROFILE ?= laptop
COMPUTE ?= missing
JOBS ?= 1

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NBSTRIPOUT := $(BIN)/nbstripout --extra-keys "metadata.papermill cell.metadata.papermill"
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
BENCHMARKS := auc_loss busy_cores data_path long_tail_losses pixel_auc memory_bank bank_memory mask_statistics mean_teacher methods networks step streets sweep transforms trainer

# Tests share the cores; where there are more than eight of them, their memory would be the next limit.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

.PHONY: help venv book test quick lint types unit notebooks book-smoke rerun format lab bench chaos clean distclean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo "  variables: PROFILE=smoke|laptop|gpu  COMPUTE=missing|never|always  JOBS=2 (chaos)  PYTHON=...  VENV=...  TORCH_INDEX=..."

venv: $(STAMP)  ## create the virtual environment from pyproject.toml and constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found; pass PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
	  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt -e ".[train,book,dev,fast,coco,pretrained,decision,slurm]"
	@touch $@

book: venv  ## execute the notebooks and build the HTML book (PROFILE, COMPUTE)
	$(BIN)/aucseg book --profile $(PROFILE) --compute $(COMPUTE)

test: venv lint types book-smoke rerun unit  ## everything that must hold: lint, types, notebooks and book (smoke), pytest

quick: venv lint types  ## two minutes while you work: lint, types, pytest without what is `slow` (networks, kernels, notebooks)
	$(PYTEST) -q -m "not slow"

lint: venv  ## ruff on code and notebooks; notebooks carry no outputs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(if $(NOTEBOOKS),$(NBSTRIPOUT) --verify $(NOTEBOOKS))

types: venv  ## mypy
	$(BIN)/mypy

unit: venv  ## pytest on all cores, warnings are errors
	$(PYTEST)

notebooks: venv  ## execute the notebooks at the smoke profile, without building pages
	$(BIN)/aucseg book --profile smoke --output build/smoke --no-html

book-smoke: venv  ## execute the notebooks and build the book at the smoke profile, beside the real one
	$(BIN)/aucseg book --profile smoke --output build/smoke

rerun: book-smoke  ## run the smoke notebooks again with nbmake from their executed copies, as a reader would in JupyterLab
	OMP_NUM_THREADS=1 $(PYTEST) -q -p tests.ipc_kernels --nbmake --nbmake-timeout=600 build/smoke/source/notebooks

format: venv  ## let ruff and nbstripout rewrite the files
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(if $(NOTEBOOKS),$(NBSTRIPOUT) $(NOTEBOOKS))

lab: venv  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

bench: venv  ## benchmarks: ratios measured side by side in one run, written to data/benchmarks
	for name in $(BENCHMARKS); do echo "== $$name"; \
	  $(BIN)/python benchmarks/$$name.py --csv; done

chaos: venv  ## attack: hundreds of kills, full disks and flipped bits, 10,000 random inputs a loss; goes on where it stopped
	$(BIN)/python -m tests.chaos --csv --jobs $(JOBS)

clean:  ## remove what was built, keep the environment, the records and the data sets
	rm -rf build book/notebooks data/records/smoke .pytest_cache .mypy_cache .ruff_cache .hypothesis lightning_logs
	find aucseg tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## clean, and remove the environment and the checkpoints
	rm -rf $(VENV) runs aucseg.egg-info
