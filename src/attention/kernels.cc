// SPDX-License-Identifier: Apache-2.0
//
// The list of attention targets that this build has, and of those that this CPU runs.
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "attention/plan.h"
#include "attention/simd.h"
#include "contract/target_list.h"

namespace hccs::internal {
namespace {

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

}  // namespace

const TargetList<AttentionTarget>& attention_target_list() {
  static const TargetList<AttentionTarget> targets = [] {
    TargetList<AttentionTarget> list;
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    const bool vbmi = avx512 && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
    list.add(amx_attention_target(), vbmi && cpu_has_amx() && system_allows_amx());
    list.add(vbmi_attention_target(), vbmi);
    list.add(avx512_attention_target(), avx512);
    list.add(avx2_vnni_attention_target(), avx2 && cpu_has_avx_vnni());
    list.add(avx2_attention_target(), avx2);
    list.add(sse4_attention_target(), __builtin_cpu_supports("sse4.2") != 0);
#elif defined(__aarch64__)
    const bool dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    list.add(neon_i8mm_attention_target(), dotprod && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0);
    list.add(neon_dotprod_attention_target(), dotprod);
    list.add(neon_attention_target(), true);
#endif
    list.add(portable_attention_target(), true);
    return list;
  }();
  return targets;
}

}  // namespace hccs::internal
