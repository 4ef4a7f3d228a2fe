// SPDX-License-Identifier: Apache-2.0
#include "all_deployments.h"

#include "aie/export/aie4ml_directives.h"

namespace hccs::tool {
namespace {

// The paper's rules, and those of aie4ml's layouts and quantisers. The tiled layout takes every length that the linear
// one takes.
std::optional<BrokenRule> broken_aie4ml_rule(const HeadEntry& entry, int64_t n) {
  if (auto broken = broken_paper_rule(entry.params, n)) return broken;
  constexpr int64_t kTileColumns = 8;
  const Status status = aie_export::check(
      {.model = {}, .heads = {{.params = entry.params, .step = entry.step}}, .length = n, .nodes = "softmax"});
  if (status.ok()) return std::nullopt;
  std::string detail = status.message();
  if (const std::string head = head_name(0, 0) + ": "; detail.starts_with(head)) detail.erase(0, head.size());
  return BrokenRule{n % kTileColumns != 0 ? "n no multiple of 8" : "step no 2^-f", detail};
}

}  // namespace

std::vector<Deployment> all_deployments(const ParamFile& file, int64_t n) {
  std::vector<Deployment> all = deployments(file, n);
  Deployment aie4ml = {"aie4ml", "aie4ml", {}};
  for (const HeadEntry& entry : file.entries) aie4ml.heads.push_back(broken_aie4ml_rule(entry, n));
  all.insert(all.end() - 1, std::move(aie4ml));
  return all;
}

}  // namespace hccs::tool
