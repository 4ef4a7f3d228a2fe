// SPDX-License-Identifier: Apache-2.0
#include "quantiser/make_layer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "quantiser/places.h"
#include "quantiser/requantise.h"

namespace hccs::internal {
namespace {

constexpr int kLargestFraction = 12;
constexpr double kInnerHeadroom = 1.5;  // of GELU's argument
constexpr double kSplitHeadroom = 1.5;  // of a channel that further columns carry

std::vector<int64_t> all_channels(int64_t n) {
  std::vector<int64_t> channels(static_cast<size_t>(n));
  std::iota(channels.begin(), channels.end(), int64_t{0});
  return channels;
}

// q and k have one scale a head, v one a channel; the centres of k change no softmax, those of v come out of it again.
struct HeadScales {
  std::vector<double> scales;   // [3 * hidden]
  std::vector<double> centres;  // [3 * hidden]
};

HeadScales head_scales(const ChannelStatistics& statistics, const BertConfig& config,
                       const std::vector<double>& units) {
  const auto hidden = static_cast<size_t>(config.hidden_size);
  const auto dimension = static_cast<size_t>(config.head_dimension());
  HeadScales out;
  for (size_t c = 0; c < 3 * hidden; ++c) {
    out.centres.push_back(c < hidden ? 0 : statistics.centre(c));
    const double half = std::max(statistics.greatest[c] - out.centres[c], out.centres[c] - statistics.least[c]);
    out.scales.push_back(std::max(half / 127, smallest_int8_scale(units[c])));
  }
  for (size_t c = 0; c < 3 * hidden; c += dimension) {
    const auto head = out.scales.begin() + static_cast<int64_t>(c);
    const double largest = *std::max_element(head, head + static_cast<int64_t>(dimension));
    for (size_t i = 0; i < dimension; ++i) {
      double& scale = head[static_cast<int64_t>(i)];
      scale = c < 2 * hidden ? largest
                             : std::pow(scale * kValueHeadroom, kValueBalance) *
                                   std::pow(largest * kValueHeadroom, 1 - kValueBalance);
    }
  }
  return out;
}

int64_t further_columns(double greatest, double range) {
  if (greatest <= range) return 0;
  return static_cast<int64_t>(std::ceil(greatest * kSplitHeadroom / range)) - 1;
}

// The rows or columns of a linear layer in another order.
FloatLinear with_outputs(const FloatLinear& linear, const std::vector<int64_t>& order) {
  FloatLinear out{.in = linear.in, .out = linear.out};
  for (const int64_t j : order) {
    const auto row = linear.weights.begin() + j * linear.in;
    out.weights.insert(out.weights.end(), row, row + linear.in);
    out.bias.push_back(linear.bias[static_cast<size_t>(j)]);
  }
  return out;
}

FloatLinear with_inputs(const FloatLinear& linear, const std::vector<int64_t>& order) {
  FloatLinear out{.in = linear.in, .out = linear.out, .weights = {}, .bias = linear.bias};
  for (int64_t j = 0; j < linear.out; ++j) {
    for (const int64_t i : order) out.weights.push_back(linear.weights[static_cast<size_t>(j * linear.in + i)]);
  }
  return out;
}

// Copies the columns of the split channels, and takes from the bias what the code of 0 adds.
void add_columns(const IntGelu& gelu, Product* product) {
  IntLinear& linear = product->linear;
  auto weights = std::make_shared<std::vector<int8_t>>();
  for (int64_t j = 0; j < linear.out; ++j) {
    const auto row = linear.weights.begin() + j * linear.in;
    const int32_t sum = std::accumulate(row, row + linear.in, 0);
    linear.bias[static_cast<size_t>(j)] -= gelu.zero * sum;
    weights->insert(weights->end(), row, row + linear.in);
    for (const int32_t channels : gelu.splits) weights->insert(weights->end(), row, row + channels);
  }
  linear.in = std::ssize(*weights) / linear.out;
  linear.weights = *weights;
  product->storage = std::move(weights);
}

}  // namespace

ProductInput make_query_key_value(const FloatBert& source, const Statistics& statistics, const ParamFile& params,
                                  const ProductErrors* errors, int threads, int64_t index, IntLayer* layer,
                                  Storage* storage) {
  const BertConfig& config = source.config;
  const FloatLinear& linear = source.layers[static_cast<size_t>(index)].query_key_value;
  Product product = make_product(linear, input_of(statistics.at(Place::kInput, index), linear), errors, threads);
  const HeadScales heads = head_scales(statistics.at(Place::kQueryKeyValue, index), config, product.units);
  finish_int8(&product, heads.scales, heads.centres);
  layer->query_key_value = std::move(product.linear);
  storage->push_back(std::move(product.storage));

  const double root = std::sqrt(static_cast<double>(config.head_dimension()));
  for (int64_t h = 0; h < config.heads; ++h) {
    const HeadEntry& entry = params.at(index, h);
    layer->heads.push_back(entry.params);
    const auto q = static_cast<size_t>(h * config.head_dimension());
    const double ratio =
        heads.scales[q] * heads.scales[q + static_cast<size_t>(config.hidden_size)] / root / entry.step;
    Factor factor = factor_of(ratio);
    if (factor.shift < 0) factor = {kMaxRescaleMultiplier, 0};
    if (factor.shift > kMaxRescaleShift) {
      factor.multiplier = std::max(1, factor.multiplier >> std::min(factor.shift - kMaxRescaleShift, 30));
      factor.shift = kMaxRescaleShift;
    }
    layer->rescale.push_back({factor.multiplier, factor.shift});
  }
  const int64_t values = 2 * config.hidden_size;
  return {.scales = {heads.scales.begin() + values, heads.scales.end()},
          .centres = {heads.centres.begin() + values, heads.centres.end()}};
}

void make_attention_output(const FloatBert& source, const Statistics& statistics, const ProductInput& context,
                           const ProductErrors* errors, int threads, int64_t index, IntLayer* layer, Storage* storage) {
  Product output = make_product(source.layers[static_cast<size_t>(index)].attention_output, context, errors, threads);
  finish_residual(&output, sum_scale(statistics, Place::kAttentionSum, index),
                  magnitudes(statistics.at(Place::kAttentionProduct, index)));
  layer->attention_output = std::move(output.linear);
  storage->push_back(std::move(output.storage));
}

Splits find_splits(const ChannelStatistics& activated) {
  const auto n = std::ssize(activated.greatest);
  Splits splits{.order = all_channels(n), .levels = {}, .range = 0};
  std::stable_sort(splits.order.begin(), splits.order.end(), [&](int64_t a, int64_t b) {
    return activated.greatest[static_cast<size_t>(a)] > activated.greatest[static_cast<size_t>(b)];
  });
  const auto greatest = [&](int64_t rank) {
    return double{activated.greatest[static_cast<size_t>(splits.order[static_cast<size_t>(rank)])]};
  };
  // The smallest range, that of the channel `rank`, that the columns suffice for.
  for (int64_t rank = 0; rank < std::min(n, kSplitColumns + 1); ++rank) {
    const double range = greatest(rank);
    if (range <= 0) break;
    int64_t columns = 0;
    for (int64_t r = 0; r < rank; ++r) columns += further_columns(greatest(r), range);
    if (columns > kSplitColumns || further_columns(greatest(0), range) > 127) break;
    splits.range = range;
  }
  if (splits.range <= 0) splits.range = 1;  // no channel is ever above 0
  for (int64_t r = 0; r < n; ++r) {
    const int64_t columns = further_columns(greatest(r), splits.range);
    if (columns == 0) break;
    splits.levels.resize(std::max(splits.levels.size(), static_cast<size_t>(columns)));
    for (int64_t level = 0; level < columns; ++level) ++splits.levels[static_cast<size_t>(level)];
  }
  return splits;
}

FloatLinear ordered_intermediate(const FloatLayer& layer, const Splits& splits) {
  return with_outputs(layer.intermediate, splits.order);
}

FloatLinear ordered_output(const FloatLayer& layer, const Splits& splits) {
  return with_inputs(layer.output, splits.order);
}

double make_intermediate(const FloatLinear& intermediate, const Splits& splits, const Statistics& statistics,
                         const ProductErrors* errors, int threads, int64_t index, IntLayer* layer, Storage* storage) {
  const ProductInput input = input_of(statistics.at(Place::kAttention, index), intermediate);
  Product product = make_product(intermediate, input, errors, threads);
  // The finest power of two whose 15 bits hold GELU's argument, and that no unit of the product passes.
  const double magnitude = std::max(1e-3, kInnerHeadroom * statistics.at(Place::kInner, index).magnitude());
  const double unit = *std::max_element(product.units.begin(), product.units.end());
  IntGelu& gelu = layer->gelu;
  gelu.fraction = kLargestFraction;
  while (gelu.fraction > 4 &&
         (std::ldexp(magnitude, gelu.fraction) > 16384 || std::ldexp(unit, gelu.fraction) > 0.999)) {
    --gelu.fraction;
  }
  const double argument_unit = std::ldexp(1.0, -gelu.fraction);
  finish_int16(&product, argument_unit);
  layer->intermediate = std::move(product.linear);
  storage->push_back(std::move(product.storage));

  const ChannelStatistics& activated = statistics.at(Place::kActivated, index);
  const double least = *std::min_element(activated.least.begin(), activated.least.end());
  const double code = std::max((splits.range - std::min(least, 0.0)) / 255, argument_unit * 1.001);
  gelu.multiplier = std::clamp(static_cast<int32_t>(std::nearbyint(argument_unit / code * 32768)), 1, 32767);
  const double code_unit = argument_unit * 32768 / gelu.multiplier;
  gelu.zero = std::clamp(static_cast<int32_t>(std::nearbyint(-std::min(least, 0.0) / code_unit)), 0, 255);
  gelu.splits = splits.levels;
  return code_unit;
}

void make_output(const FloatLinear& output, double code, const Statistics& statistics, const ProductErrors* errors,
                 int threads, int64_t index, IntLayer* layer, Storage* storage) {
  const auto inner = static_cast<size_t>(output.in);
  const ProductInput codes{.scales = std::vector<double>(inner, code), .centres = std::vector<double>(inner)};
  Product product = make_product(output, codes, errors, threads);
  finish_residual(&product, sum_scale(statistics, Place::kOutputSum, index),
                  magnitudes(statistics.at(Place::kOutputProduct, index)));
  add_columns(layer->gelu, &product);
  layer->output = std::move(product.linear);
  storage->push_back(std::move(product.storage));
}

}  // namespace hccs::internal
