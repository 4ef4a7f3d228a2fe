// SPDX-License-Identifier: Apache-2.0
#include "integer_kernels/kernels.h"

#include <vector>

#include "integer_kernels/targets.h"

namespace hccs::internal {

const IntegerKernels* find_integer_kernels(std::string_view name) noexcept {
  static const std::vector<IntegerKernels> targets = {
#if defined(__x86_64__)
    amx_integer_kernels(),
    vbmi_integer_kernels(),
    avx512_integer_kernels(),
    avx2_vnni_integer_kernels(),
    avx2_integer_kernels(),
    sse4_integer_kernels(),
#elif defined(__aarch64__)
    neon_i8mm_integer_kernels(),
    neon_dotprod_integer_kernels(),
    neon_integer_kernels(),
#endif
    portable_integer_kernels()
  };
  for (const IntegerKernels& kernels : targets) {
    if (kernels.name == name) return &kernels;
  }
  return nullptr;
}

}  // namespace hccs::internal
