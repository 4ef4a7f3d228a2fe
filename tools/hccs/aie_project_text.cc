// SPDX-License-Identifier: Apache-2.0
#include "aie_project_text.h"

#include <fmt/core.h>

#include <algorithm>

#include "aie_sources.h"
#include "hccs/param_file.h"

namespace hccs::tool {
namespace {

constexpr std::string_view kConfig = R"(include=./src
include=.

[aie]
stacksize=@STACK@
heapsize=@HEAP@
xlopt=1
pl-freq=312.5
kernel-linting=true
)";

constexpr std::string_view kMakefile =
    R"(# @TITLE@, exported by hccs @VERSION@ for the @BOARD@ (@CORE@). Vitis 2025.2; README.md says more.
# The data and the code are of this device; for another one, export again.
VPP ?= v++
PLATFORM_REPO_PATHS ?= $(XILINX_VITIS)/base_platforms
PLATFORM ?= $(PLATFORM_REPO_PATHS)/@PLATFORM@/@PLATFORM@.xpfm

# The AIE API and ADF for this machine: headers only.
HCCS_AIE_HOST ?= host/include
CXX ?= g++
CXXFLAGS ?= -O2

SOURCES := src/graph.cpp src/@SOURCE@.cc
HEADERS := $(wildcard src/*.h kernels/*.h graph/*.h)
EXPECTED := $(wildcard data/expected*.txt)
INPUTS := $(filter-out $(EXPECTED),$(wildcard data/*.txt))

.PHONY: all aie x86sim aiesim host clean help
all: aie

help:
	@echo 'make aie      libadf.a: the graph for the device, with v++'
	@echo 'make x86sim   functional simulation with AMD tools, results compared with the expected ones'
	@echo 'make aiesim   simulation of the device, likewise'
	@echo 'make host     build and run on this machine without AMD tools, likewise'

aie: libadf.a
libadf.a: $(SOURCES) $(HEADERS) aie.cfg
	$(VPP) -c --mode aie --target hw --platform $(PLATFORM) --config aie.cfg --work_dir ./Work src/graph.cpp

libadf_x86.a: $(SOURCES) $(HEADERS) aie.cfg
	$(VPP) -c --mode aie --target x86sim --platform $(PLATFORM) --config aie.cfg --work_dir ./Work_x86 \
	  --aie.output-archive=libadf_x86.a src/graph.cpp

# compare FOLDER: each out*.txt of the folder with its expected file. The simulators add time stamps, TLAST lines and
# blanks, which are no data.
data_of = grep -v -e '^T ' -e '^TLAST' $(1) | sed 's/ *$$//'
define compare
	@for expected in $(EXPECTED); do \
	  out=$(1)/$$(basename $$expected | sed 's/^expected/out/'); \
	  $(call data_of,$$out) > $$out.values && cmp $$out.values $$expected || { echo "$$out differs from $$expected"; exit 1; }; \
	done; echo 'all results are as expected'
endef

x86sim: libadf_x86.a
	x86simulator --pkg-dir=./Work_x86
	$(call compare,x86simulator_output/data)

aiesim: libadf.a
	aiesimulator --pkg-dir=./Work
	$(call compare,aiesimulator_output/data)

build/graph_host: $(SOURCES) $(HEADERS) Makefile
	@mkdir -p build
	$(CXX) -std=c++20 $(CXXFLAGS) -D__AIE_ARCH__=@ARCH@ -DHCCS_AIE_HOST -I$(HCCS_AIE_HOST) -I. -Isrc $(SOURCES) -o $@ -pthread

# Here the files are equal byte for byte.
host: build/graph_host
	@rm -rf host_output && mkdir -p host_output/data && cp $(INPUTS) host_output/data
	cd host_output && ../build/graph_host
	@for expected in $(EXPECTED); do \
	  cmp host_output/data/$$(basename $$expected | sed 's/^expected/out/') $$expected || exit 1; \
	done; echo 'all results are as expected'

clean:
	rm -rf build host_output Work Work_x86 libadf.a libadf_x86.a *_output
)";

// The headers that `root` includes with quotes, and theirs.
Status add_sources(std::string_view root, std::set<std::string_view>& added, std::vector<ProjectFile>& files) {
  const std::span<const SourceFile> sources = aie_sources();
  const auto file = std::find_if(sources.begin(), sources.end(), [&](const SourceFile& f) { return f.path == root; });
  if (file == sources.end()) {
    return {StatusCode::kUnsupported, fmt::format("the program was built without the source {}", root)};
  }
  if (!added.insert(file->path).second) return {};
  files.push_back({std::string(file->path), std::string(file->text)});
  const std::string_view folder = root.substr(0, root.find('/') + 1);
  constexpr std::string_view kInclude = "#include \"";
  for (size_t at = file->text.find(kInclude); at != std::string_view::npos; at = file->text.find(kInclude, at + 1)) {
    const size_t begin = at + kInclude.size();
    const std::string_view name = file->text.substr(begin, file->text.find('"', begin) - begin);
    HCCS_RETURN_IF_ERROR(add_sources(
        name.starts_with("../") ? std::string(name.substr(3)) : fmt::format("{}{}", folder, name), added, files));
  }
  return {};
}

}  // namespace

const std::string_view kMaskedGraphSource = R"(#include "graph.h"

Project project_graph;

// For the simulators and for aie/host. On a board the application calls the same functions; the limits may change before
// each run.
#if defined(__AIESIM__) || defined(__X86SIM__) || defined(HCCS_AIE_HOST)
int main() {
  project_graph.init();
  for (unsigned block = 0; block < project::kBlocks; ++block) {
    project_graph.update(project_graph.valid_length, project::kMasks[block][0]);
    project_graph.update(project_graph.causal_offset, project::kMasks[block][1]);
    project_graph.run(1);
    project_graph.wait();
  }
  project_graph.end();
  return 0;
}
#endif
)";

DeviceFacts facts(AieDevice device) {
  if (device == AieDevice::kVek280) return {"vek280", "VEK280", "AIE-ML", "xilinx_vek280_base_202520_1", 20, 4};
  return {"vek385", "VEK385", "AIE-ML v2", "vek385_base", 22, 8};
}

std::string fill(std::string_view text, const Marks& marks) {
  std::string filled(text);
  for (const auto& [name, value] : marks) {
    const std::string mark = fmt::format("@{}@", name);
    for (size_t at = filled.find(mark); at != std::string::npos; at = filled.find(mark, at + value.size())) {
      filled.replace(at, mark.size(), value);
    }
  }
  return filled;
}

std::string plain(std::string text) {
  for (char& c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && std::string_view(" -_.,/+:").find(c) == std::string_view::npos) c = '?';
  }
  return text;
}

std::string plio_text(std::span<const int> values, int64_t element_bytes, int64_t beat_bytes) {
  const auto per_line = static_cast<size_t>(beat_bytes / element_bytes);
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) {
    fmt::format_to(std::back_inserter(text), "{}{}", values[i], i % per_line == per_line - 1 ? '\n' : ' ');
  }
  return text;
}

std::string parameter_lines(int64_t layer, std::span<const ExportedHead> heads) {
  std::string text;
  for (const ExportedHead& head : heads) {
    const HeadParams& params = head.params;
    text += fmt::format("    {}, {},", params.offset, params.knee_count);
    for (int k = 0; k < kMaxKnees; ++k) text += fmt::format(" {},", k < params.knee_count ? params.knees[k].slope : 0);
    for (int k = 0; k < kMaxKnees; ++k)
      text += fmt::format(" {},", k < params.knee_count ? params.knees[k].position : 1);
    text += fmt::format("  // {}\n", head_name(layer, head.number));
  }
  return text;
}

std::string mask_lines(std::span<const BlockMask> masks) {
  std::string text;
  for (const BlockMask& m : masks) text += fmt::format("    {{{}, {}}},\n", *m.valid_length, *m.causal_offset);
  return text;
}

Status add_common_files(std::string_view kernel, std::string_view graph, const Marks& marks,
                        std::vector<ProjectFile>& files) {
  files.push_back({"Makefile", fill(kMakefile, marks)});
  files.push_back({"aie.cfg", fill(kConfig, marks)});
  std::set<std::string_view> added;
  HCCS_RETURN_IF_ERROR(add_sources(fmt::format("kernels/{}.h", kernel), added, files));
  HCCS_RETURN_IF_ERROR(add_sources(fmt::format("graph/{}.h", graph), added, files));
  for (const SourceFile& source : aie_sources()) {
    if (source.path.starts_with("host/")) files.push_back({std::string(source.path), std::string(source.text)});
  }
  return {};
}

}  // namespace hccs::tool
