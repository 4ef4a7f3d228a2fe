// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_INTEGER_KERNELS_TARGETS_H_
#define HCCS_SRC_INTEGER_KERNELS_TARGETS_H_

#include "integer_kernels/kernels.h"

namespace hccs::internal {

IntegerKernels amx_integer_kernels() noexcept;
IntegerKernels vbmi_integer_kernels() noexcept;
IntegerKernels avx512_integer_kernels() noexcept;
IntegerKernels avx2_vnni_integer_kernels() noexcept;
IntegerKernels avx2_integer_kernels() noexcept;
IntegerKernels sse4_integer_kernels() noexcept;
IntegerKernels neon_i8mm_integer_kernels() noexcept;
IntegerKernels neon_dotprod_integer_kernels() noexcept;
IntegerKernels neon_integer_kernels() noexcept;
IntegerKernels portable_integer_kernels() noexcept;

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_KERNELS_TARGETS_H_
