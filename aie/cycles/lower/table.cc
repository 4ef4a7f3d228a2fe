// SPDX-License-Identifier: Apache-2.0
#include <initializer_list>
#include <map>

#include "aie/cycles/lower/operations.h"

namespace aie_cycles {

Lowering lowering_of(std::string_view name) {
  static const std::map<std::string_view, Lowering> kTable = [] {
    std::map<std::string_view, Lowering> t;
    const auto set = [&](Lowering lowering, std::initializer_list<std::string_view> names) {
      for (const std::string_view each : names) t.emplace(each, lowering);
    };
    set(lower_load, {"load"});
    set(lower_load_unaligned, {"load_unaligned"});
    set(lower_load_scalar, {"load_scalar"});
    set(lower_store, {"store", "store_unaligned"});
    set(lower_store_scalar, {"store_scalar"});
    set(lower_arithmetic, {"add", "sub", "max", "min", "maxdiff", "bit_and", "bit_or", "bit_xor", "bit_not", "abs",
                           "saturating_add", "saturating_sub"});
    set(lower_select, {"select"});
    set(lower_shuffle, {"shuffle_down", "shuffle_up", "shuffle_down_rotate", "shuffle_up_rotate", "shuffle_down_fill",
                        "shuffle_up_fill", "shuffle_down_replicate", "shuffle_up_replicate", "reverse"});
    set(lower_insert_lane, {"set", "push"});
    set(lower_compare, {"lt", "gt", "le", "ge", "eq", "neq"});
    set(lower_bound_and_compare, {"max_cmp", "min_cmp"});
    set(lower_mask_operation, {"mask_and", "mask_or", "mask_xor", "mask_not", "mask_shift", "mask_count", "mask_empty",
                               "mask_full", "mask_test", "mask_clz", "mask_equal", "mask_set", "mask_clear"});
    set(lower_mask_from_uint, {"mask_from_uint"});
    set(lower_load_mask, {"load_mask"});
    set(lower_mask_part, {"mask_extract", "mask_to_uint", "mask_from_masks", "mask_insert"});
    set(lower_concat, {"concat"});
    set(lower_extract, {"extract"});
    set(lower_insert, {"insert"});
    set(lower_grow, {"grow", "grow_replicate"});
    set(lower_broadcast, {"broadcast"});
    set(lower_zeros, {"zeros"});
    set(lower_list, {"vector"});
    set(lower_get, {"get"});
    set(lower_from_vector, {"from_vector"});
    set(lower_to_vector, {"to_vector"});
    set(lower_pack, {"pack"});
    set(lower_unpack, {"unpack"});
    set(lower_shift_lanes, {"upshift", "downshift", "logical_downshift"});
    set(lower_multiply, {"mul", "negmul", "mac", "msc"});
    set(lower_matrix_multiply, {"mmul_mul", "mmul_mac"});
    set(lower_negate, {"neg"});
    set(lower_interleave, {"interleave_zip", "interleave_unzip"});
    set(lower_filter, {"filter_even", "filter_odd"});
    set(lower_transpose, {"transpose"});
    set(lower_reduce, {"reduce_max", "reduce_min", "reduce_add"});
    set(lower_convert_number, {"to_float", "to_fixed"});
    set(lower_inverse, {"inv", "invsqrt"});
    set(lower_exp2, {"exp2", "tanh"});
    set(lower_parallel_lookup, {"parallel_lookup"});
    set(lower_scalar, {"clb", "scalar"});
    set(lower_divide, {"divide"});
    set(lower_set_mode, {"set_rounding", "set_saturation"});
    return t;
  }();
  const auto it = kTable.find(name);
  return it == kTable.end() ? nullptr : it->second;
}

}  // namespace aie_cycles
