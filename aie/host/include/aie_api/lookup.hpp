// SPDX-License-Identifier: Apache-2.0
//
// Look-up tables with four accesses at a time. Semantics: Xilinx/aie_api, aie.hpp (lut, parallel_lookup) and
// detail/aie2/parallel_lookup.hpp.
#ifndef AIE_API_LOOKUP_HPP_
#define AIE_API_LOOKUP_HPP_

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "aie_api/lanes.hpp"
#include "aie_api/modes.hpp"
#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"
#include "aie_host/memory.h"

namespace aie {

// What an index beyond the table means: the nearest entry, or the one that remains of the low bits.
enum class lut_oor_policy { saturate, truncate };

// A table of `elems` values, present four times: each of the two arrays holds groups of 16 bytes (8 values of 16 bits,
// 4 of 32 bits), every group twice in a row. 8-bit values are stored as 16-bit ones.
template <unsigned ParallelAccesses, ElemBaseType OffsetType, ElemBaseType SlopeType = OffsetType>
struct lut {
  static_assert(ParallelAccesses == 4, "the device has tables for four parallel accesses");
  using offset_type = OffsetType;
  using slope_type = SlopeType;

  lut(unsigned elems, const void* table_ab, const void* table_cd)
      : LUT_elems_(elems), LUT_ab_(table_ab), LUT_cd_(table_cd) {}

  unsigned LUT_elems_;
  const void* LUT_ab_;
  const void* LUT_cd_;
};

// Fetches table[(x >> step_bits) + bias] for each lane x, an integer of type T. With another rounding mode than floor
// the low step_bits of x must be zero. Stops if the four copies of a value that it fetches differ.
template <ElemBaseType T, typename Lut, lut_oor_policy policy = lut_oor_policy::saturate>
class parallel_lookup {
  using Value = typename Lut::offset_type;
  using Stored =
      std::conditional_t<sizeof(Value) == 1, std::conditional_t<std::is_signed_v<Value>, int16, uint16>, Value>;
  static_assert(std::is_integral_v<T>, "parallel_lookup: indices are integers");

 public:
  // `bias` is zero or a power of two, and only for signed T.
  explicit parallel_lookup(const Lut& table, unsigned step_bits = 0, unsigned bias = 0)
      : elems_(table.LUT_elems_),
        step_bits_(step_bits),
        bias_(bias),
        ab_(static_cast<const std::uint8_t*>(table.LUT_ab_)),
        cd_(static_cast<const std::uint8_t*>(table.LUT_cd_)) {
    detail::require(std::is_signed_v<T> || bias == 0, "parallel_lookup: unsigned indices have no bias");
    detail::require((bias & (bias - 1)) == 0, "parallel_lookup: the bias must be a power of two");
    detail::require((elems_ & (elems_ - 1)) == 0 || policy == lut_oor_policy::saturate,
                    "parallel_lookup: truncated indices need a table of a power of two");
  }

  template <Vector V>
  auto fetch(const V& input) {
    return fetch<V::size()>(input);
  }
  // Only the first N lanes.
  template <unsigned N, Vector V>
  vector<Value, N> fetch(const V& input) {
    static_assert(std::is_same_v<typename V::value_type, T>, "parallel_lookup: the input has another type");
    static_assert(V::size() == 16 || V::size() == 32, "parallel_lookup: 16 or 32 indices");
    static_assert(N <= V::size() && N <= native_vector_length_v<Value>);
    aie_host::check_access(ab_, bytes(), vector_decl_align, false);
    aie_host::check_access(cd_, bytes(), vector_decl_align, false);
    const auto& x = detail::operand(input);
    const rounding_mode rounding = detail::current_rounding();
    const vector<T, N> indices = [&] {
      if constexpr (N < V::size()) {
        return x.template extract<N>(0);
      } else {
        return x;
      }
    }();
    vector<Value, N> result;
    auto& out = detail::Access::lanes(result);
    out.defined = detail::Access::lanes(indices).defined;
    for (unsigned i = 0; i < N; ++i) {
      if (out.defined.test(i)) out.value[i] = load(entry(detail::lane(indices, i), rounding));
    }
    if (aie_host::observed()) [[unlikely]] {
      const std::array<aie_host::Value, 1> inputs{detail::describe(x)};
      const std::array<aie_host::Value, 1> results{detail::describe_result(result)};
      aie_host::report(aie_host::Operation::kParallelLookup, inputs, results, {static_cast<std::int64_t>(step_bits_)},
                       ab_, static_cast<std::uint32_t>(bytes()));
    }
    return result;
  }

 private:
  // A device computes the place in a table of double size, so that it rounds there and not at the entry.
  static constexpr unsigned kPlaceBits = sizeof(Stored) == 2 ? 2 : 3;
  static constexpr unsigned kPerGroup = 16 / sizeof(Stored);

  std::size_t bytes() const { return 2 * sizeof(Stored) * elems_; }

  unsigned entry(T x, rounding_mode rounding) const {
    const std::int64_t place = detail::shift_round_saturate<int32>(
        static_cast<std::int64_t>(x), static_cast<int>(step_bits_) - static_cast<int>(kPlaceBits), true, rounding,
        saturation_mode::none);
    const std::int64_t size = static_cast<std::int64_t>(elems_) << kPlaceBits;
    const std::int64_t biased = place + (static_cast<std::int64_t>(bias_) << kPlaceBits);
    // Where all values of T are indices a compiler leaves out the policy: a device reads beyond the table.
    const bool covered = static_cast<std::int64_t>(elems_) << step_bits_ == std::int64_t{1} << detail::type_bits_v<T>;
    detail::require(!covered || biased < size, "parallel_lookup: the tile's rounding moves an index beyond the table");
    const std::int64_t inside = policy == lut_oor_policy::truncate ? biased & (size - 1)
                                : biased < 0                       ? 0
                                : biased < size                    ? biased
                                                                   : size - 1;
    return static_cast<unsigned>(inside >> kPlaceBits);
  }

  Value load(unsigned index) const {
    const std::size_t at = index / kPerGroup * 32 + index % kPerGroup * sizeof(Stored);
    Stored value;
    std::memcpy(&value, ab_ + at, sizeof value);
    const bool same = std::memcmp(ab_ + at, ab_ + at + 16, sizeof value) == 0 &&
                      std::memcmp(ab_ + at, cd_ + at, sizeof value) == 0 &&
                      std::memcmp(ab_ + at, cd_ + at + 16, sizeof value) == 0;
    detail::require(same, "parallel_lookup: the four copies of a table's value differ");
    return static_cast<Value>(value);
  }

  unsigned elems_;
  unsigned step_bits_;
  unsigned bias_;
  const std::uint8_t* ab_;
  const std::uint8_t* cd_;
};

}  // namespace aie

#endif  // AIE_API_LOOKUP_HPP_
