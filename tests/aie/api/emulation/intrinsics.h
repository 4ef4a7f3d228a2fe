// SPDX-License-Identifier: Apache-2.0
//
// What AMD's compilers have built in and AMD's AIE API headers take for granted, for a host's compiler, which includes
// it before anything else. Only what our kernels come to is emulated; what else the headers name is declared, and
// throws when it is called. Written from UG1603, AM020 and the public AIE API headers themselves, which say what each
// intrinsic is taken for.
#ifndef HCCS_TESTS_AIE_API_INTRINSICS_H_
#define HCCS_TESTS_AIE_API_INTRINSICS_H_

#define __AIENGINE__ 2
// Left out, by their include guards, what our kernels do without: streams and iterators of buffers, Fourier transforms,
// products of blocks with a common exponent.
#define __AIE_API_AIE_ADF_HPP__
#define __AIE_API_FFT__HPP__
#define __AIE_API_DETAIL_FFT_HPP__
#define __AIE_API_DETAIL_FFT__HPP__
#define __AIE_API_DETAIL_AIE2PS_MMUL_MX_MX__HPP__
#define __AIECC__ 1  // where the headers tell compilers apart, they take this one for Peano
#if __AIE_ARCH__ == 20
#define __AIE_MODEL_VERSION__ 10500
#elif __AIE_ARCH__ == 21
#define __AIE_MODEL_VERSION__ 11500
#else
#define __AIE_MODEL_VERSION__ 10300
#endif

#include "accumulate.h"
#include "compiler.h"
#include "floats.h"
#include "products.h"
#include "shuffle.h"
#include "tile.h"

// Written by declare.py.
#include "declared_intrinsics.h"

#endif  // HCCS_TESTS_AIE_API_INTRINSICS_H_
