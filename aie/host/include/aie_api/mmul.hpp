// SPDX-License-Identifier: Apache-2.0
//
// Blocked matrix products: C (M x N) += A (M x K) * B (K x N), each block row after row in one vector. Semantics and
// shapes: Xilinx/aie_api, aie.hpp (mmul) and detail/aie2/mmul_*.hpp, detail/aie2p/mmul_*.hpp, detail/aie2ps/mmul_*.hpp,
// without the sparse ones, those of floats and those of bfloat16 with K = 16, which are rounded twice.
#ifndef AIE_API_MMUL_HPP_
#define AIE_API_MMUL_HPP_

#include <array>
#include <cstdint>
#include <type_traits>

#include "aie_api/accum.hpp"
#include "aie_api/arith.hpp"
#include "aie_api/lanes.hpp"
#include "aie_api/mul.hpp"
#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"

namespace aie {

namespace detail {

struct MmulShape {
  unsigned bits_a, bits_b, m, k, n;
  unsigned asked;     // bits of the accumulators that a call must ask for; 0: any
  unsigned bits_c;    // of those that it gets
  int only_arch = 0;  // 0: all devices of the table
};

// bits_a = bits_b = 0: bfloat16.
inline constexpr std::array kMmulShapesAieMl = {
    MmulShape{8, 8, 4, 8, 4, 32, 32},    MmulShape{8, 8, 4, 16, 4, 32, 32},   MmulShape{8, 8, 4, 8, 8, 32, 32},
    MmulShape{8, 8, 8, 8, 8, 32, 32},    MmulShape{8, 8, 8, 8, 4, 32, 32},    MmulShape{8, 8, 2, 8, 8, 32, 32},
    MmulShape{8, 8, 1, 16, 8, 32, 32},   MmulShape{8, 8, 2, 16, 8, 32, 32},   MmulShape{8, 8, 4, 16, 8, 32, 32},
    MmulShape{8, 8, 8, 16, 8, 32, 32},   MmulShape{8, 8, 4, 16, 16, 32, 32},  MmulShape{16, 8, 4, 8, 4, 32, 64},
    MmulShape{16, 8, 2, 8, 8, 32, 64},   MmulShape{16, 8, 2, 16, 8, 32, 64},  MmulShape{16, 8, 4, 16, 8, 32, 64},
    MmulShape{16, 8, 4, 4, 8, 32, 32},   MmulShape{16, 8, 8, 4, 4, 32, 32},   MmulShape{16, 8, 8, 4, 8, 32, 32},
    MmulShape{16, 8, 4, 4, 4, 32, 32},   MmulShape{8, 16, 4, 4, 8, 32, 64},   MmulShape{8, 16, 4, 4, 4, 32, 64},
    MmulShape{16, 16, 4, 2, 8, 32, 32},  MmulShape{16, 16, 8, 2, 8, 32, 32},  MmulShape{16, 16, 8, 1, 8, 32, 32},
    MmulShape{16, 16, 2, 8, 16, 32, 32}, MmulShape{16, 16, 2, 8, 16, 64, 64}, MmulShape{16, 16, 2, 4, 8, 0, 64},
    MmulShape{16, 16, 4, 4, 8, 0, 64},   MmulShape{16, 16, 4, 4, 4, 0, 64},   MmulShape{16, 16, 2, 8, 8, 0, 64},
    MmulShape{16, 16, 4, 8, 8, 0, 64},   MmulShape{32, 16, 4, 2, 4, 64, 64},  MmulShape{32, 16, 4, 4, 4, 64, 64},
    MmulShape{32, 16, 2, 4, 8, 64, 64},  MmulShape{32, 16, 4, 4, 8, 64, 64},  MmulShape{32, 16, 4, 1, 8, 64, 64},
    MmulShape{16, 32, 4, 4, 4, 64, 64},  MmulShape{16, 32, 2, 4, 8, 64, 64},  MmulShape{32, 32, 4, 2, 4, 64, 64},
    MmulShape{32, 32, 4, 4, 4, 64, 64},  MmulShape{32, 32, 8, 2, 4, 64, 64},  MmulShape{32, 32, 4, 1, 8, 64, 64},
    MmulShape{0, 0, 4, 8, 4, 32, 32},    MmulShape{0, 0, 4, 8, 8, 32, 32},    MmulShape{0, 0, 8, 8, 8, 32, 32},
    MmulShape{0, 0, 8, 8, 4, 32, 32},    MmulShape{0, 0, 8, 1, 8, 32, 32},
};
inline constexpr std::array kMmulShapesV2 = {
    MmulShape{8, 8, 2, 8, 8, 32, 32},      MmulShape{8, 8, 4, 8, 8, 32, 32},      MmulShape{8, 8, 4, 16, 8, 32, 32},
    MmulShape{8, 8, 8, 16, 8, 32, 32},     MmulShape{8, 8, 8, 8, 8, 32, 32},      MmulShape{16, 8, 8, 4, 8, 32, 32},
    MmulShape{16, 8, 4, 8, 8, 0, 64},      MmulShape{16, 8, 4, 4, 8, 32, 32, 21}, MmulShape{16, 8, 2, 16, 8, 0, 64, 21},
    MmulShape{16, 8, 4, 16, 8, 0, 64, 21}, MmulShape{16, 8, 8, 2, 8, 32, 32, 22}, MmulShape{16, 8, 4, 4, 8, 0, 64, 22},
    MmulShape{8, 16, 8, 2, 8, 32, 32},     MmulShape{8, 16, 4, 4, 8, 32, 64},     MmulShape{16, 16, 4, 2, 8, 32, 32},
    MmulShape{16, 16, 8, 2, 8, 32, 32},    MmulShape{16, 16, 8, 1, 8, 32, 32},    MmulShape{16, 16, 2, 4, 8, 0, 64},
    MmulShape{16, 16, 4, 4, 8, 0, 64},     MmulShape{16, 16, 2, 8, 8, 0, 64},     MmulShape{16, 16, 4, 8, 8, 0, 64},
    MmulShape{32, 16, 4, 2, 8, 64, 64},    MmulShape{32, 16, 2, 4, 8, 64, 64},    MmulShape{32, 16, 4, 4, 8, 64, 64},
    MmulShape{32, 16, 4, 1, 8, 64, 64},    MmulShape{16, 32, 4, 4, 8, 64, 64},    MmulShape{32, 32, 4, 2, 8, 64, 64},
    MmulShape{32, 32, 4, 4, 8, 64, 64},    MmulShape{32, 32, 4, 4, 4, 64, 64},    MmulShape{32, 32, 8, 2, 8, 64, 64},
    MmulShape{32, 32, 4, 1, 8, 64, 64},    MmulShape{0, 0, 4, 8, 4, 32, 32},      MmulShape{0, 0, 4, 8, 8, 32, 32},
    MmulShape{0, 0, 8, 8, 8, 32, 32},      MmulShape{0, 0, 8, 1, 8, 32, 32},      MmulShape{0, 0, 8, 8, 4, 32, 32, 21},

};

// The shape for these types, or one without accumulators if the device lacks it.
template <typename A, typename B>
constexpr MmulShape find_mmul_shape(unsigned m, unsigned k, unsigned n, unsigned asked) {
  constexpr bool is_bfloat16 = std::is_same_v<A, bfloat16> && std::is_same_v<B, bfloat16>;
  constexpr unsigned bits_a = is_bfloat16 ? 0 : type_bits_v<A>;
  constexpr unsigned bits_b = is_bfloat16 ? 0 : type_bits_v<B>;
  const auto find = [=](const auto& shapes) {
    for (const MmulShape& s : shapes) {
      const bool is_same = s.bits_a == bits_a && s.bits_b == bits_b && s.m == m && s.k == k && s.n == n;
      const bool is_here = s.only_arch == 0 || s.only_arch == aie_host::kArch;
      if (is_same && is_here && (asked == 0 || s.asked == 0 || s.asked == asked)) return s;
    }
    return MmulShape{};
  };
  if constexpr (!is_bfloat16 && (is_floating_point_v<A> || is_floating_point_v<B>)) return {};
  if constexpr (aie_host::kAieMl) {
    return find(kMmulShapesAieMl);
  } else {
    return find(kMmulShapesV2);
  }
}

// Bits of the accumulators that the tag asks for. The API looks at nothing else of it.
template <typename A, typename B, typename Tag>
constexpr unsigned asked_bits() {
  if constexpr (!std::is_same_v<Tag, accauto>) {
    return accum_bits_v<Tag>;
  } else if constexpr (is_floating_point_v<A> || is_floating_point_v<B>) {
    return 32;
  } else {
    return accum_bits_v<default_accum_tag_t<A, B>>;
  }
}

template <typename A, typename B, unsigned bits>
using mmul_tag_t = std::conditional_t<is_floating_point_v<A>, accfloat, std::conditional_t<bits == 64, acc64, acc32>>;

}  // namespace detail

// Starts without a value: the first mac counts as mul.
template <unsigned M_Elems, unsigned K_Elems, unsigned N_Elems, ElemBaseType TypeA, ElemBaseType TypeB = TypeA,
          typename AccumTag = accauto>
class mmul {
  static constexpr unsigned kAsked = detail::asked_bits<TypeA, TypeB, AccumTag>();
  static constexpr unsigned kBits = detail::find_mmul_shape<TypeA, TypeB>(M_Elems, K_Elems, N_Elems, kAsked).bits_c;
  static_assert(detail::find_mmul_shape<TypeA, TypeB>(M_Elems, K_Elems, N_Elems, 0).bits_c != 0,
                "the device has no mmul of this shape for these types");
  static_assert(kBits != 0, "the device's mmul of this shape has no accumulators of this width");

 public:
  static constexpr unsigned M = M_Elems;
  static constexpr unsigned K = K_Elems;
  static constexpr unsigned N = N_Elems;
  static constexpr unsigned size_A = M * K;
  static constexpr unsigned size_B = K * N;
  static constexpr unsigned size_C = M * N;
  static constexpr unsigned size() { return size_C; }
  using accum_type = accum<detail::mmul_tag_t<TypeA, TypeB, kBits>, size_C>;

  mmul() = default;
  mmul(const accum_type& acc) : data_(acc), zero_(false) {}
  template <ElemBaseType T>
  mmul(const vector<T, size_C>& v, int shift = 0) : data_(v, shift), zero_(false) {}

  template <Vector VecA, Vector VecB>
  requires(VecA::size() == size_A && VecB::size() == size_B && std::is_same_v<typename VecA::value_type, TypeA> &&
           std::is_same_v<typename VecB::value_type, TypeB>) void mul(const VecA& a, const VecB& b) {
    multiply(detail::operand(a), detail::operand(b), true);
  }
  template <Vector VecA, Vector VecB>
  requires(VecA::size() == size_A && VecB::size() == size_B && std::is_same_v<typename VecA::value_type, TypeA> &&
           std::is_same_v<typename VecB::value_type, TypeB>) void mac(const VecA& a, const VecB& b) {
    multiply(detail::operand(a), detail::operand(b), zero_);
  }

  accum_type to_accum() const { return data_; }
  operator accum_type() const { return data_; }
  template <ElemBaseType T>
  vector<T, size_C> to_vector(int shift = 0) const {
    return data_.template to_vector<T>(shift);
  }
  template <ElemBaseType T>
  vector<T, size_C> to_vector_sign(bool is_signed, int shift = 0) const {
    return data_.template to_vector_sign<T>(is_signed, shift);
  }

 private:
  using Lane = detail::accum_lane_t<typename accum_type::value_type>;

  void multiply(const vector<TypeA, size_A>& a, const vector<TypeB, size_B>& b, bool zero) {
    const auto& la = detail::Access::lanes(a);
    const auto& lb = detail::Access::lanes(b);
    const aie_host::Value before = detail::describe(data_);
    auto& out = detail::Access::lanes(data_);
    for (unsigned m = 0; m < M; ++m) {
      for (unsigned n = 0; n < N; ++n) out.value[m * N + n] = dot(zero ? Lane{0} : out.value[m * N + n], la, lb, m, n);
    }
    if (zero) out.defined = detail::DefinedLanes<size_C>::all();
    if (!la.defined.is_all() || !lb.defined.is_all()) poison(la.defined, lb.defined);
    zero_ = false;
    if (zero) {
      detail::note(aie_host::Operation::kMmulMul, data_, {M, K, N}, a, b);
    } else {
      detail::note(aie_host::Operation::kMmulMac, data_, {M, K, N}, before, a, b);
    }
  }

  template <typename LanesA, typename LanesB>
  static Lane dot(Lane c, const LanesA& a, const LanesB& b, unsigned m, unsigned n) {
    if constexpr (std::is_same_v<Lane, float>) {
      double sum = detail::flush(c);
      for (unsigned k = 0; k < K; ++k) {
        sum += static_cast<double>(detail::flush(a.value[m * K + k])) *
               static_cast<double>(detail::flush(b.value[k * N + n]));
      }
      return detail::flush(static_cast<float>(sum));
    } else {
      for (unsigned k = 0; k < K; ++k) {
        c = detail::wrap_add(c, detail::product<Lane>(a.value[m * K + k], b.value[k * N + n]));
      }
      return c;
    }
  }

  // An undefined lane of A spoils its row of C, one of B its column.
  void poison(const detail::DefinedLanes<size_A>& a, const detail::DefinedLanes<size_B>& b) {
    auto& defined = detail::Access::lanes(data_).defined;
    for (unsigned m = 0; m < M; ++m) {
      for (unsigned n = 0; n < N; ++n) {
        for (unsigned k = 0; k < K; ++k) {
          if (!a.test(m * K + k) || !b.test(k * N + n)) defined.set(m * N + n, false);
        }
      }
    }
  }

  accum_type data_;
  bool zero_ = true;
};

}  // namespace aie

#endif  // AIE_API_MMUL_HPP_
