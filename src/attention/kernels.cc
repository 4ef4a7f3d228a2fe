// SPDX-License-Identifier: Apache-2.0
//
// The list of attention targets that this build has, and of those that this CPU runs.
#include <vector>

#include "attention/plan.h"
#include "attention/simd.h"

namespace hccs::internal {
namespace {

struct CompiledTarget {
  AttentionTarget target;
  bool runs_here;
};

// Better targets first.
const std::vector<CompiledTarget>& all_targets() {
  static const std::vector<CompiledTarget> targets = [] {
    std::vector<CompiledTarget> compiled;
#if defined(__x86_64__)
    compiled.push_back({vbmi_attention_target(),
                        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                            __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni")});
    compiled.push_back({avx2_attention_target(), __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                                                     __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")});
    compiled.push_back({sse4_attention_target(), __builtin_cpu_supports("sse4.2") != 0});
#endif
    compiled.push_back({portable_attention_target(), true});
    return compiled;
  }();
  return targets;
}

}  // namespace

std::span<const AttentionTarget> available_attention_targets() noexcept {
  static const std::vector<AttentionTarget> targets = [] {
    std::vector<AttentionTarget> available;
    for (const CompiledTarget& t : all_targets()) {
      if (t.runs_here) available.push_back(t.target);
    }
    return available;
  }();
  return targets;
}

std::span<const std::string_view> compiled_attention_target_names() noexcept {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> list;
    for (const CompiledTarget& t : all_targets()) list.push_back(t.target.name);
    return list;
  }();
  return names;
}

}  // namespace hccs::internal
