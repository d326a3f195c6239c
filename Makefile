# make demo: install into .venv, adapt the embedded model on the embedded benchmark, print the leaderboard.
# make test: the same set-up, then lint, types and every test.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
RUNS ?= runs/demo
# Each test process has one thread (tests/conftest.py), so they share the cores; with worksteal a module stays in one of
# them while it can, so that what its tests share is made once.
WORKERS ?= -n auto --maxprocesses 4 --dist worksteal

# the window of pyproject.toml: its beginning, what a GPU image may have, the last that vLLM allows
TRANSFORMERS ?= 5.16.1 5.17.0 5.20.2
OTHER_TESTS ?= tests/models tests/rl tests/methods tests/lm_eval

.PHONY: demo labelled models test test-shuffled chaos determinism fuzz soak other-transformers vllm-test gpu-check lint wheel clean

demo: $(STAMP)
	$(BIN)/audio-eval --model tiny-omni --method direct,choice_likelihood,majority_vote,aqa_ttrl,view_ttrl --tasks synth_aqa --output $(RUNS)
	$(BIN)/audio-eval leaderboard $(RUNS) -o $(RUNS)/leaderboard

labelled: $(STAMP)
	$(BIN)/audio-eval --model tiny-omni --method grpo,sft --method-args labels=gold --train-task synth_aqa:train \
	  --tasks synth_aqa --output $(RUNS)
	$(BIN)/audio-eval leaderboard $(RUNS) -o $(RUNS)/leaderboard

# docs/models.md from the checks of every model family
models: $(STAMP)
	$(BIN)/python -m tests.models.families.page

test: $(STAMP) lint
	$(BIN)/python -m pytest $(WORKERS) -p no:randomly

# the same tests in three random orders
test-shuffled: $(STAMP)
	for seed in 1 2 3; do $(BIN)/python -m pytest $(WORKERS) -p randomly --randomly-seed=$$seed || exit 1; done

# runs that are killed, damaged and starved, counted
chaos: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos --minutes 8

# every method twice, in new processes: the same bytes
determinism: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.determinism

# inputs led by coverage, for what reads files of strangers
fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt atheris
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --seconds 120 --jobs 2

# memory, files and threads of long runs; ten runs in one folder
soak: $(STAMP)
	$(BIN)/python bench/soak.py

# the tests of vLLM, in a cached environment of their own
vllm-test:
	PYTHON=$(PYTHON) scripts/vllm_test.sh
# models, training and lm-eval with other versions of transformers
other-transformers: $(STAMP)
	for version in $(TRANSFORMERS); do scripts/other_transformers.sh $$version $(WORKERS) $(OTHER_TESTS) || exit 1; done

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: $(STAMP)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

# the engine against the bound of this machine's GPU; PYTHON may be any with torch, transformers and peft
gpu-check:
	$(PYTHON) bench/gpu_check.py --out gpu_check.json

# torch comes first and by its exact version: another package's plain "torch" would pull gigabytes of CUDA.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(STAMP)

clean:
	rm -rf .venv build dist *.egg-info
