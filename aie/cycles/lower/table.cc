// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>

#include "aie/cycles/lower/operations.h"

namespace aie_cycles {
namespace {

// By operation.
struct Table {
  std::array<Lowering, aie_host::kOperationCount> lowering{};
  std::array<bool, aie_host::kOperationCount> is_set{};
};

constexpr Table make_table() {
  using enum Operation;
  Table table{};
  const auto set = [&](Lowering lowering, std::initializer_list<Operation> operations) {
    for (const Operation operation : operations) {
      table.lowering[static_cast<std::size_t>(operation)] = lowering;
      table.is_set[static_cast<std::size_t>(operation)] = true;
    }
  };
  set(lower_load, {kLoad});
  set(lower_load_unaligned, {kLoadUnaligned});
  set(lower_load_scalar, {kLoadScalar});
  set(lower_store, {kStore, kStoreUnaligned});
  set(lower_store_scalar, {kStoreScalar});
  set(lower_arithmetic,
      {kAdd, kSub, kMax, kMin, kMaxdiff, kBitAnd, kBitOr, kBitXor, kBitNot, kAbs, kSaturatingAdd, kSaturatingSub});
  set(lower_select, {kSelect});
  set(lower_shuffle, {kShuffleDown, kShuffleUp, kShuffleDownRotate, kShuffleUpRotate, kShuffleDownFill, kShuffleUpFill,
                      kShuffleDownReplicate, kShuffleUpReplicate, kReverse});
  set(lower_insert_lane, {kSet, kPush});
  set(lower_compare, {kLt, kGt, kLe, kGe, kEq, kNeq});
  set(lower_bound_and_compare, {kMaxCmp, kMinCmp});
  set(lower_mask_operation, {kMaskAnd, kMaskOr, kMaskXor, kMaskNot, kMaskShift, kMaskCount, kMaskEmpty, kMaskFull,
                             kMaskTest, kMaskClz, kMaskEqual, kMaskSet, kMaskClear});
  set(lower_mask_from_uint, {kMaskFromUint});
  set(lower_mask_from_masks, {kMaskFromMasks});
  set(lower_load_mask, {kLoadMask});
  set(lower_mask_part, {kMaskExtract, kMaskToUint, kMaskInsert});
  set(lower_concat, {kConcat});
  set(lower_extract, {kExtract});
  set(lower_insert, {kInsert});
  set(lower_grow, {kGrow, kGrowReplicate});
  set(lower_broadcast, {kBroadcast});
  set(lower_zeros, {kZeros});
  set(lower_list, {kVector});
  set(lower_get, {kGet});
  set(lower_from_vector, {kFromVector});
  set(lower_to_vector, {kToVector});
  set(lower_pack, {kPack});
  set(lower_unpack, {kUnpack});
  set(lower_shift_lanes, {kUpshift, kDownshift, kLogicalDownshift});
  set(lower_multiply, {kMul, kNegmul, kMac, kMsc});
  set(lower_matrix_multiply, {kMmulMul, kMmulMac});
  set(lower_negate, {kNeg});
  set(lower_interleave, {kInterleaveZip, kInterleaveUnzip});
  set(lower_filter, {kFilterEven, kFilterOdd});
  set(lower_transpose, {kTranspose});
  set(lower_reduce, {kReduceMax, kReduceMin, kReduceAdd});
  set(lower_to_float, {kToFloat});
  set(lower_to_fixed, {kToFixed});
  set(lower_to_fixed_floor, {kToFixedFloor});
  set(lower_inverse, {kInv, kInvsqrt});
  set(lower_exp2, {kExp2, kTanh});
  set(lower_parallel_lookup, {kParallelLookup});
  set(lower_scalar, {kClb, kScalar});
  set(lower_divide, {kDivide});
  set(lower_set_mode, {kSetRounding, kSetSaturation});
  set(lower_read_stream, {kReadincr});
  set(lower_write_stream, {kWriteincr});
  set(lower_read_cascade, {kReadincrCascade});
  set(lower_write_cascade, {kWriteincrCascade});
  set(lower_reduce_to_lanes, {kReduceAddV});
  return table;
}

constexpr Table kTable = make_table();
static_assert(std::all_of(kTable.is_set.begin(), kTable.is_set.end(), [](bool is_set) { return is_set; }),
              "an operation of operations.def has no lowering");

}  // namespace

Lowering lowering_of(Operation operation) {
  const auto index = static_cast<std::size_t>(operation);
  return index < kTable.lowering.size() ? kTable.lowering[index] : nullptr;
}

}  // namespace aie_cycles
