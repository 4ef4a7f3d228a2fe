// SPDX-License-Identifier: Apache-2.0
//
// Tiling parameters (UG1603 "Tiling Parameters Specification"): the order in which a DMA visits a buffer.
#ifndef ADF_TILING_H_
#define ADF_TILING_H_

#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <string>
#include <vector>

#include "adf/types.h"

namespace adf {

struct traversing_parameters {
  uint32_t dimension = 0;
  uint32_t stride = 0;
  uint32_t wrap = 0;
};

struct tiling_parameters {
  std::vector<uint32_t> buffer_dimension = {};  // [0] is contiguous in memory; empty: the buffer's own
  std::vector<uint32_t> tiling_dimension = {};  // empty: the whole buffer
  std::vector<int32_t> offset = {};             // of the first tile; may be negative where reads pad with zeros
  std::vector<traversing_parameters> tile_traversal = {};  // [0] is the innermost loop; empty: one tile
  int packet_port_id = -1;
  uint32_t repetition = 1;
  uint32_t phase = 0;
  std::vector<uint32_t> boundary_dimension = {};  // elements outside read as zero; empty: buffer_dimension
};

inline tiling_parameters tiling(tiling_parameters parameters) { return parameters; }

namespace host {

// The patterns of one port, which its DMA runs one after the other.
class AccessList {
 public:
  AccessList& operator=(const tiling_parameters& pattern) { return *this = {pattern}; }
  AccessList& operator=(std::initializer_list<tiling_parameters> patterns) {
    patterns_ = patterns;
    return *this;
  }
  AccessList& operator=(std::vector<tiling_parameters> patterns) {
    patterns_ = std::move(patterns);
    return *this;
  }
  bool empty() const { return patterns_.empty(); }
  const std::vector<tiling_parameters>& patterns() const { return patterns_; }

 private:
  std::vector<tiling_parameters> patterns_;
};

enum class Access { kRead, kWrite };

inline constexpr int64_t kPadding = -1;

inline uint64_t volume(const std::vector<uint32_t>& extents) {
  return std::accumulate(extents.begin(), extents.end(), uint64_t{1},
                         [](uint64_t product, uint32_t n) { return product * n; });
}

// Appends the element offsets of one pattern in the order of transfer, kPadding for a zero.
inline void append_offsets(tiling_parameters pattern, const std::vector<uint32_t>& buffer, Access access,
                           const std::string& where, std::vector<int64_t>& offsets) {
  const auto refuse = [&](const std::string& rule) { fail(where + ": tiling parameters: " + rule); };
  if (pattern.buffer_dimension.empty()) pattern.buffer_dimension = buffer;
  if (pattern.tiling_dimension.empty()) {
    pattern.tiling_dimension = pattern.buffer_dimension;
    pattern.offset.clear();
  }
  const size_t rank = pattern.buffer_dimension.size();
  if (pattern.offset.empty()) pattern.offset.assign(rank, 0);
  if (pattern.boundary_dimension.empty()) pattern.boundary_dimension = pattern.buffer_dimension;
  if (pattern.tiling_dimension.size() != rank || pattern.offset.size() != rank ||
      pattern.boundary_dimension.size() != rank) {
    refuse("buffer_dimension, tiling_dimension, offset and boundary_dimension have " + std::to_string(rank) + ", " +
           std::to_string(pattern.tiling_dimension.size()) + ", " + std::to_string(pattern.offset.size()) + " and " +
           std::to_string(pattern.boundary_dimension.size()) + " entries; all must have as many");
  }
  if (volume(pattern.buffer_dimension) > volume(buffer)) {
    refuse("buffer_dimension covers " + std::to_string(volume(pattern.buffer_dimension)) +
           " elements, the buffer has " + std::to_string(volume(buffer)));
  }
  if (pattern.packet_port_id != -1) refuse("packet_port_id is set, and packet switching is not part of this host");
  uint64_t tiles = pattern.repetition;
  for (const traversing_parameters& loop : pattern.tile_traversal) {
    if (loop.dimension >= rank || loop.wrap == 0) {
      refuse("a traversal of dimension " + std::to_string(loop.dimension) + " with wrap " + std::to_string(loop.wrap) +
             "; dimension must be below " + std::to_string(rank) + " and wrap at least 1");
    }
    tiles *= loop.wrap;
  }
  const uint64_t tile_volume = volume(pattern.tiling_dimension);
  for (uint64_t tile = 0; tile < tiles; ++tile) {
    std::vector<int64_t> origin(pattern.offset.begin(), pattern.offset.end());
    uint64_t rest = tile;
    for (const traversing_parameters& loop : pattern.tile_traversal) {
      origin[loop.dimension] += static_cast<int64_t>(rest % loop.wrap) * loop.stride;
      rest /= loop.wrap;
    }
    for (uint64_t element = 0; element < tile_volume; ++element) {
      uint64_t inside = element;
      int64_t offset = 0;
      int64_t pitch = 1;
      bool padding = false;
      for (size_t d = 0; d < rank; ++d) {
        const int64_t at = origin[d] + static_cast<int64_t>(inside % pattern.tiling_dimension[d]);
        inside /= pattern.tiling_dimension[d];
        const int64_t limit = access == Access::kRead ? pattern.boundary_dimension[d] : pattern.buffer_dimension[d];
        padding |= at < 0 || at >= limit;
        offset += at * pitch;
        pitch *= pattern.buffer_dimension[d];
      }
      if (padding && access == Access::kWrite) {
        refuse("a write outside the buffer in tile " + std::to_string(tile) + "; only reads may leave it (as zeros)");
      }
      offsets.push_back(padding ? kPadding : offset);
    }
  }
}

// The byte offset of every 32-bit word that one pass of the port's DMA moves, kPadding for a word of zeros.
// `element_bytes` 1, 2, 4 or 8; `buffer` the buffer's extents. Stops where the pattern would split a word.
inline std::vector<int64_t> word_offsets(const AccessList& list, const std::vector<uint32_t>& buffer,
                                         unsigned element_bytes, Access access, const std::string& where) {
  std::vector<int64_t> elements;
  if (list.empty()) {
    elements.resize(volume(buffer));
    std::iota(elements.begin(), elements.end(), int64_t{0});
  }
  for (const tiling_parameters& pattern : list.patterns()) append_offsets(pattern, buffer, access, where, elements);
  if (elements.size() * element_bytes % 4 != 0) {
    fail(where + ": " + std::to_string(elements.size() * element_bytes) +
         " bytes; a DMA moves 32-bit words, so the size in bytes must be a multiple of 4");
  }
  std::vector<int64_t> words;
  const unsigned per_word = element_bytes < 4 ? 4 / element_bytes : 1;
  const unsigned words_per_element = element_bytes < 4 ? 1 : element_bytes / 4;
  for (size_t first = 0; first < elements.size(); first += per_word) {
    const int64_t start = elements[first];
    bool whole = start == kPadding || start * element_bytes % 4 == 0;
    for (unsigned i = 1; i < per_word; ++i) {
      whole &= elements[first + i] == (start == kPadding ? kPadding : start + i);
    }
    if (!whole) {
      fail(where + ": tiling parameters split a 32-bit word of " + std::to_string(element_bytes) +
           "-byte elements; a DMA moves 32-bit words, so runs and offsets must be multiples of " +
           std::to_string(per_word) + " elements");
    }
    for (unsigned w = 0; w < words_per_element; ++w) {
      words.push_back(start == kPadding ? kPadding : start * element_bytes + 4 * w);
    }
  }
  return words;
}

}  // namespace host
}  // namespace adf

#endif  // ADF_TILING_H_
