# Two commands do all on a fresh machine with Python 3.11 to 3.14: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RESULTS ?= results

.PHONY: setup install demo test test-fast test-cluster bench fuzz gpu lint docs clean

install: $(VENV)/installed  ## what runs need
setup: $(VENV)/ready  ## and what tests and lint need

PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || \
		{ echo "Python 3.11 to 3.14 is needed; name it with: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/ready: $(VENV)/installed
	$(PIP) -e '.[dev]'
	@touch $@

demo: install  ## embedded corpus -> pre-training, fine-tuning, retrieval at seven mask ratios -> figure and table
	$(BIN)/python sweeps/run.py mask_ratio --cluster local --results $(RESULTS)
	$(BIN)/python analysis/plot.py $(RESULTS)
	$(BIN)/python analysis/table.py $(RESULTS)
	@echo; echo "Open these:"; ls $(RESULTS)/figures/*.png $(RESULTS)/tables/*.md

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry . --no-ansi

test: lint  ## the whole suite: lint, types, tests (cluster tests run where SLURM is)
	$(BIN)/python -m pytest --durations=10

test-fast: setup  ## what takes less than ten seconds each
	$(BIN)/python -m pytest -m "not slow and not cluster"

test-cluster: setup  ## a real SLURM on this machine (root, Debian), and the tests that need it
	bash tests/cluster/up.sh
	. $${SLURM_LAB:-$${TMPDIR:-/tmp}/simvtp-slurm}/env && $(BIN)/python -m pytest -m cluster --durations=10; \
		code=$$?; bash tests/cluster/down.sh; exit $$code

bench: setup  ## every benchmark; writes docs/performance.md's tables and benchmarks/history (leave the machine alone)
	$(BIN)/python benchmarks/all.py

fuzz: setup  ## thousands of damaged inputs from fixed seeds, of every kind that a user gives; half an hour
	$(BIN)/python -m tests.fuzz.config_values --count 10000
	$(BIN)/python -m tests.fuzz.command_lines --count 1500
	$(BIN)/python -m tests.fuzz.annotations --count 3000
	$(BIN)/python -m tests.fuzz.checkpoints --count 3000
	$(BIN)/python -m tests.fuzz.results_folder --count 1000

GPU_ARGS ?= --minutes 12
gpu:  ## correctness, the step of base, the loader and the claims of small on a GPU; GPU_ARGS=--rehearse: on the CPU
	$(or $(wildcard $(BIN)/python),$(PYTHON)) benchmarks/gpu.py $(GPU_ARGS)

docs: setup  ## the site, with the reference, strictly: site/index.html
	$(PIP) -e '.[docs]'
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache
