// SPDX-License-Identifier: Apache-2.0
//
// The SIMD kernels, and the list of targets that this CPU runs. foreach_target.h compiles this file once an instruction
// set; docs/cpu.md says how to add one.
#define HWY_COMPILE_ALL_ATTAINABLE
// Arm: NEON is the baseline, without run-time dispatch and without Highway 1.0.3's demand for AES.
#define TOOLCHAIN_MISS_SYS_AUXV_H
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "softmax/kernels.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
// After foreach_target.h
#include <hwy/highway.h>

#include "contract/target_list.h"
#include "softmax/plan.h"
#include "softmax/score_rows-inl.h"
#include "softmax/table_rows-inl.h"

#if HWY_ONCE
namespace hccs::internal {
namespace {

bool cpu_has(int64_t highway_target) noexcept {
#if HWY_ARCH_X86
  return (hwy::SupportedTargets() & highway_target) != 0;
#else
  return highway_target == HWY_STATIC_TARGET;
#endif
}

}  // namespace

const TargetList<Target>& target_list() {
  static const TargetList<Target> targets = [] {
    TargetList<Target> list;
    const auto add = [&](std::string_view name, int64_t id, decltype(Target::run) run, bool runs_here) {
      if (run != nullptr) list.add({name, id, run}, runs_here);
    };
#if HWY_ARCH_X86
    add("avx512-vbmi", kVbmiId, HWY_CHOOSE_AVX3(vbmi::run_rows),
        cpu_has(HWY_AVX3) && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vbmi") &&
            __builtin_cpu_supports("avx512vnni"));
#endif
    add("avx512", HWY_AVX3, HWY_CHOOSE_AVX3(run_rows), cpu_has(HWY_AVX3));
    add("avx2", HWY_AVX2, HWY_CHOOSE_AVX2(run_rows), cpu_has(HWY_AVX2));
    add("sse4", HWY_SSE4, HWY_CHOOSE_SSE4(run_rows), cpu_has(HWY_SSE4));
    add("neon", HWY_NEON, HWY_CHOOSE_NEON(run_rows), cpu_has(HWY_NEON));
    add("portable", kPortableId, run_rows_portable, true);
    return list;
  }();
  return targets;
}

}  // namespace hccs::internal
#endif  // HWY_ONCE
