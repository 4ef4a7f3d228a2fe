# SPDX-License-Identifier: Apache-2.0
# The front door. CMake presets are behind it.
.PHONY: demo record-demo test test-python test-torch bench bench-softmax bench-attention bench-encoder bench-python row-lengths bench-aie train-tables train-quick build packages test-aie test-aie-api test-release test-asan test-aarch64 fuzz venv venv-aie4ml venv-peers model format tidy tidy-changed help
export HCCS_MODEL ?= $(CURDIR)/build/demo/model
export HCCS_PYTHON ?= $(CURDIR)/build/venv/bin/python
export HCCS_AIE4ML_PYTHON ?= $(CURDIR)/build/venv-aie4ml/bin/python

help:
	@echo 'make demo    install, build, fetch the model, calibrate, evaluate, print the table'
	@echo 'make test    install, build, run every test; under ASan and UBSan too, for Arm under qemu, and some fuzzing'
	@echo 'make test-aie  the AI Engine kernels, graphs and host alone (part of make test)'
	@echo 'make test-python  the Python package, built into an environment of its own (part of make test)'
	@echo 'make test-torch  hccs.torch with PyTorch and transformers, 2 GB of disk (not part of make test; CI runs all but the slow ones)'
	@echo 'make test-aie-api AIE_API=DIR  the kernels over the AIE API that AMD ships: DIR holds aie_api/aie.hpp (docs/ai-engine.md)'
	@echo 'make train-tables HCCS_DATA=DIR  the accuracy tables (hours; continues where it was ended); make train-quick: a small set of them'
	@echo 'make bench   speed of the encoder and of calibration'
	@echo 'make bench-softmax  row softmax beside oneDNN and XNNPACK; writes docs/results/softmax-cpu.md'
	@echo 'make row-lengths  what outputs of 8 and 16 bits cost by row length, after make demo; writes docs/cpu.md and docs/results/row-lengths.json'
	@echo 'make bench-attention  attention beside oneDNN, ONNX Runtime and OpenVINO; writes docs/results/attention-cpu.md'
	@echo 'make bench-encoder  the sentence encoder in integers beside ONNX Runtime and OpenVINO; writes docs/results/encoder-cpu.md'
	@echo 'make bench-python  calls and calibration from Python, after make test-python; forward passes of PyTorch after make test-torch'
	@echo 'make bench-aie  modelled cycles of the AI Engine kernels; writes aie-cycles.json into build/results and docs/results, and docs/results/aie-throughput.md'
	@echo 'make build   the programs alone: build/hccs and, with libtorch, build/hccs-train'
	@echo 'make format  clang-format; make tidy: clang-tidy on all sources; make tidy-changed: on those of the last commits'

packages:
	cmake/install-packages.sh

build: packages
	cmake --preset release
	cmake --build --preset release --target hccs_programs

# Without hccs-train, which it does not run.
demo: packages
	cmake --preset release
	cmake --build --preset release --target hccs_tool
	examples/demo.sh

# The demo, and its digits as those that README's table is compared with (docs_figures).
record-demo: demo
	cp build/results/demo.json docs/results/

# Two parts at a time: each ends with a file or a program that keeps one core busy. The Python package comes last: it
# compares with the program that test-release builds.
test:
	$(MAKE) -j2 test-release test-asan test-aarch64 fuzz
	$(MAKE) test-python

model: packages
	examples/fetch-model.sh $(HCCS_MODEL)

# Python is only for what the tests compare with.
venv: build/venv/.done
build/venv/.done: tests/requirements.txt | packages
	python3 -m venv build/venv
	build/venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	touch $@

# aie4ml has an environment of its own, and what cannot be installed is no failure: the tests that need it say that they
# were skipped.
venv-aie4ml: build/venv-aie4ml/.done
build/venv-aie4ml/.done: tests/aie/aie4ml/requirements.txt | packages
	rm -rf build/venv-aie4ml
	if python3 -m venv build/venv-aie4ml && \
	    build/venv-aie4ml/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<; \
	then touch $@; else echo 'aie4ml cannot be installed: its tests will be skipped'; rm -rf build/venv-aie4ml; fi

# The AI Engine's unit tests are in test-asan; here its kernels run in MinilmHeads, the cycle model and exported projects.
test-release: packages model venv venv-aie4ml
	cmake --preset release -D HCCS_AIE_UNIT_TESTS=OFF
	cmake --build --preset release
	ctest --preset release

# Without the searches for better parameters than the calibrator's, which are long and call what Calibrate calls.
test-asan: packages model venv
	cmake --preset asan
	cmake --build --preset asan
	ctest --preset asan --label-exclude release-only --exclude-regex '^Search[.]'

# The Python package. Tests that compare it with the program are skipped where build/hccs is not there.
test-python: packages
	tests/python/run.sh

# hccs.torch, with PyTorch and transformers.
test-torch: packages
	tests/torch/run.sh

# What test-release and test-asan have of the AI Engine.
test-aie: packages
	cmake --preset release -D HCCS_AIE_UNIT_TESTS=ON
	cmake --build --preset release
	ctest --preset release --tests-regex '^aie'

# The kernels over AMD's own AIE API, which is not in this repository: AIE_API is the folder that holds aie_api/aie.hpp,
# AIE_CXX is Clang 16 or later, AIE_REPEAT how often each test draws other cases.
AIE_CXX ?= clang++-19
AIE_REPEAT ?= 1
test-aie-api:
	@test -f '$(AIE_API)/aie_api/aie.hpp' || { echo 'AIE_API must name a folder that holds aie_api/aie.hpp, of AMD (docs/ai-engine.md): "$(AIE_API)"' >&2; exit 1; }
	@command -v '$(AIE_CXX)' >/dev/null || { echo 'AIE_CXX must name Clang 16 or later, such as clang++-19 of the package clang-19: "$(AIE_CXX)"' >&2; exit 1; }
	cmake/install-packages.sh
	cmake --preset aie-api -D CMAKE_CXX_COMPILER='$(AIE_CXX)' -D HCCS_AIE_API='$(abspath $(AIE_API))' -D HCCS_AIE_API_REPEAT=$(AIE_REPEAT)
	cmake --build --preset aie-api
	ctest --preset aie-api

# The unit tests that an instruction set can change, cross-compiled and run under qemu-user: NEON.
test-aarch64: packages
	cmake --preset aarch64
	cmake --build --preset aarch64
	ctest --preset aarch64

# Each fuzzer for a while, from its stored corpus; what they find is left in build/fuzz.
FUZZ_SECONDS ?= 20
fuzz: packages
	cmake --preset fuzz
	cmake --build --preset fuzz
	tests/fuzz/run.sh build/fuzz $(FUZZ_SECONDS)

bench: packages model
	cmake --preset release -D HCCS_BUILD_BENCHMARKS=ON
	cmake --build --preset release --target calibration_bench encoder_bench
	build/bench/calibration_bench
	build/bench/encoder_bench

bench-softmax: packages
	cmake --preset release -D HCCS_BUILD_BENCHMARKS=ON
	cmake --build --preset release --target softmax_bench
	build/bench/softmax_bench --json=build/results/softmax-cpu.json --markdown=docs/results/softmax-cpu.md

# The demo's model and its native parameters, on texts that they were not calibrated on.
row-lengths: packages
	cmake --preset release -D HCCS_BUILD_BENCHMARKS=ON
	cmake --build --preset release --target row_lengths
	build/bench/row_lengths --model="$(HCCS_MODEL)" --json=docs/results/row-lengths.json --page=docs/cpu.md \
	  build/demo/params-k1.json build/demo/params-k2.json build/demo/params-k3.json

bench-attention: packages venv-peers
	cmake --preset release -D HCCS_BUILD_BENCHMARKS=ON
	cmake --build --preset release --target attention_bench
	build/bench/attention_bench --hold-to-avx2 --json=build/results/attention-cpu-avx2.json
	rm -f build/results/attention-cpu-peers.json
	if [ -f build/venv-peers/.done ]; then \
	  build/venv-peers/bin/python -B bench/attention/peers.py --json=build/results/attention-cpu-peers.json; fi
	build/bench/attention_bench --json=build/results/attention-cpu.json --markdown=docs/results/attention-cpu.md \
	  --avx2=build/results/attention-cpu-avx2.json \
	  $$(test ! -f build/results/attention-cpu-peers.json || echo --peers=build/results/attention-cpu-peers.json)

# The peers of attention and of the integer encoder have an environment of their own, and what cannot be installed has no row.
venv-peers: build/venv-peers/.done
build/venv-peers/.done: bench/encoder/requirements.txt | packages
	rm -rf build/venv-peers
	if python3 -m venv build/venv-peers && \
	    build/venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<; \
	then touch $@; else echo 'the peers cannot be installed: they will have no row'; rm -rf build/venv-peers; fi

bench-encoder: packages model venv venv-peers
	cmake --preset release -D HCCS_BUILD_BENCHMARKS=ON
	cmake --build --preset release --target integer_encoder_rows hccs_tool
	$(HCCS_PYTHON) bench/encoder/run.py --model "$(HCCS_MODEL)" --peers build/venv-peers/bin/python

# In the environments of test-python and, where that is there, of test-torch.
bench-python:
	build/venv-python/bin/python bench/python_bench.py
	if [ -e build/venv-torch/.done ]; then build/venv-torch/bin/python bench/torch_bench.py; fi

# No AMD tool is needed. The same commit writes the same files.
bench-aie: packages
	cmake --preset release
	cmake --build --preset release --target aie_results
	build/aie/results/aie_results --json=build/results/aie-cycles.json --docs=docs/results
	cp build/results/aie-cycles.json docs/results/

# Trains: hours, cell by cell; ended and begun again it continues. Writes docs/results/accuracy.md and .json. HCCS_DATA names
# the folder with SST-2, SNLI, MNLI and the BERT vocabulary (docs/formats.md).
train-tables: build model
	python3 training/tables.py --data "$(HCCS_DATA)"
train-quick: build model
	python3 training/tables.py --quick

format: packages
	git ls-files '*.h' '*.cc' | xargs clang-format -i

tidy: packages
	cmake --preset release
	cmake/tidy.sh build all
tidy-changed: packages
	cmake --preset release
	cmake/tidy.sh build changed
