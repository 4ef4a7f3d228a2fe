// SPDX-License-Identifier: Apache-2.0
//
// The list of attention targets that this build has, and of those that this CPU runs.
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <vector>

#include "attention/plan.h"
#include "attention/simd.h"

namespace hccs::internal {
namespace {

struct CompiledTarget {
  AttentionTarget target;
  bool runs_here;
};

#if defined(__x86_64__)
// GCC 12 and Clang 14 do not know the name. AVX2 has shown that the system saves the registers.
bool cpu_has_avx_vnni() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & (1U << 4)) != 0;
}
#endif

// Better targets first.
const std::vector<CompiledTarget>& all_targets() {
  static const std::vector<CompiledTarget> targets = [] {
    std::vector<CompiledTarget> compiled;
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    compiled.push_back({vbmi_attention_target(), avx512 && __builtin_cpu_supports("avx512vbmi") &&
                                                     __builtin_cpu_supports("avx512vnni")});
    compiled.push_back({avx512_attention_target(), avx512});
    compiled.push_back({avx2_vnni_attention_target(), avx2 && cpu_has_avx_vnni()});
    compiled.push_back({avx2_attention_target(), avx2});
    compiled.push_back({sse4_attention_target(), __builtin_cpu_supports("sse4.2") != 0});
#elif defined(__aarch64__)
    compiled.push_back({neon_dotprod_attention_target(), (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0});
    compiled.push_back({neon_attention_target(), true});
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
