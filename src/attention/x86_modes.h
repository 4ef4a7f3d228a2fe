// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_ATTENTION_X86_MODES_H_
#define HCCS_SRC_ATTENTION_X86_MODES_H_

#include <immintrin.h>

namespace hccs::internal {

// SSE and AVX round towards zero, and neither flush denormals nor trap, while this lives. What shall be computed in the
// mode is a call of a function that is not inlined: compilers do not know that arithmetic depends on it.
class MxcsrRoundTowardsZero {
 public:
  MxcsrRoundTowardsZero() noexcept : before_(_mm_getcsr()) { _mm_setcsr(0x1F80 | 0x6000); }
  ~MxcsrRoundTowardsZero() { _mm_setcsr(before_); }
  MxcsrRoundTowardsZero(const MxcsrRoundTowardsZero&) = delete;
  MxcsrRoundTowardsZero& operator=(const MxcsrRoundTowardsZero&) = delete;

 private:
  unsigned before_;
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_ATTENTION_X86_MODES_H_
