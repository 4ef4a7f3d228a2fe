// SPDX-License-Identifier: Apache-2.0
//
// Calls that the AIE API has no overload for, each beside one that it has. CMakeLists.txt compiles the refused call of
// each HCCS_CASE by itself, which must fail with the rule, and with HCCS_ACCEPTED the accepted ones of all.
#include <aie_api/aie.hpp>

#ifdef HCCS_ACCEPTED
#define HCCS_IS_CASE(name) 1
#define HCCS_CALL(accepted, refused) static_cast<void>(accepted)
#else
#define HCCS_IS_CASE(name) (HCCS_CASE == name)
#define HCCS_CALL(accepted, refused) static_cast<void>(refused)
#endif

#define BIT_AND_NUMBER 1
#define BIT_OR_NUMBER 2
#define BIT_XOR_LANE 3
#define BIT_OPERATOR 4
#define BIT_NOT_FLOATS 5
#define ADD_NUMBER_CLASS 6
#define SUB_NUMBER_CLASS 7
#define SUB_VECTOR_CLASS 8
#define ADD_OPERATOR_CLASS 9
#define ADD_VECTOR_LANES 10
#define ADD_ACCUM_TAG 11
#define MAX_LANES 12
#define MAX_SIGN 13
#define SELECT_LANES 14
#define MUL_BFLOAT16_FLOAT 15
#define NEGMUL_INT8_INT32 16
#define MUL_NUMBER_INT32 17
#define MUL_ACC32 18
#define MAC_BYTES_NUMBER 19
#define PACK_SIGN 20
#define UNPACK_SIGN 21
#define MMUL_ACC64 22
#define MMUL_ACC32 23
#define MMUL_BFLOAT16 24
#define MMUL_16_BY_8 25
#define TRANSPOSE_2048 26
#define TO_FIXED_MANY 27
#define TO_FIXED_FEW 28
#define ACCUM_FEW 29
#define TO_FIXED_FLOOR 30

using namespace aie::operators;

template <typename T, unsigned Elems>
using V = const aie::vector<T, Elems>&;

void kernel(V<int8, 32> bytes, V<uint8, 32> unsigned_bytes, V<int8, 64> more_bytes, V<int16, 32> shorts,
            V<int16, 128> many_shorts, V<int16, 64> more_shorts, V<int32, 32> ints, V<bfloat16, 32> halves,
            V<bfloat16, 64> more_halves, V<float, 32> floats, V<float, 8> few_floats, V<float, 16> some_floats,
            const aie::accum<acc32, 32>& sums, const aie::accum<acc64, 32>& wide_sums,
            const aie::accum<acc32, 8>& few_sums, const aie::accum<acc32, 16>& some_sums,
            const aie::accum<accfloat, 32>& float_sums, const aie::mask<32>& mask, const aie::mask<64>& wide_mask) {
#if HCCS_IS_CASE(BIT_AND_NUMBER)
  HCCS_CALL(aie::bit_and(int16{1}, shorts), aie::bit_and(shorts, int16{1}));
#endif
#if HCCS_IS_CASE(BIT_OR_NUMBER)
  HCCS_CALL(aie::bit_or(int8{1}, bytes), aie::bit_or(bytes, int8{1}));
#endif
#if HCCS_IS_CASE(BIT_XOR_LANE)
  HCCS_CALL(aie::bit_xor(ints[0], ints), aie::bit_xor(ints, ints[0]));
#endif
#if HCCS_IS_CASE(BIT_OPERATOR)
  HCCS_CALL(int16{1} & shorts, shorts & int16{1});
#endif
#if HCCS_IS_CASE(BIT_NOT_FLOATS)
  HCCS_CALL(aie::bit_not(ints), aie::bit_not(floats));
#endif
#if HCCS_IS_CASE(ADD_NUMBER_CLASS)
  HCCS_CALL(aie::add(float_sums, 1.0f), aie::add(float_sums, int16{1}));
#endif
#if HCCS_IS_CASE(SUB_NUMBER_CLASS)
  HCCS_CALL(aie::sub(wide_sums, int32{1}), aie::sub(wide_sums, bfloat16(1.0f)));
#endif
#if HCCS_IS_CASE(SUB_VECTOR_CLASS)
  HCCS_CALL(aie::sub(sums, shorts), aie::sub(sums, floats));
#endif
#if HCCS_IS_CASE(ADD_OPERATOR_CLASS)
  HCCS_CALL(float_sums + halves, float_sums + shorts);
#endif
#if HCCS_IS_CASE(ADD_VECTOR_LANES)
  HCCS_CALL(aie::add(sums, shorts), aie::add(sums, more_shorts));
#endif
#if HCCS_IS_CASE(ADD_ACCUM_TAG)
  HCCS_CALL(aie::add(sums, sums), aie::add(sums, wide_sums));
#endif
#if HCCS_IS_CASE(MAX_LANES)
  HCCS_CALL(aie::max(bytes, bytes), aie::max(bytes, more_bytes));
#endif
#if HCCS_IS_CASE(MAX_SIGN)
  HCCS_CALL(aie::max(unsigned_bytes, uint8{1}), aie::max(unsigned_bytes, bytes));
#endif
#if HCCS_IS_CASE(SELECT_LANES)
  HCCS_CALL(aie::select(bytes, bytes, mask), aie::select(bytes, bytes, wide_mask));
#endif
#if HCCS_IS_CASE(MUL_BFLOAT16_FLOAT)
  HCCS_CALL(aie::mul(halves, halves), aie::mul(halves, floats));
#endif
#if HCCS_IS_CASE(NEGMUL_INT8_INT32)
  HCCS_CALL(aie::negmul(shorts, ints), aie::negmul(bytes, ints));
#endif
#if HCCS_IS_CASE(MUL_NUMBER_INT32)
  HCCS_CALL(aie::mul(int32{1}, shorts), aie::mul(int32{1}, bytes));
#endif
#if HCCS_IS_CASE(MUL_ACC32)
  HCCS_CALL(aie::mul<acc64>(ints, shorts), aie::mul<acc32>(ints, shorts));
#endif
#if HCCS_IS_CASE(MAC_BYTES_NUMBER)
  HCCS_CALL(aie::mac(sums, bytes, int16{1}), aie::mac(wide_sums, bytes, int16{1}));
#endif
#if HCCS_IS_CASE(PACK_SIGN)
  HCCS_CALL(shorts.pack<int8>(), shorts.pack<uint8>());
#endif
#if HCCS_IS_CASE(UNPACK_SIGN)
  HCCS_CALL(unsigned_bytes.unpack<uint16>(), unsigned_bytes.unpack<int16>());
#endif
#if HCCS_IS_CASE(MMUL_ACC64)
  using Bytes32 = aie::mmul<4, 8, 8, int8, int8, acc32>;
  using Bytes64 = aie::mmul<4, 8, 8, int8, int8, acc64>;
  HCCS_CALL(Bytes32().to_accum(), Bytes64().to_accum());
#endif
#if HCCS_IS_CASE(MMUL_ACC32)
  using Ints64 = aie::mmul<4, 4, 8, int32, int16, acc64>;
  using Ints32 = aie::mmul<4, 4, 8, int32, int16, acc32>;
  HCCS_CALL(Ints64().to_accum(), Ints32().to_accum());
#endif
#if HCCS_IS_CASE(MMUL_BFLOAT16)
  using Halves32 = aie::mmul<4, 8, 4, bfloat16, bfloat16, accfloat>;
  using Halves64 = aie::mmul<4, 8, 4, bfloat16, bfloat16, acc64>;
  HCCS_CALL(Halves32().to_accum(), Halves64().to_accum());
#endif
#if HCCS_IS_CASE(MMUL_16_BY_8)
  using Shorts32 = aie::mmul<4, 4, 8, int16, int8, acc32>;
  using Shorts64 = aie::mmul<4, 4, 8, int16, int8, acc64>;
  HCCS_CALL(Shorts32().to_accum(), Shorts64().to_accum());
#endif
#if HCCS_IS_CASE(TRANSPOSE_2048)
  HCCS_CALL(aie::transpose(more_shorts, 4, 16), aie::transpose(many_shorts, 4, 32));
#endif
#if HCCS_IS_CASE(TO_FIXED_MANY)
  HCCS_CALL(aie::to_fixed<int32>(halves), aie::to_fixed<int32>(more_halves));
#endif
#if HCCS_IS_CASE(TO_FIXED_FEW)
  HCCS_CALL(aie::to_fixed<int8>(some_floats), aie::to_fixed<int8>(few_floats));
#endif
#if HCCS_IS_CASE(ACCUM_FEW)
  HCCS_CALL(some_sums.extract<8>(0), few_sums.extract<4>(0));
#endif
#if HCCS_IS_CASE(TO_FIXED_FLOOR) && (HCCS_AIE_API_VERSION >= 20251 || !defined(HCCS_ACCEPTED))
  HCCS_CALL(aie::to_fixed_floor<int16>(halves), aie::to_fixed_floor<int8>(halves));
#endif
}
