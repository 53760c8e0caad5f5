# The two commands that a fresh machine needs: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
EXTRAS ?= dev,deep
DATA ?= $(BOTTEGA_DATA)
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal

.PHONY: run test check format docs readme clean

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "bottega needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

run: $(VENV)/.ready  ## run the main job, and say where the report is
	$(BIN)/bottega run shop-recommendation

test: $(VENV)/.ready  ## run every test, JOBS of them at a time
	$(PYTEST)

check: $(VENV)/.ready  ## run every check: style, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST)

format: $(VENV)/.ready  ## mend what the style checker can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.ready  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

readme: $(VENV)/.ready  ## run the main job on DATA, and put what it prints and draws into the README
	$(BIN)/python tools/readme_output.py --data '$(DATA)'

clean:  ## remove the environment, the workspace and the built documentation
	rm -rf $(VENV) .bottega site
