# The commands of the project; `make help` lists them. Thin: CMake presets do the work.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
DATA ?= ./data
SEED ?= 1
CONFIGURE = test -f build/$(1)/build.ninja || cmake --preset $(1) >/dev/null
BUILD = $(call CONFIGURE,$(1)) && ninja -C build/$(1) -j $(JOBS)

.PHONY: help run build test test-unit test-sim test-e2e test-compat test-asan test-tsan bench lint format fuzz sim dist clean setup

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what building and testing needs
	@scripts/setup test

build: ## the release binary: build/release/hamster
	@scripts/setup build
	@$(call BUILD,release) hamster

run: build ## install, build, found a node in ./data and serve it on 127.0.0.1:9000
	@scripts/run build/release/hamster $(DATA)

test: setup ## install, build and run everything
	@scripts/test all

test-unit: setup ## unit tests of every room
	@scripts/test unit
test-sim: setup ## the simulator: thousands of seeds
	@scripts/test sim
test-e2e: setup ## real processes: kill -9, full disk, signals
	@scripts/test e2e
test-compat: setup ## the real S3 clients at their defaults
	@scripts/test compat
test-asan: setup ## unit tests and seeds under ASan and UBSan, and a short run of every fuzzer
	@scripts/test asan
test-tsan: setup ## threaded code under TSan
	@scripts/test tsan

bench: setup ## measure the promises and write docs/performance.md
	@$(call BUILD,release) hamster hamster-erasure-bench
	@python3 tests/bench/run.py build/release/hamster
	@python3 tests/bench/cluster.py build/release/hamster
	@python3 tests/bench/erasure.py build/release/hamster

lint: setup ## rooms, determinism, format, clang-tidy (all files with CI=true, else changed ones)
	@scripts/lint

format: ## clang-format everything
	@git ls-files '*.cc' '*.h' '*.inl' | xargs clang-format-19 -i

fuzz: setup ## run every fuzzer for FUZZ_SECONDS (default 60) each
	@$(call BUILD,asan)
	@scripts/fuzz $${FUZZ_SECONDS:-60}

sim: setup ## one seed of the simulator, with its trace: make sim SEED=n
	@$(call BUILD,release) hamster-sim
	@build/release/hamster-sim --seed $(SEED) --verbose

dist: build ## the stripped release binary and its checksum in dist/
	@scripts/dist build/release/hamster

clean: ## remove what was built
	@rm -rf build dist
