# make demo   the whole pipeline on the built-in rooms, from nothing
# make test   the tests
# make test-slurm   the pipeline on a real SLURM cluster of one node, which root brings up from Debian's packages
# make bench   what a step, an evaluation, ingest, a job's start and the demo cost, against what they could
# make gpu-check   on a machine with a GPU: whether and how fast everything runs on it, in under ten minutes
# make reference   the demo, and a copy of what docs/findings.md quotes of it under results/reference/rooms
# make keep EXPERIMENT=nyud2-small   such a copy of any finished experiment: tables, figures, configuration, provenance
# make lock   envs/lock.txt and lock-cpu.txt again from envs/requirements.txt, with uv
# All first make a virtual environment in .venv; CORES and PYTHON can be given, and BENCH, the configuration to measure.
PYTHON ?= python3
CORES ?= 2
BENCH ?= config/studies/bench.yaml
UV ?= uv
VENV := .venv
READY := $(VENV)/ready
# The environment's own `snakemake` and `python` come first.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# What would have pip install elsewhere or less, Python read other modules, or Snakemake other settings.
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_NO_DEPS PIP_DRY_RUN PYTHONHOME PYTHONPATH SNAKEMAKE_PROFILE

.PHONY: demo test test-slurm bench gpu-check reference keep lock clean placed

demo: $(READY)
	python -m semcom.commands.check config/demo.yaml
	snakemake all --cores $(CORES) --rerun-incomplete --quiet rules progress host reason --configfile=config/demo.yaml
	@echo
	@echo "Figures:  results/rooms/figures/figure4.pdf, figure5.pdf, pretraining.pdf, contact_sheet.pdf (and .svg, .png)"
	@echo "Tables:   results/rooms/tables/summary.csv, rounds_to_target.csv, rounds.csv"
	@echo "Report:   results/rooms/report.html; to look further: results/rooms/explorer.html"

reference: demo
	$(MAKE) keep EXPERIMENT=rooms

keep: $(READY)
	python -m semcom.commands.keep results/$(EXPERIMENT)

test: $(READY)
	python -m pytest

test-slurm: $(READY)
	python -m pytest -m slurm tests/test_slurm.py

bench: $(READY)
	python -m pip install --quiet --editable '.[bench]'
	python -m benchmarks steps parts evaluation views profile arithmetic threads allocator peer start ingest \
		memory scale --configfile=$(BENCH)
	python -m benchmarks demo accuracy --configfile=config/demo.yaml
	-python -m benchmarks compiling --configfile=$(BENCH)

gpu-check: $(READY)
	@python -m benchmarks.gpu_check

# For every platform at once, every file with its hashes. PyPI's torch for Linux is the one with CUDA; the build without
# lies in PyTorch's own index, under other hashes. lock-cpu.txt therefore names torch and torchvision by version alone.
LOCK := $(UV) pip compile envs/requirements.txt --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --upgrade --custom-compile-command 'make lock'
lock:
	$(LOCK) --output-file envs/lock.txt >/dev/null
	$(LOCK) --constraints envs/lock.txt --output-file envs/lock-cpu.txt >/dev/null \
		$$(sed -nE 's/^(torch|torchvision|triton|(nvidia|cuda)-[a-z0-9-]+)==.*/--no-emit-package \1/p' envs/lock.txt)
	grep -E '^torch(vision)?==' envs/requirements.txt >> envs/lock-cpu.txt

$(READY): envs/requirements.txt pyproject.toml | placed
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
		{ echo "Python 3.11 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1); name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-user --editable '.[browser,format]'
	@$(VENV)/bin/python -I envs/placed.py --whole
	touch $@

# Before anything is installed or run: no folder in which nothing could run, no environment of another folder.
placed:
	@case "$$PWD" in *[:{}]*) \
		echo "$$PWD: a colon or brace in the path of the checkout stops Python's environments or Snakemake; rename the folder"; \
		exit 1;; esac
	@if [ -L $(VENV)/bin/python ] || [ -e $(VENV)/bin/python ]; then \
		$(VENV)/bin/python -c '' 2>/dev/null || \
			{ echo "$(VENV)/bin/python does not start: its Python is gone; remove the environment with 'make clean'"; exit 1; }; \
		$(VENV)/bin/python -I envs/placed.py $$(test ! -e $(READY) || echo --whole); fi

clean:
	rm -rf $(VENV)
