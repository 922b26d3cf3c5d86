# What a person needs; `make demo` and `make test` set everything up by themselves.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
OUT     ?= out
MACHINE := xeon-vm-6.18
DATA    := calibration/data/$(MACHINE)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test test-browser measure figures write-up lab lint bench certify refresh kernel-lab lock clean

help:
	@echo "make demo     calibrate from the recorded run, print the verdict, write figures and a report"
	@echo "make test     install the test extra and run the tests"
	@echo "make measure  measure this machine (two minutes, best on an idle machine; root for the trace)"
	@echo "make figures  draw the figures into $(OUT)/figures"
	@echo "make write-up the design note into $(OUT)/write-up: Markdown, HTML, LaTeX, PDF where LaTeX is installed"
	@echo "make lab      open the notebooks in JupyterLab"
	@echo "make lint     ruff, mypy"
	@echo "make bench    speed against named peers, as ratios"
	@echo "make kernel-lab  predict a 6.1 kernel that downgrades, then run it in a QEMU guest (Debian, root)"
	@echo "make clean    remove what the other targets wrote"

$(VENV)/made:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

# One stamp an extra: what is installed already is not installed again.
$(VENV)/installed: $(VENV)/made pyproject.toml constraints.txt
	@echo "installing perfmodel into $(VENV)"
	$(INSTALL) --editable .
	@touch $@

$(VENV)/installed-%: $(VENV)/installed
	@echo "installing the $* extra into $(VENV)"
	$(INSTALL) --editable '.[$*]'
	@touch $@

demo: $(VENV)/installed
	@mkdir -p $(OUT)
	$(BIN)/perfmodel calibrate $(DATA)/run-1.json $(DATA)/run-1.json.trace.txt.gz --name $(MACHINE) \
	    --held-out $(DATA)/run-2.json --brief --force -o $(OUT)/$(MACHINE).json
	$(BIN)/perfmodel report --machine $(OUT)/$(MACHINE).json --data $(DATA) \
	    --held-out $(DATA)/run-2.json -o $(OUT)/report.md
	@echo
	$(BIN)/perfmodel predict --machine $(OUT)/$(MACHINE).json --preset mail --brief
	$(BIN)/perfmodel predict --machine $(OUT)/$(MACHINE).json --preset large --brief
	@echo "Written: $(OUT)/$(MACHINE).json  $(OUT)/report.md  $(OUT)/report.html  $(OUT)/report-figures/"
	@echo "Next:    $(BIN)/perfmodel break-even --preset mail --over fault-rate"

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadgroup -q

# The explorer, the page and a notebook in a real Chromium, which must be installed.
test-browser: $(VENV)/installed-test
	PERFMODEL_BROWSER=1 $(BIN)/python -m pytest tests/browser -n 2 --dist loadgroup -q

measure: $(VENV)/installed
	@mkdir -p $(OUT)
	$(BIN)/perfmodel measure -o $(OUT)/measured.json

figures: $(VENV)/installed-simulate
	@mkdir -p $(OUT)
	$(BIN)/perfmodel figures --machine $(MACHINE) -o $(OUT)/figures

write-up: $(VENV)/installed-simulate $(VENV)/installed-published
	@mkdir -p $(OUT)
	$(BIN)/perfmodel write-up --machine $(MACHINE) --force -o $(OUT)/write-up

lab: $(VENV)/installed-notebook
	$(BIN)/jupyter lab notebooks

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# LINE needs an older pandas than the rest: an environment of its own.
$(VENV)/line/made: $(VENV)/made
	$(PYTHON) -m venv $(VENV)/line
	$(VENV)/line/bin/python -m pip install --quiet --disable-pip-version-check line-solver==3.0.8.0
	@touch $@

# Speed, as ratios in one run against named peers; tables and figure beside the benches.
bench: $(VENV)/installed-dev $(VENV)/line/made
	$(BIN)/python calibration/benchmarks/run.py --line $(VENV)/line/bin/python
	$(BIN)/python calibration/benchmarks/sweep.py
	$(BIN)/python calibration/benchmarks/explorer.py

# The whole experiment: a 6.1 kernel whose mprotect can downgrade is built and booted in a QEMU guest, predicted
# from boots without any cut, then measured under each.
kernel-lab: $(VENV)/installed-simulate
	@mkdir -p $(OUT)/kernel-lab
	$(BIN)/perfmodel measure --kernel-lab --cut none --group stock --group calls --group faults --group trace \
	    -o $(OUT)/kernel-lab/stock-1
	$(BIN)/perfmodel experiment predict $(OUT)/kernel-lab/stock-1 -o $(OUT)/kernel-lab/prediction.json
	$(BIN)/perfmodel measure --kernel-lab --group calls --group faults --group races --seed 2 \
	    -o $(OUT)/kernel-lab/run-1
	$(BIN)/perfmodel experiment compare $(OUT)/kernel-lab

# The grid that holds the three solvers together, and the map of the closed forms' errors: two minutes.
certify: $(VENV)/installed-simulate
	$(BIN)/python calibration/agreement/certify.py

# Profile, figures and output of the README, after new runs or a change of the model.
refresh: $(VENV)/installed-simulate
	$(BIN)/python calibration/refresh.py

# The versions that a fresh install gets; run it, run the tests, commit both.
lock: $(VENV)/installed-dev
	$(BIN)/python -m pip freeze --exclude-editable --exclude perfmodel --exclude pip --exclude setuptools > constraints.txt

clean:
	rm -rf $(VENV) $(OUT) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
