// SPDX-License-Identifier: Apache-2.0
//
// aie::accum: a register of accumulators. What each member does: Xilinx/aie_api, accum.hpp.
#ifndef AIE_API_ACCUM_HPP_
#define AIE_API_ACCUM_HPP_

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "aie_api/lanes.hpp"
#include "aie_api/modes.hpp"
#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"

namespace aie {

// Elems accumulators. Integer ones are 32 bits wide (acc32) or 64 (all others) and wrap; accfloat is a float.
// Undefined lanes: as in vector.
template <AccumElemBaseType Tag, unsigned Elems>
class accum {
  using lane_type = detail::accum_lane_t<Tag>;
  static_assert(std::has_single_bit(Elems) && Elems >= (std::is_same_v<Tag, acc32> ? 8 : 4) && Elems <= 128,
                "no such accumulator: lanes are a power of two, 4 (acc32: 8) to 128");

 public:
  using value_type = Tag;
  using storage_t = accum;

  static constexpr unsigned size() { return Elems; }
  static constexpr unsigned accum_bits() { return detail::accum_bits_v<Tag>; }
  static constexpr unsigned value_bits() { return accum_bits(); }
  static constexpr unsigned memory_bits() { return accum_bits(); }
  static constexpr unsigned bits() { return Elems * accum_bits(); }
  static constexpr bool is_floating_point() { return std::is_same_v<Tag, accfloat>; }
  static constexpr bool is_complex() { return false; }
  static constexpr bool is_real() { return true; }

  accum() = default;
  accum(const accum&) = default;
  accum& operator=(const accum&) = default;
  // Tags of the same width name the same registers.
  template <AccumElemBaseType Tag2>
  requires(!std::is_same_v<Tag, Tag2> && std::is_same_v<detail::accum_lane_t<Tag>, detail::accum_lane_t<Tag2>>)
      accum(const accum<Tag2, Elems>& other) {
    const auto& from = detail::Access::lanes(other);
    lanes_.value = from.value;
    lanes_.defined = from.defined;
    lanes_.id = from.id;
  }
  template <ElemBaseType T>
  explicit accum(const vector<T, Elems>& v, int shift = 0) {
    from_vector(v, shift);
  }
  template <ElemBaseType T>
  accum& operator=(const vector<T, Elems>& v) {
    from_vector(v);
    return *this;
  }
  template <ElemBaseType T>
  requires(std::is_same_v<Tag, accfloat>&& detail::is_floating_point_v<T>) operator vector<T, Elems>() const {
    return to_vector<T>();
  }

  accum to_native() const { return *this; }

  // The same bits under another tag. Keeps the identity, as on a device.
  template <AccumElemBaseType Tag2>
  auto cast_to() const {
    return detail::reinterpret<accum<Tag2, Elems * accum_bits() / detail::accum_bits_v<Tag2>>>(*this);
  }

  template <unsigned ElemsOut>
  accum<Tag, ElemsOut> extract(unsigned index) const {
    static_assert(ElemsOut <= Elems, "extract: the part is larger than the accumulator");
    detail::require(index < Elems / ElemsOut, "extract: no such part");
    if constexpr (ElemsOut == Elems) {
      return *this;
    } else {
      accum<Tag, ElemsOut> result;
      auto& out = detail::Access::lanes(result);
      for (unsigned i = 0; i < ElemsOut; ++i) out.value[i] = lanes_.value[ElemsOut * index + i];
      out.defined = lanes_.defined.template extract<ElemsOut>(index);
      detail::note(aie_host::Operation::kExtract, result, {static_cast<std::int64_t>(index)}, *this);
      return result;
    }
  }
  template <unsigned ElemsIn, AccumElemBaseType Tag2>
  accum& insert(unsigned index, const accum<Tag2, ElemsIn>& in) {
    static_assert(std::is_same_v<lane_type, detail::accum_lane_t<Tag2>>, "insert: another width");
    static_assert(ElemsIn <= Elems, "insert: the part is larger than the accumulator");
    detail::require(index < Elems / ElemsIn, "insert: no such part");
    const aie_host::Value before = detail::describe(*this);
    const auto& from = detail::Access::lanes(in);
    for (unsigned i = 0; i < ElemsIn; ++i) lanes_.value[ElemsIn * index + i] = from.value[i];
    lanes_.defined.insert(index, from.defined);
    detail::note(aie_host::Operation::kInsert, *this, {static_cast<std::int64_t>(index)}, before, in);
    return *this;
  }
  // The other lanes are undefined.
  template <unsigned ElemsOut>
  accum<Tag, ElemsOut> grow() const {
    static_assert(ElemsOut >= Elems, "grow: the result is smaller than the accumulator");
    if constexpr (ElemsOut == Elems) {
      return *this;
    } else {
      accum<Tag, ElemsOut> result;
      detail::permute(result, *this, [](unsigned i) { return i; });
      detail::note(aie_host::Operation::kGrow, result, {0}, *this);
      return result;
    }
  }
  template <unsigned ElemsOut>
  accum<Tag, ElemsOut> grow_replicate() const {
    static_assert(ElemsOut >= Elems, "grow_replicate: the result is smaller than the accumulator");
    if constexpr (ElemsOut == Elems) {
      return *this;
    } else {
      accum<Tag, ElemsOut> result;
      detail::permute(result, *this, [](unsigned i) { return i % Elems; });
      detail::note(aie_host::Operation::kGrowReplicate, result, {}, *this);
      return result;
    }
  }
  template <unsigned ElemsOut>
  accum<Tag, ElemsOut> grow_extract(unsigned index) const {
    if constexpr (ElemsOut > Elems) {
      return grow<ElemsOut>();
    } else {
      return extract<ElemsOut>(index);
    }
  }
  template <unsigned ElemsOut>
  std::array<accum<Tag, ElemsOut>, Elems / ElemsOut> split() const {
    std::array<accum<Tag, ElemsOut>, Elems / ElemsOut> parts;
    for (unsigned i = 0; i < parts.size(); ++i) parts[i] = extract<ElemsOut>(i);
    return parts;
  }

  // Lanes / 2^shift, rounded and then saturated as the tile's modes say; min_shift <= shift <= max_shift. 32-bit
  // results of 32-bit accumulators are a plain move and take no shift. accfloat gives float, the bits as they are, or
  // bfloat16, rounded.
  template <ElemBaseType T>
  vector<T, Elems> to_vector(int shift = 0) const {
    return to_vector_sign<T>(detail::is_signed_v<T>, shift);
  }
  // to_vector(), saturated as a signed or an unsigned result, whatever T is.
  template <ElemBaseType T>
  vector<T, Elems> to_vector_sign(bool is_signed, int shift = 0) const {
    static_assert(detail::is_floating_point_v<T> == is_floating_point(),
                  "to_vector: integer accumulators give integers, accfloat gives floats");
    const rounding_mode rounding = detail::current_rounding();
    const auto convert = [&](auto f) {
      return detail::map<vector<T, Elems>>(aie_host::Operation::kToVector, {shift}, f, *this);
    };
    if constexpr (std::is_same_v<T, bfloat16>) {
      return convert([=](float x) { return detail::round_to_bfloat16(x, rounding); });
    } else if constexpr (std::is_same_v<T, float>) {
      return convert([](float x) { return x; });
    } else if constexpr (sizeof(T) == sizeof(lane_type)) {
      detail::require(shift == 0, "to_vector: 32-bit lanes of a 32-bit accumulator cannot be shifted");
      return convert([](lane_type x) { return static_cast<T>(x); });
    } else {
      detail::require(shift >= detail::kMinShift && shift <= detail::kMaxShift, "to_vector: shift out of range");
      const saturation_mode saturation = detail::current_saturation();
      if (rounding == rounding_mode::floor && shift >= 0) {
        return convert([=](lane_type x) {
          const auto shifted = static_cast<std::int64_t>(x) >> shift;
          return detail::clamp_or_wrap<T>(shifted, saturation, is_signed);
        });
      }
      return convert([=](lane_type x) {
        return detail::shift_round_saturate<T>(static_cast<std::int64_t>(x), shift, is_signed, rounding, saturation);
      });
    }
  }
  vector<float, Elems> to_vector() const requires(std::is_same_v<Tag, accfloat>) { return to_vector<float>(); }

  // Lanes * 2^shift (UPS): clamped to the accumulator if the tile saturates, cut if not. 32-bit lanes into a 32-bit
  // accumulator take no shift. float and bfloat16 go to accfloat without a change, but denormal bfloat16 become zero.
  template <ElemBaseType T>
  void from_vector(const vector<T, Elems>& v, int shift = 0) {
    from_vector_sign(v, detail::is_signed_v<T>, shift);
  }
  template <ElemBaseType T>
  void from_vector_sign(const vector<T, Elems>& v, bool is_signed, int shift = 0) {
    static_assert(detail::is_floating_point_v<T> == is_floating_point(),
                  "from_vector: integers go to integer accumulators, floats to accfloat");
    const auto convert = [&](auto f) { *this = detail::map<accum>(aie_host::Operation::kFromVector, {shift}, f, v); };
    if constexpr (std::is_same_v<T, bfloat16>) {
      convert([](bfloat16 x) { return detail::flush(x); });
    } else if constexpr (std::is_same_v<T, float>) {
      convert([](float x) { return x; });
    } else if constexpr (sizeof(T) == sizeof(lane_type)) {
      detail::require(shift == 0, "from_vector: 32-bit lanes into a 32-bit accumulator cannot be shifted");
      convert([](T x) { return static_cast<lane_type>(x); });
    } else {
      detail::require(shift >= 0 && shift <= detail::kMaxShift, "from_vector: shift out of range");
      const auto extend = [is_signed](T x) {
        return is_signed ? static_cast<std::int64_t>(static_cast<std::make_signed_t<T>>(x))
                         : static_cast<std::int64_t>(static_cast<std::make_unsigned_t<T>>(x));
      };
      if (shift == 0) {
        convert([=](T x) { return static_cast<lane_type>(extend(x)); });
        return;
      }
      const saturation_mode saturation = detail::current_saturation();
      convert([=](T x) { return detail::shift_up<lane_type>(extend(x), shift, saturation, true); });
    }
  }

 private:
  friend struct detail::Access;
  detail::Lanes<lane_type, Elems> lanes_;
};

}  // namespace aie

#endif  // AIE_API_ACCUM_HPP_
