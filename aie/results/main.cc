// SPDX-License-Identifier: Apache-2.0
//
// aie_results --json=FILE [--docs=FOLDER]: models every case, writes the numbers and, into FOLDER, aie-throughput.md
// and its plots.
#include <fmt/core.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "aie/results/report.h"

namespace {

bool write(const std::filesystem::path& path, const std::string& text) {
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) std::fputs(fmt::format("aie_results: cannot write {}\n", path.string()).c_str(), stderr);
  return static_cast<bool>(file);
}

}  // namespace

int main(int argc, char** argv) {
  std::string json;
  std::string docs;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.starts_with("--json=")) {
      json = argument.substr(7);
    } else if (argument.starts_with("--docs=")) {
      docs = argument.substr(7);
    } else {
      std::fputs(fmt::format("aie_results: '{}': usage: aie_results --json=FILE [--docs=FOLDER]\n", argument).c_str(),
                 stderr);
      return 2;
    }
  }
  if (json.empty()) {
    std::fputs(fmt::format("aie_results: usage: aie_results --json=FILE [--docs=FOLDER]\n").c_str(), stderr);
    return 2;
  }
  std::size_t quarter = 0;
  const auto results = aie_results::run(aie_results::Extent::kFull, [&](std::size_t done, std::size_t all) {
    if (4 * done / all <= quarter) return;
    quarter = 4 * done / all;
    std::fputs(fmt::format("{} of {} calls\n", done, all).c_str(), stderr);
  });
  if (!results.ok()) {
    std::fputs(fmt::format("aie_results: {}\n", results.status().message()).c_str(), stderr);
    return 1;
  }
  bool written = write(json, aie_results::json(*results));
  if (!docs.empty()) {
    const std::filesystem::path folder(docs);
    written = write(folder / "aie-throughput.svg", aie_results::throughput_svg(*results)) && written;
    written = write(folder / "aie-speedup.svg", aie_results::speedup_svg(*results)) && written;
    written = write(folder / "aie-throughput-tiles.svg", aie_results::scaling_svg(*results)) && written;
    written = write(folder / "aie-throughput.md", aie_results::markdown(*results)) && written;
  }
  return written ? 0 : 1;
}
