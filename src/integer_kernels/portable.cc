// SPDX-License-Identifier: Apache-2.0
//
// The integer encoder's steps in plain C++ on integers alone, for processors without code of their own.
#include <algorithm>
#include <array>
#include <cstring>

#include "attention/simd.h"
#include "integer_kernels/gelu.h"
#include "integer_kernels/integer_math.h"
#include "integer_kernels/targets.h"

namespace hccs::internal::kernels_portable {

#include "integer_kernels/plain_isa-inl.h"

constexpr int64_t kId = kAttentionPortableId;

#include "integer_kernels/norm-inl.h"
#include "integer_kernels/norm_plain-inl.h"
#include "integer_kernels/steps-inl.h"

constexpr IntegerKernels kKernels = make_kernels("portable");

}  // namespace hccs::internal::kernels_portable

namespace hccs::internal {
IntegerKernels portable_integer_kernels() noexcept { return kernels_portable::kKernels; }
}  // namespace hccs::internal
