// SPDX-License-Identifier: Apache-2.0
//
// What a device lacks must not compile for it. Each HCCS_CASE is compiled by a test of its own (see CMakeLists.txt):
// for the devices that have the feature it must succeed, for the others it must fail with the rule.
#include <aie_api/aie.hpp>

#define EXP2 1
#define EXP2_FLOAT 2
#define TANH 3
#define MMUL_AIE_ML 4
#define MMUL_V2 5
#define MMUL_SHAPE 6
#define PRODUCT_INT8_ACC64 7
#define PRODUCT_INT_FLOAT 8
#define SHUFFLE_2048 9
#define SCALAR_TYPE 10
#define VECTOR_SIZE 11
#define ACCUM_TO_FLOAT 12

void kernel() {
#if HCCS_CASE == EXP2
  aie::exp2<bfloat16>(aie::zeros<float, 16>());
#elif HCCS_CASE == EXP2_FLOAT
  aie::exp2<float>(aie::zeros<float, 16>());
#elif HCCS_CASE == TANH
  aie::tanh<bfloat16>(aie::zeros<float, 16>());
#elif HCCS_CASE == MMUL_AIE_ML
  aie::mmul<4, 8, 4, int8, int8> m;
  m.to_accum();
#elif HCCS_CASE == MMUL_V2
  aie::mmul<8, 2, 8, int8, int16> m;
  m.to_accum();
#elif HCCS_CASE == MMUL_SHAPE
  aie::mmul<4, 32, 8, int8, int8> m;
  m.to_accum();
#elif HCCS_CASE == PRODUCT_INT8_ACC64
  aie::mul<acc64>(aie::zeros<int8, 32>(), aie::zeros<int8, 32>());
#elif HCCS_CASE == PRODUCT_INT_FLOAT
  aie::mul<accfloat>(aie::zeros<int16, 16>(), aie::zeros<bfloat16, 16>());
#elif HCCS_CASE == SHUFFLE_2048
  aie::shuffle_down(aie::zeros<int32, 64>(), 1);
#elif HCCS_CASE == SCALAR_TYPE
  aie::min(aie::zeros<uint8, 32>(), 5);
#elif HCCS_CASE == VECTOR_SIZE
  aie::zeros<int8, 48>();
#elif HCCS_CASE == ACCUM_TO_FLOAT
  aie::zeros<acc32, 16>().to_vector<float>();
#else
#error "no such case"
#endif
}
