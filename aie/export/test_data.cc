// SPDX-License-Identifier: Apache-2.0
#include "aie/export/test_data.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "hccs/npy.h"

namespace aie_export {

using hccs::Expected;
using hccs::NpyArray;
using hccs::Status;
using hccs::StatusCode;

namespace {

std::vector<hccs::BlockMask> drawn_masks(int64_t length, int64_t blocks, std::mt19937_64& random) {
  const auto n = static_cast<int32_t>(length);
  std::vector<hccs::BlockMask> masks(blocks, {.valid_length = n, .causal_offset = n});
  for (size_t block = 1; block < masks.size(); ++block) {
    masks[block].valid_length = static_cast<int32_t>(random() % (n + 1));
    masks[block].causal_offset = static_cast<int32_t>(random() % (n + 1)) - 1;
  }
  return masks;
}

// A matrix for each head, of blocks of `block_rows` rows. Says how many blocks there are.
Expected<std::vector<int8_t>> read_blocks(const std::filesystem::path& file, std::string_view what, int64_t heads,
                                          int64_t block_rows, int64_t columns, int64_t& blocks) {
  HCCS_ASSIGN_OR_RETURN(const NpyArray array, hccs::read_npy(file));
  const std::vector<int64_t>& shape = array.shape;
  const bool has_heads = (shape.size() == 3 && shape[0] == heads) || (shape.size() == 2 && heads == 1);
  const int64_t rows = has_heads ? shape[shape.size() - 2] : 0;
  if (array.type != hccs::NpyType::kInt8 || rows == 0 || shape.back() != columns || rows % block_rows != 0) {
    return Status(StatusCode::kMismatch,
                  fmt::format("{}: {} [{}], but {} is int8 [{}, rows, {}] with rows a multiple of {}", file.string(),
                              name(array.type), fmt::join(shape, ", "), what, heads, columns, block_rows));
  }
  blocks = rows / block_rows;
  const auto values = array.as<int8_t>();
  return std::vector<int8_t>(values.begin(), values.end());
}

// What one unit of q . k of a head is worth in its logit steps.
Expected<hccs::Rescale> rescale_of(const ExportedHead& head, double scale, const AttentionProject& p) {
  const double factor = scale / (std::sqrt(static_cast<double>(p.head_dimension)) * head.step);
  const IntegerFactor integer = std::isnormal(factor) && factor > 0 ? integer_factor(factor) : IntegerFactor{0, -1};
  if (integer.shift < 0 || integer.shift > hccs::kMaxRescaleShift) {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("{}: a unit of q . k is worth {} / (sqrt({}) * {}) = {} logit steps, which is no M * 2^-R with R "
                    "from 0 to {}",
                    hccs::head_name(p.layer, head.number), scale, p.head_dimension, head.step, factor,
                    hccs::kMaxRescaleShift));
  }
  return hccs::Rescale{static_cast<int32_t>(integer.multiplier), static_cast<int32_t>(integer.shift)};
}

std::string drawn_with(uint64_t seed) { return fmt::format("random, seed {}", seed); }

}  // namespace

void draw_logits(int64_t blocks, uint64_t seed, SoftmaxProject& project) {
  project.blocks = blocks;
  project.logits_origin = drawn_with(seed);
  std::mt19937_64 random(seed);
  const auto rows = static_cast<size_t>(std::ssize(project.heads) * blocks * project.block_rows());
  project.logits.resize(rows * project.length);
  for (size_t row = 0; row < rows; ++row) {
    const int centre = static_cast<int>(random() % 256) - 128;
    const int width = 1 + static_cast<int>(random() % 128);
    for (int64_t i = 0; i < project.length; ++i) {
      const int x = centre + static_cast<int>(random() % (2 * width + 1)) - width;
      project.logits[row * project.length + i] = static_cast<int8_t>(std::clamp(x, -128, 127));
    }
  }
}

Status read_logits(const std::filesystem::path& file, SoftmaxProject& project) {
  HCCS_ASSIGN_OR_RETURN(const NpyArray array, hccs::read_npy(file));
  const std::vector<int64_t>& shape = array.shape;
  const int64_t heads = std::ssize(project.heads);
  const int64_t block_rows = project.block_rows();
  const bool one_head = heads == 1 && shape.size() == 2;
  const int64_t rows = shape.size() >= 2 ? shape[shape.size() - 2] : 0;
  if (array.type != hccs::NpyType::kInt8 || !(one_head || (shape.size() == 3 && shape[0] == heads)) ||
      shape.back() != project.length || rows == 0 || rows % block_rows != 0) {
    std::string text;
    for (const int64_t extent : shape) text += fmt::format("{}{}", text.empty() ? "" : ", ", extent);
    return {StatusCode::kMismatch,
            fmt::format("{}: {} [{}], but logits are int8 [{}, rows, {}] with rows a multiple of --rows {}",
                        file.string(), name(array.type), text, heads, project.length, block_rows)};
  }
  project.blocks = rows / block_rows;
  project.logits_origin = file.filename().string();
  const auto values = array.as<int8_t>();
  project.logits.assign(values.begin(), values.end());
  return {};
}

void draw_masks(uint64_t seed, SoftmaxProject& project) {
  project.masks.clear();
  if (project.mask == hccs::MaskKind::kNone) return;
  std::mt19937_64 random(seed + 1);  // another stream than the logits'
  project.masks = drawn_masks(project.length, project.blocks, random);
}

Status read_attention(const AttentionFiles& files, uint64_t seed, AttentionProject& project) {
  int64_t blocks_of_k = 0, blocks_of_v = 0;
  const int64_t dh = project.head_dimension;
  const int64_t heads = std::ssize(project.heads);
  HCCS_ASSIGN_OR_RETURN(project.q, read_blocks(files.q, "q", heads, project.rows, dh, project.blocks));
  HCCS_ASSIGN_OR_RETURN(project.k, read_blocks(files.k, "k", heads, project.length, dh, blocks_of_k));
  HCCS_ASSIGN_OR_RETURN(project.v, read_blocks(files.v, "v", heads, project.length, dh, blocks_of_v));
  if (blocks_of_k != project.blocks || blocks_of_v != project.blocks) {
    return {StatusCode::kMismatch, fmt::format("{} blocks of {} queries, but {} of {} keys and {} of values",
                                               project.blocks, project.rows, blocks_of_k, project.length, blocks_of_v)};
  }
  if (files.scales.size() != 1 && std::ssize(files.scales) != heads) {
    return {StatusCode::kMismatch,
            fmt::format("{} products of scales for {} heads, but there is one for all or one for "
                        "each",
                        files.scales.size(), heads)};
  }
  project.rescales.clear();
  for (int64_t h = 0; h < heads; ++h) {
    const double scale = files.scales[files.scales.size() == 1 ? 0 : h];
    HCCS_ASSIGN_OR_RETURN(const hccs::Rescale rescale, rescale_of(project.heads[h], scale, project));
    project.rescales.insert(project.rescales.end(), project.blocks * project.rows, rescale);
  }
  project.origin =
      fmt::format("{}, {}, {}, scale of q times scale of k {}, masks drawn with seed {}", files.q.filename().string(),
                  files.k.filename().string(), files.v.filename().string(), fmt::join(files.scales, " "), seed);
  std::mt19937_64 random(seed + 1);
  project.masks = drawn_masks(project.length, project.blocks, random);
  return {};
}

Status read_attention_logits(const std::filesystem::path& logits, const std::filesystem::path& values, uint64_t seed,
                             AttentionProject& project) {
  const int64_t dh = project.head_dimension;
  const int64_t n = project.length;
  const int64_t heads = std::ssize(project.heads);
  if (project.rows > dh && n > dh) {
    return {StatusCode::kInvalidArgument,
            fmt::format("{}: no q and k of head dimension {} make any {} rows of {} logits, only up to {} rows or rows "
                        "of up to {}: fewer --rows, or --query, --key and --value",
                        logits.string(), dh, project.rows, n, dh, dh)};
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<int8_t> x,
                        read_blocks(logits, "logits", heads, project.rows, n, project.blocks));
  const int64_t head_blocks = heads * project.blocks;
  // kUnit times a logit, times 2^14 * 2^-20, is the logit; and R is one that the kernel is fast for.
  constexpr int8_t kUnit = 64;
  constexpr hccs::Rescale kRescale{1 << 14, 20};
  project.q.assign(head_blocks * project.rows * dh, 0);
  project.k.assign(head_blocks * n * dh, 0);
  const bool unit_queries = project.rows <= dh;
  for (int64_t block = 0; block < head_blocks; ++block) {
    const int8_t* rows = x.data() + block * project.rows * n;
    int8_t* q = project.q.data() + block * project.rows * dh;
    int8_t* k = project.k.data() + block * n * dh;
    for (int64_t r = 0; r < project.rows; ++r) {
      if (unit_queries) q[r * dh + r] = kUnit;
      for (int64_t i = 0; i < n; ++i) (unit_queries ? k[i * dh + r] : q[r * dh + i]) = rows[r * n + i];
    }
    for (int64_t i = 0; !unit_queries && i < n; ++i) k[i * dh + i] = kUnit;
  }
  project.rescales.assign(head_blocks * project.rows, kRescale);
  std::mt19937_64 random(seed + 1);
  project.masks = drawn_masks(n, project.blocks, random);
  project.origin =
      fmt::format("{} by q of {}, k of {}, M {} and R {}, ", logits.filename().string(),
                  unit_queries ? "64 times unit vectors" : "the logits",
                  unit_queries ? "the logits" : "64 times unit vectors", kRescale.multiplier, kRescale.shift);
  if (values.empty()) {
    project.v.resize(project.k.size());
    for (int8_t& value : project.v) value = static_cast<int8_t>(random() % 256 - 128);
    project.origin += fmt::format("values and masks drawn with seed {}", seed);
    return {};
  }
  int64_t blocks = 0;
  HCCS_ASSIGN_OR_RETURN(project.v, read_blocks(values, "v", heads, n, dh, blocks));
  if (blocks != project.blocks) {
    return {StatusCode::kMismatch, fmt::format("{} blocks of {} rows of logits, but {} of {} values", project.blocks,
                                               project.rows, blocks, n)};
  }
  project.origin += fmt::format("{}, masks drawn with seed {}", values.filename().string(), seed);
  return {};
}

void draw_attention(int64_t blocks, uint64_t seed, AttentionProject& project) {
  project.blocks = blocks;
  project.origin = drawn_with(seed);
  std::mt19937_64 random(seed);
  const auto between = [&](int64_t least, int64_t most) {
    return least + static_cast<int64_t>(random() % static_cast<uint64_t>(most - least + 1));
  };
  const auto draw = [&](int64_t rows) {
    std::vector<int8_t> matrix(rows * project.head_dimension);
    for (int8_t& x : matrix) x = static_cast<int8_t>(between(-128, 127));
    return matrix;
  };
  const int64_t head_blocks = std::ssize(project.heads) * blocks;
  project.q = draw(head_blocks * project.rows);
  project.k = draw(head_blocks * project.length);
  project.v = draw(head_blocks * project.length);
  // Products of such vectors have a standard deviation of 5461 * sqrt(head dimension).
  const double spread = 4 * 5461.0 * std::sqrt(static_cast<double>(project.head_dimension));
  project.rescales.clear();
  for (int64_t i = 0; i < head_blocks * project.rows; ++i) {
    hccs::Rescale rescale{static_cast<int32_t>(between(1 << 14, (1 << 15) - 1)), 0};
    const auto units = static_cast<double>(between(30, 400));  // that the spread is to be
    while (spread * rescale.multiplier > std::ldexp(units, rescale.shift)) ++rescale.shift;
    project.rescales.push_back(rescale);
  }
  project.masks = drawn_masks(project.length, blocks, random);
}

}  // namespace aie_export
