// SPDX-License-Identifier: Apache-2.0
//
// The kernels of hccs/softmax.h for `softmax_bench`. Each is verified against a plain definition, bit for bit.
#ifndef HCCS_BENCH_SOFTMAX_PLAN_KERNEL_H_
#define HCCS_BENCH_SOFTMAX_PLAN_KERNEL_H_

#include <string>
#include <string_view>

#include "hccs/params.h"
#include "hccs/reference.h"
#include "softmax_kernel.h"

namespace hccs::bench {

// HCCS on rows under one kind of mask. Out: uint8_t or int16_t.
template <class Out>
MakeKernel hccs_kernel(const HeadParams& params, Normalisation normalisation, const std::string& mask,
                       std::string_view target);

// The exact exponential as a table, of logits in units of `step` nats.
template <class Out>
MakeKernel exact_kernel(double step, Normalisation normalisation, std::string_view target);

}  // namespace hccs::bench

#endif  // HCCS_BENCH_SOFTMAX_PLAN_KERNEL_H_
