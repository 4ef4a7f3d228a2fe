// SPDX-License-Identifier: Apache-2.0
//
// Pass 4 of tiles (tiles.h): the results.
#ifndef HCCS_AIE_KERNELS_TILES_SCALE_H_
#define HCCS_AIE_KERNELS_TILES_SCALE_H_

#include <type_traits>

#include "head.h"
#include "row_factors.h"
#include "tiles_distances.h"
#include "tiles_masked.h"
#include "tiles_scratch.h"
#include "tiles_totals.h"

namespace hccs_kernels::tiles_passes {

// The eight lanes a row of a band, from four.
inline aie::vector<int16, kTileLanes> eight_lanes(const aie::vector<int16, kTileLanes / 2>& four) {
  const auto eight = aie::interleave_zip(four, four, 1);
  return aie::concat(eight.first, eight.second);
}
inline aie::vector<int16, kTileLanes> load_factors(const int16 (&lanes)[kBlockLeaves][4 * kLeafRows], unsigned band) {
  return eight_lanes(aie::load_v<kTileLanes / 2>(lanes[band / kLeafBands] + band % kLeafBands * (kTileLanes / 2)));
}

// The results of s' = s * 2^magnitude: row_factors.h has the forms.
template <Normalisation kNormalisation, typename Out>
aie::vector<Out, kTileLanes> scale(const aie::vector<int16, kTileLanes>& scores,
                                   const aie::vector<int16, kTileLanes>& first,
                                   const aie::vector<int16, kTileLanes>& second) {
  const auto product = aie::mul(scores, first);
  if constexpr (kNormalisation != Normalisation::kScaled) {
    return product.template to_vector<Out>(std::is_same_v<Out, int16> ? 0 : 15);
  } else if constexpr (std::is_same_v<Out, uint8>) {
    const aie::accum<acc32, kTileLanes> half(aie::broadcast<int16, kTileLanes>(1 << 14));
    return aie::mac(half, product.template to_vector<int16>(16), second).template to_vector<uint8>(15);
  } else {
    const aie::accum<acc64, 32> half(aie::broadcast<int32, 32>(1 << (kScaledWideShift - 1)));
    const auto part = [&](unsigned i) {
      const auto wide = product.template extract<32>(i).template to_vector<int32>();
      return aie::mac(half, wide, second.template extract<32>(i)).template to_vector<int16>(kScaledWideShift);
    };
    if constexpr (kTileLanes == 32) {
      return part(0);
    } else {
      return aie::concat(part(0), part(1));
    }
  }
}

// Instructions of pass 4 for a register.
template <Form kForm, Normalisation kNormalisation, typename Out, MaskKind kMask>
constexpr unsigned scale_instructions(unsigned knees) {
  constexpr bool kWide = std::is_same_v<Out, int16>;
  constexpr bool kScaled = kNormalisation == Normalisation::kScaled;
  const unsigned loads_and_stores = (kWide ? 3 : 2) * kVectorTiles;
  const unsigned scores = knees * (1 + 2 * kVectorTiles);
  const unsigned more = kForm == Form::kFused                       ? 0
                        : kForm == Form::kPlain && kScaled && kWide ? 30
                        : kForm == Form::kPlain && kScaled          ? 2 * (kVectorTiles + 2)
                                                                    : kVectorTiles + 2;
  const unsigned masks = kMask == MaskKind::kBits ? 16 : 0;
  return loads_and_stores + scores + more + masks;
}

// Makes the results of a block.
template <unsigned kSegment, Form kForm, Thresholds kThresholds, Normalisation kNormalisation, typename Out,
          MaskKind kMask, unsigned kKnees>
void scale_bands(const MaskedTiles<kMask>& x, const Logits<kMask, kKnees>& logits, const Block& block,
                 const HccsHead& head, const Exponents& exponents, const TilesScratch<kKnees>& scratch,
                 const aie::vector<int16, 4 * kLeafRows>& first_powers, Out* out) {
  // More knees' slopes leave few registers.
  constexpr unsigned kMost = kKnees == 1 || kSegment < 2 ? kSegment : 2;
  constexpr unsigned kVectors = registers_of_pass(kMost, scale_instructions<kForm, kNormalisation, Out, kMask>(kKnees),
                                                  4 * kKnees + (kForm == Form::kFused ? 5 : 8));
  constexpr bool kWide = std::is_same_v<Out, int16>;
  constexpr bool kPlainScaled = kForm == Form::kPlain && kNormalisation == Normalisation::kScaled;
  const unsigned segments = x.vectors() / kVectors;
  const auto floor = static_cast<int16>(head_floor(head));
  const int scale_up = kPlainScaled ? magnitude(head) : 0;
  // What a band's lanes start from, and its slopes: uniform, or times the rows' factors.
  aie::accum<acc32, kTileLanes> constant(aie::broadcast<int16, kTileLanes>(floor), scale_up);
  using Slope = std::conditional_t<kForm == Form::kFused, uint16, int16>;
  aie::vector<Slope, kTileLanes> slope[kKnees];
  for (unsigned k = 0; k < kKnees; ++k) {
    slope[k] = aie::broadcast<Slope, kTileLanes>(static_cast<Slope>(head.slope[k] << scale_up));
  }
  const auto set_factors = [&](const aie::vector<int16, kTileLanes>& power) {
    if constexpr (kForm != Form::kPlain) {
      constant = aie::mul(power, floor);
      for (unsigned k = 0; k < kKnees; ++k) {
        slope[k] = aie::mul(power, int16{head.slope[k]}).template to_vector<Slope>(0);
      }
    }
  };
  if constexpr (kForm != Form::kPlain) {
    set_factors(eight_lanes(first_powers.template extract<kTileLanes / 2>(0)));
  }
  unsigned place = 0;
  unsigned segment = 0;
  HCCS_LOOP(i, block.bands * segments, "tiles.scale", 1) {
    const Distances<kThresholds, kKnees> distances(head, scratch, place);
    aie::vector<int16, kTileLanes> first, second;
    if constexpr (kForm != Form::kFused) first = load_factors(scratch.first, place);
    if constexpr (kPlainScaled) second = load_factors(scratch.second, place);
    const auto results = [&](const aie::vector<int8, 64>(&u)[kKnees], unsigned t) {
      auto sum = constant;
      for (unsigned k = 0; k < kKnees; ++k) {
        sum = aie::mac(sum, u[k].template extract<kTileLanes>(t).template unpack<int16>(), slope[k]);
      }
      if constexpr (kForm == Form::kFused) {
        return sum.template to_vector<Out>(exponents.most);
      } else if constexpr (kForm == Form::kShifted) {
        return aie::mul(sum.template to_vector<int16>(0), first)
            .template to_vector<Out>(exponents.most + (kWide ? 0 : 7));
      } else {
        return scale<kNormalisation, Out>(sum.template to_vector<int16>(0), first, second);
      }
    };
    const unsigned band = block.first_band() + place;
    for (unsigned v = segment * kVectors; v < (segment + 1) * kVectors; ++v) {
      aie::vector<int8, 64> u[kKnees];
      distances.of(logits.load(place, v), u);
      Out* to = out + (band * x.vectors() + v) * 64;
      for (unsigned t = 0; t < kVectorTiles; ++t) {
        auto result = results(u, t);
        if constexpr (kMask == MaskKind::kBits) {
          result = aie::select(Out{0}, result, x.valid(band, v).template extract<kTileLanes>(t));
        }
        aie::store_v(to + t * kTileLanes, result);
      }
    }
    if (++segment == segments) {
      segment = 0;
      if (place + 1 < block.bands) ++place;
    }
    // The factors of the next pass are made here, a long way before the products that wait for them.
    if constexpr (kForm != Form::kPlain) {
      set_factors(load_factors(kForm == Form::kFused ? scratch.first : scratch.second, place));
    }
  }
}

// Makes 0 of what is beyond the rows' lengths and of the rows beyond the last.
template <MaskKind kMask, unsigned kKnees, typename Out>
void clear_invalid(const MaskedTiles<kMask>& x, const Logits<kMask, kKnees>& logits, const Block& block,
                   TilesScratch<kKnees>& scratch, Out* out) {
  const auto keep = [&](Out* to, const aie::mask<64>& valid) {
    aie::store_v(to, aie::select(Out{0}, aie::load_v<64>(to), valid));
  };
  const auto place_of = [&](unsigned band, unsigned vector) { return out + (band * x.vectors() + vector) * 64; };
  logits.for_boundary([&](unsigned place, unsigned, unsigned vector) {
    const unsigned band = block.first_band() + place;
    // Where there is no register the copies, which are read no more, take its place.
    Out* const copies = reinterpret_cast<Out*>(scratch.boundary[place][0]);
    keep(vector < x.vectors() ? place_of(band, vector) : copies, x.valid_columns(band, vector));
  });
  const auto shown = [&](unsigned band) { return x.whole_vectors(band) + x.boundary_vectors(); };
  unsigned hidden = 0;
  for (unsigned place = 0; place < block.bands; ++place) {
    const unsigned first = shown(block.first_band() + place);
    hidden += first < x.vectors() ? x.vectors() - first : 0;
  }
  unsigned band = block.first_band();
  unsigned vector = shown(band);
  HCCS_LOOP(i, hidden, "tiles.hidden", 0) {
    while (vector >= x.vectors()) vector = shown(++band);
    aie::store_v(place_of(band, vector), aie::zeros<Out, 64>());
    ++vector;
  }
  if (x.rows() % kTileRows != 0 && block.first_band() + block.bands == x.bands()) {
    HCCS_LOOP(v, x.vectors(), "tiles.last_rows", 1) { keep(place_of(x.bands() - 1, v), x.existing_rows()); }
  }
}

}  // namespace hccs_kernels::tiles_passes

#endif  // HCCS_AIE_KERNELS_TILES_SCALE_H_
