// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include <fmt/core.h>
#include <sys/utsname.h>

#include <fstream>

#include "hccs_commit.h"  // made by the build
#include "texts.h"

namespace hccs::tool {

std::string machine() {
  std::string name;
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; name.empty() && std::getline(cpuinfo, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) name = line.substr(colon + 2);
  }
  if (name.empty()) {
    utsname system{};
    name = uname(&system) == 0 ? system.machine : "unknown";
  }
  const int cores = default_threads();
  return fmt::format("{}, {} core{}", name, cores, cores == 1 ? "" : "s");
}

std::string commit() { return kCommit; }

}  // namespace hccs::tool
