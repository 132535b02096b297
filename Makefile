# make demo   everything once, small: environment, simulated Waymo segments, preprocessing, training, table, picture
# make mini-study   a study of two arms and three seeds on the demo's frames, ending in one HTML page
# make test   environment, linters, tests
# make faults  damage, kills, hostile files and places at full count, about 25 minutes of CPU time on two cores; writes the table of docs/reliability.md
# make lint   ruff and mypy alone
# make environment      .venv with the libraries and the command pcdet-poly (environment-dev: and the tests' tools)
# make gpu    what a GPU computes and takes, under 12 minutes: equal kernels, operations, training, inference, memory; a section of benchmarks/RESULTS.md
# make docs   the documentation as a site, in site/ (strict: a broken link is an error)
# make clean  remove what make demo wrote (the environment stays)

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEMO := demo
WORKERS ?= $(shell $(PYTHON) -c "import os; print(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count())")

# Idle OpenMP threads sleep instead of spinning: on a busy machine this is up to 20 times faster.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo demo-data mini-study test faults gpu lint style types types-windows kernels docs clean environment environment-dev
.DELETE_ON_ERROR:

environment: $(VENV)/installed
environment-dev: $(VENV)/installed-dev

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "error: $(PYTHON) is not Python 3.11, 3.12 or 3.13; run make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Of the libraries' 20,000 files a program imports some thousands: each is compiled when it is first imported, which
# spares half of the time that an installation takes.
INSTALL = $(RUN) -m pip install --quiet --no-compile

# The package is installed as a link to these sources, for its command pcdet-poly. The requirements hold what builds it.
LINK_PACKAGE = $(INSTALL) --no-deps --no-build-isolation --editable .

$(VENV)/installed: requirements.txt pyproject.toml setup.py | $(VENV)/bin/python
	$(INSTALL) -r requirements.txt
	$(LINK_PACKAGE)
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements.txt pyproject.toml setup.py | $(VENV)/bin/python
	$(INSTALL) -r requirements-dev.txt
	$(LINK_PACKAGE)
	@touch $@ $(VENV)/installed

demo-data: $(VENV)/installed
	$(RUN) -m pcdet_poly demo --output $(DEMO) --workers $(WORKERS) --data-only

demo: $(VENV)/installed
	$(RUN) -m pcdet_poly demo --output $(DEMO) --workers $(WORKERS)

mini-study: demo-data
	$(RUN) -m pcdet_poly sweep configs/sweeps/mini.yaml
	$(RUN) -m pcdet_poly report sweeps/mini

lint: style
	@$(MAKE) --no-print-directory --jobs 2 types types-windows

style: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types:
	$(VENV)/bin/mypy pcdet_poly

types-windows:
	$(VENV)/bin/mypy --platform win32 --cache-dir .mypy_cache/win32 pcdet_poly

# Kernels that were not compiled first would be by every test process for itself.
kernels:
	OMP_NUM_THREADS=1 $(RUN) -m tests.compile_kernels

test: style
	@$(MAKE) --no-print-directory --jobs 2 kernels types types-windows
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

faults: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(RUN) -m tests.faults.suite --count 2000 --table docs/reliability.md

gpu: $(VENV)/installed
	$(RUN) -m pcdet_poly gpu-check --output benchmarks/RESULTS.md

docs: requirements-docs.txt
	$(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install --quiet -r requirements-docs.txt
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --strict

clean:
	rm -rf $(DEMO) sweeps/mini
