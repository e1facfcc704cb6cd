# One verb a need. `make demo` and `make test` set everything up themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.tintype-installed
BUNDLES := build/test-bundles
SWIFT := $(shell command -v swift 2>/dev/null)
OUT ?= out
# Of the Python tests, each with the fixtures that its tests ask for.
WORKERS ?= 2

# What the installed package is made of: any change reinstalls it (Python files are copied, C++ and Swift are
# rebuilt by Ninja and SwiftPM where they are out of date).
SOURCES := $(shell find python bridge swift/Sources cmake -type f -not -name '*.pyc' 2>/dev/null) \
           CMakeLists.txt Package.swift pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help env demo check format test test-fast test-python test-engine test-threads test-swift bundles bench fuzz fuzz-short clean

help: ## What can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

env: $(STAMP) ## Virtual environment with the package, built from this tree

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 10) and f"Python {v.major}.{v.minor} is too old: tintype needs 3.10 or newer (make PYTHON=python3.12 …)")'
	$(PYTHON) -m venv $(VENV)

# Build requirements first and without isolation: one copy of mlx instead of two.
$(VENV)/.tintype-tools: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python tests/tools/requirements.py build dependencies test lint > $(VENV)/requirements.txt
	$(BIN)/python -m pip install --quiet -r $(VENV)/requirements.txt cmake ninja
	@touch $@

$(STAMP): $(VENV)/.tintype-tools $(SOURCES)
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps \
	    -C cmake.define.TINTYPE_BUILD_TESTS=ON .
	@mkdir -p build
	@ln -sfn "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/tintype/lib" build/engine
	@touch $@
ifeq ($(SWIFT),)
	@echo 'No Swift on this machine: the package works with the MLX backend alone (swift.org/install adds the native runtime).'
endif

demo: env ## Generate an image with the embedded model
	@mkdir -p $(OUT)
	$(BIN)/tintype generate "a red circle above a blue square on a white background" --seed 7 --output $(OUT)/demo.png

check: $(VENV)/.tintype-tools ## Lint and type-check all languages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	find bridge tests fuzz -name '*.h' -o -name '*.cpp' | xargs $(BIN)/clang-format --dry-run --Werror --style=file
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/shellcheck scripts/*.sh scripts/metal/xcrun .ci/run
ifneq ($(SWIFT),)
	$(SWIFT) format lint --strict --recursive --parallel Package.swift swift examples
endif

format: $(VENV)/.tintype-tools ## Rewrite the sources in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	find bridge tests fuzz -name '*.h' -o -name '*.cpp' | xargs $(BIN)/clang-format -i --style=file
ifneq ($(SWIFT),)
	$(SWIFT) format --in-place --recursive --parallel Package.swift swift examples
endif

test: test-engine test-swift test-python ## Set up and run every test

test-fast: env ## Python tests that need no converted bundle
	$(BIN)/python -m pytest -q tests/python -m "not bundle"

THREAD_TESTS := engine_test_elements engine_test_indexing engine_test_kernels engine_test_lifetimes engine_test_marks engine_test_primitives engine_test_windows

test-threads: env ## C++ tests of calls from several threads, under ThreadSanitizer
	$(BIN)/cmake -G Ninja -S . -B build/tsan -DTINTYPE_SANITIZE=thread -DTINTYPE_BUILD_TESTS=ON -DTINTYPE_SWIFT=OFF \
	    -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja"
	$(BIN)/cmake --build build/tsan --target $(THREAD_TESTS)
	@for test in $(THREAD_TESTS); do \
	    TSAN_OPTIONS="suppressions=$(CURDIR)/tests/engine/tsan.supp" build/tsan/tests/engine/$$test || exit 1; \
	done

test-engine: env ## C++ tests
	$(BIN)/ctest --test-dir "$$(ls -td build/cp*-* | head -1)" --output-on-failure

bundles: env ## The bundles that the Swift tests read
	$(BIN)/python tests/tools/make_bundles.py $(BUNDLES)

ifeq ($(SWIFT),)
test-swift:
	@echo 'No Swift on this machine: the Swift tests cannot run here.'
else
test-swift: bundles ## Swift tests
	TINTYPE_TEST_BUNDLES="$(CURDIR)/$(BUNDLES)" $(SWIFT) build --build-tests
	TINTYPE_TEST_BUNDLES="$(CURDIR)/$(BUNDLES)" $(SWIFT) test --skip-build
endif

test-python: bundles ## Python and parity tests
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

bench: env ## Benchmarks, each a ratio against a peer or a limit measured in the same run
	$(BIN)/tintype bench --suite cpu
	$(BIN)/tintype bench --suite demo --count 50
	$(BIN)/python benchmarks/convert.py

# clang with libFuzzer; CI replays the corpus with any compiler (ctest, fuzz_replay).
CLANG ?= clang++
FUZZ_TARGETS := fuzz_package fuzz_predict
SECONDS_OF_FUZZING ?= 3600
DRAWN_SEEDS ?= 2

fuzz: env ## Fuzz the package reader, the checker, the loader and predict under ASan and UBSan
	$(BIN)/cmake -G Ninja -S . -B build/fuzz -DCMAKE_CXX_COMPILER=$(CLANG) -DTINTYPE_FUZZ=ON -DTINTYPE_SWIFT=OFF \
	    -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja"
	$(BIN)/cmake --build build/fuzz --target $(FUZZ_TARGETS)
	@mkdir -p build/fuzz/seeds
	$(if $(filter-out 0,$(DRAWN_SEEDS)),$(BIN)/python fuzz/make_corpus.py build/fuzz/seeds --drawn $(DRAWN_SEEDS))
	@for target in $(FUZZ_TARGETS); do \
	    mkdir -p build/fuzz/corpus/$$target && \
	    build/fuzz/fuzz/$$target -max_len=6144 -timeout=30 -rss_limit_mb=2500 -malloc_limit_mb=1500 -print_final_stats=1 $(FUZZ_FLAGS) \
	        -max_total_time=$(SECONDS_OF_FUZZING) build/fuzz/corpus/$$target fuzz/corpus build/fuzz/seeds || exit 1; \
	done

fuzz-short: env ## Ten seconds of each fuzz target, as CI runs them
	@mkdir -p build
	@if echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' | \
	    $(CLANG) -x c++ -fsanitize=fuzzer,address,undefined - -o build/fuzz_probe 2>/dev/null; then \
	    $(MAKE) fuzz SECONDS_OF_FUZZING=10 DRAWN_SEEDS=0 FUZZ_FLAGS='-verbosity=0 -print_funcs=0'; \
	else \
	    echo 'No $(CLANG) with libFuzzer on this machine: the fuzz targets were only replayed (ctest).'; \
	fi

clean: ## Remove everything that was built
	rm -rf $(VENV) build .build $(OUT)
