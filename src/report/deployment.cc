// SPDX-License-Identifier: Apache-2.0
#include "report/deployment.h"

#include <fmt/core.h>

#include <algorithm>

namespace hccs {

int64_t Deployment::refused() const noexcept {
  return std::count_if(heads.begin(), heads.end(), [](const auto& broken) { return broken.has_value(); });
}

std::vector<Deployment> deployments(const ParamFile& file, int64_t n) {
  std::vector<Deployment> all = {{"CPU", "cpu", {}},
                                 {"AI Engine", "aie", {}},
                                 {"AI Engine, masked rows", "aie_masked", {}},
                                 {"paper", "paper", {}}};
  for (const HeadEntry& entry : file.entries) {
    all[0].heads.emplace_back(
        std::nullopt);  // row softmax on CPUs serves all valid parameters, and a file has no other
    all[1].heads.push_back(broken_aie_rule(entry.params, n, AieRows::kFull));
    all[2].heads.push_back(broken_aie_rule(entry.params, n, AieRows::kMasked));
    all[3].heads.push_back(broken_paper_rule(entry.params, n));
  }
  return all;
}

int64_t longest_row(const ParamFile& file, Normalisation normalisation, OutputType output) {
  int64_t longest = kMaxRowLength;
  for (const HeadEntry& entry : file.entries) {
    longest = std::min(longest, longest_row(normalisation, output, entry.params.offset));
  }
  return longest;
}

std::string normalisation_answer(const ParamFile& file, int64_t n) {
  std::string text;
  for (const OutputType output : {OutputType::kInt16, OutputType::kUint8}) {
    for (const Normalisation normalisation : {Normalisation::kDiv, Normalisation::kClb}) {
      const int64_t longest = longest_row(file, normalisation, output);
      if (n <= longest) continue;
      text += fmt::format("{}{} to {} beyond n = {}", text.empty() ? "scaled; rows may get 0 everywhere by " : ", ",
                          name(normalisation), name(output), longest);
    }
  }
  return text.empty() ? "any" : text;
}

std::vector<Breach> breaches(const Deployment& deployment) {
  std::vector<Breach> found;
  for (size_t i = 0; i < deployment.heads.size(); ++i) {
    const std::optional<BrokenRule>& broken = deployment.heads[i];
    if (!broken) continue;
    const auto known =
        std::find_if(found.begin(), found.end(), [&](const Breach& b) { return b.breach == broken->breach; });
    if (known != found.end()) {
      ++known->heads;
    } else {
      found.push_back({broken->breach, 1, static_cast<int64_t>(i)});
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const Breach& a, const Breach& b) { return a.heads > b.heads; });
  return found;
}

std::string answer(const Deployment& deployment, int64_t heads) {
  if (deployment.takes_all()) return "yes";
  std::string text = "no, ";
  bool first = true;
  for (const Breach& breach : breaches(deployment)) {
    text += fmt::format("{}{} in {} of {} heads ({}: {})", first ? "" : "; ", breach.breach, breach.heads,
                        deployment.heads.size(), head_name(breach.first / heads, breach.first % heads),
                        deployment.heads[static_cast<size_t>(breach.first)]->detail);
    first = false;
  }
  return text;
}

std::vector<std::string> reasons(const Deployment& deployment, int64_t heads) {
  const std::string target = deployment.key == "aie_masked" ? "aie, masked rows" : deployment.key;
  std::vector<std::string> all;
  for (size_t i = 0; i < deployment.heads.size(); ++i) {
    if (!deployment.heads[i]) continue;
    const auto place = static_cast<int64_t>(i);
    all.push_back(fmt::format("{}: not deployable ({}): {}", head_name(place / heads, place % heads), target,
                              deployment.heads[i]->detail));
  }
  return all;
}

}  // namespace hccs
