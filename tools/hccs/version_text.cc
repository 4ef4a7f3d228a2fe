// SPDX-License-Identifier: Apache-2.0
#include "version_text.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "hccs/softmax.h"
#include "hccs/version.h"
#include "machine.h"
#include "train.h"

namespace hccs::tool {

std::string version_text() {
  const Expected<std::string_view> chosen = default_target();
  const std::string trainer = train_program().string();
#ifdef HCCS_TOOL_CYCLES
  constexpr const char* kCycles = "yes";
#else
  constexpr const char* kCycles = "no (built with HCCS_BUILD_AIE=OFF)";
#endif
  return fmt::format(
      "hccs {}\ncommit: {}\nCPU targets: {}\nCPU target chosen: {}\ntraining: {}\nAI Engine cycle model: {}", kVersion,
      commit(), fmt::join(compiled_targets(), ", "), chosen.ok() ? std::string(*chosen) : chosen.status().message(),
      trainer.empty() ? "no (there is no hccs-train)" : "yes, " + trainer, kCycles);
}

}  // namespace hccs::tool
