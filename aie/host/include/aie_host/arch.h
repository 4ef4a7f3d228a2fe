// SPDX-License-Identifier: Apache-2.0
//
// The device that the kernels are compiled for, as AMD's compilers name it: __AIE_ARCH__, and __AIENGINE__; and the age
// of the API.
#ifndef AIE_HOST_ARCH_H_
#define AIE_HOST_ARCH_H_

#ifndef __AIE_ARCH__
#error "aie/host: define __AIE_ARCH__ as 20 (AIE-ML), 21 (AIE2P, Ryzen AI 'Strix') or 22 (AIE-ML v2)"
#elif __AIE_ARCH__ != 20 && __AIE_ARCH__ != 21 && __AIE_ARCH__ != 22
#error "aie/host: __AIE_ARCH__ must be 20 (AIE-ML), 21 (AIE2P, Ryzen AI 'Strix') or 22 (AIE-ML v2)"
#endif

// AMD's compilers for a core define this too, and public kernels set their modes only where it is defined.
#ifndef __AIENGINE__
#define __AIENGINE__ 2
#endif

// The AIE API whose results the host gives, by the release of Vitis that it came with: 20242 is 2024.2. Up to that one
// to_fixed of bfloat16 rounds down.
#ifndef HCCS_AIE_API_VERSION
#define HCCS_AIE_API_VERSION 20261
#elif HCCS_AIE_API_VERSION < 20231 || HCCS_AIE_API_VERSION > 20999 || HCCS_AIE_API_VERSION % 10 == 0
#error "aie/host: HCCS_AIE_API_VERSION must be a release of Vitis as YYYYN, such as 20242 for 2024.2"
#endif

namespace aie_host {

constexpr int kApiVersion = HCCS_AIE_API_VERSION;

// Not inline: programs may have code for several devices, each with its own (aie/traces).
constexpr int kArch = __AIE_ARCH__;

// AIE-ML v1: 256-bit loads and stores, 32 int8 multiplications a cycle elementwise, no native exp2.
constexpr bool kAieMl = kArch == 20;
// AIE2P and AIE-ML v2 (AIE2PS): 512-bit loads and stores, 2048-bit accumulators, native exp2 and tanh.
constexpr bool kAieMlV2 = kArch == 21 || kArch == 22;

}  // namespace aie_host

#endif  // AIE_HOST_ARCH_H_
