# Everything from a bare clone: needs Python 3.11 or newer, and make.

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo-archive
BIN := $(VENV)/bin
ECHOIC := $(BIN)/echoic

.PHONY: demo test scaling parity parity-venvs lint clean

demo: export ECHOIC_CATALOGUE = $(DEMO)/catalogue
demo: $(VENV)/.installed
	@echo
	@echo "The sounds of the demo are synthetic: made here by signal processing, named for what they imitate."
	$(ECHOIC) demo $(DEMO)/sounds
	$(ECHOIC) index $(DEMO)/sounds
	$(ECHOIC) status
	@echo
	@echo "Words, answered by listening and by the names (from 0.8 on a hit is strong, from 0.5 possible):"
	$(ECHOIC) search "church bell" -k 5
	$(ECHOIC) search "siren" -k 5
	$(ECHOIC) search "dog barking -siren" -k 5
	$(ECHOIC) search "church bell & siren" -k 5
	@echo
	@echo "An example: what sounds like this siren?"
	$(ECHOIC) similar $(DEMO)/sounds/signals/siren-wail.wav -k 5
	@echo
	@echo "By fingerprint: where was this re-encoded half minute taken from? (0:35 of the field recording;"
	@echo "it finds itself, too, for it is in the archive.)"
	$(ECHOIC) identify $(DEMO)/sounds/copies/field-recording-excerpt.mp3 --all-occurrences --p-false 1e-9
	@echo
	@echo "What the archive holds twice:"
	$(ECHOIC) duplicates
	@echo
	@echo "Words that must stand in names, tags or descriptions, and a condition:"
	$(ECHOIC) search '"field recording" duration:>1:00'
	@echo
	@echo "Your own sounds, in a catalogue of your own:"
	@echo "    $(ECHOIC) index ~/my-sounds"
	@echo "    $(ECHOIC) search \"dog barking\""
	@echo
	@echo "See and hear the demo in your browser:"
	@echo "    $(ECHOIC) ui --catalogue $(DEMO)/catalogue"

test: $(VENV)/.installed-dev lint
	$(BIN)/pytest -n logical --maxprocesses 4 --dist worksteal --rerun-show-tracebacks

# Echoic past one machine: servers are started for the tests and stopped, several machines imitated.
scaling: $(VENV)/.installed-scaling
	$(BIN)/pytest tests/scaling --reruns 2 --rerun-show-tracebacks # a busy machine may miss the moment at which something is stopped

$(VENV)/.installed-scaling: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --editable '.[dev,milvus,postgres,ray]'
	@touch $@

# Vectors by converted checkpoints against those by the package laion-clap. It needs NumPy 1, and so
# a virtual environment of its own; another has Echoic with the extra that converts.
parity: parity-venvs
	mkdir -p build
	LAION_CLAP_PYTHON=$(abspath $(VENV)-laion-clap/bin/python) \
		$(VENV)-clap/bin/pytest tests/parity -s -p no:cacheprovider --basetemp build/parity

parity-venvs: $(VENV)-clap/.installed $(VENV)-laion-clap/.installed

# On Linux the torch of PyPI is built for CUDA and takes gigabytes. Where the index of those for the
# CPU can be reached, it is taken from there.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
CPU_TORCH = $(shell $(PYTHON) -c 'from urllib.request import urlopen as ask; \
	ask("$(TORCH_INDEX)/torch/", timeout=10)' 2> /dev/null && echo --extra-index-url $(TORCH_INDEX))

$(VENV)-clap/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)-clap
	$(VENV)-clap/bin/python -m pip install --quiet --upgrade pip
	$(VENV)-clap/bin/python -m pip install --quiet $(CPU_TORCH) --editable '.[clap]' pytest
	@touch $@

$(VENV)-laion-clap/.installed: tests/parity/requirements.txt
	$(PYTHON) -m venv $(VENV)-laion-clap
	$(VENV)-laion-clap/bin/python -m pip install --quiet --upgrade pip
	$(VENV)-laion-clap/bin/python -m pip install --quiet $(CPU_TORCH) --requirement $<
	@touch $@

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Echoic needs Python 3.11 or newer; name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-clap $(VENV)-laion-clap $(DEMO) build dist *.egg-info
