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
// Bit `bit` of a register of CPUID leaf 7, whose names GCC 12 or Clang 14 do not know.
enum class Register { kEax, kEdx };
[[maybe_unused]] bool leaf_7_has(unsigned subleaf, Register where, int bit) {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid_count(7, subleaf, &eax, &ebx, &ecx, &edx) == 0) return false;
  return (((where == Register::kEax ? eax : edx) >> bit) & 1) != 0;
}

#if defined(HCCS_EMULATE_INSTRUCTIONS)
bool cpu_has_avx_vnni() { return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl"); }
bool cpu_has_amx() { return true; }
#else
bool cpu_has_avx_vnni() { return leaf_7_has(1, Register::kEax, 4); }
bool cpu_has_amx() { return leaf_7_has(0, Register::kEdx, 24) && leaf_7_has(0, Register::kEdx, 25); }  // tiles, int8
#endif
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
    const bool vbmi = avx512 && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
    compiled.push_back({amx_attention_target(), vbmi && cpu_has_amx() && system_allows_amx()});
    compiled.push_back({vbmi_attention_target(), vbmi});
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
