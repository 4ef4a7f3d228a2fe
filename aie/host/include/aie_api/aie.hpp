// SPDX-License-Identifier: Apache-2.0
//
// The part of AMD's AIE API that the kernels use, on this machine and bit for bit: what Xilinx/aie_api computes on an
// AI Engine of __AIE_ARCH__ 20 (AIE-ML), 21 (AIE2P) or 22 (AIE-ML v2). Kernels include <aie_api/aie.hpp> as on a
// device.
//
// What the host adds: lanes that a device leaves undefined are followed, and a kernel that depends on one stops;
// misaligned and out-of-buffer accesses stop (aie_host/memory.h); each operation can be observed (aie_host/observe.h).
#ifndef AIE_API_AIE_HPP_
#define AIE_API_AIE_HPP_

#include "aie_api/accum.hpp"
#include "aie_api/arith.hpp"
#include "aie_api/compare.hpp"
#include "aie_api/compiler.hpp"
#include "aie_api/convert.hpp"
#include "aie_api/elementary.hpp"
#include "aie_api/iterator.hpp"
#include "aie_api/lookup.hpp"
#include "aie_api/mask.hpp"
#include "aie_api/mmul.hpp"
#include "aie_api/modes.hpp"
#include "aie_api/mul.hpp"
#include "aie_api/operators.hpp"
#include "aie_api/reduce.hpp"
#include "aie_api/shuffle.hpp"
#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"

#endif  // AIE_API_AIE_HPP_
