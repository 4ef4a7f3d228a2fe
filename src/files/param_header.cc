// SPDX-License-Identifier: Apache-2.0
#include "hccs/param_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string_view>

#include "contract/exceptions.h"
#include "files/utf8.h"
#include "hccs/version.h"

namespace hccs {
namespace {

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Underscores in front, and two of them, are the compiler's.
Status check_name(std::string_view name) {
  const bool ok =
      !name.empty() && is_letter(name.front()) && name.find("__") == name.npos && name.back() != '_' &&
      std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; });
  if (ok) return {};
  return invalid(
      fmt::format("name {}, but it is letters, digits and single underscores, a letter first and no "
                  "underscore last",
                  internal::in_quotes(name)));
}

std::string upper_case(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

// 0, 1, ..., count - 1
std::vector<int64_t> all_of(int64_t count) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

struct Selection {
  std::vector<int64_t> layers;
  std::vector<int64_t> heads;  // of each layer
};

Expected<Selection> select(const ParamFile& file, const ParamHeaderOptions& options) {
  Selection selection = {.layers = all_of(file.layers), .heads = all_of(file.heads)};
  if (options.layer) {
    if (*options.layer < 0 || *options.layer >= file.layers) {
      return invalid(
          fmt::format("layer {}, but there are {} layers of {} heads", *options.layer, file.layers, file.heads));
    }
    selection.layers = {*options.layer};
  }
  if (!options.heads.empty()) selection.heads = options.heads;
  std::vector<bool> seen(static_cast<size_t>(file.heads), false);
  for (const int64_t head : selection.heads) {
    if (head < 0 || head >= file.heads) {
      return invalid(fmt::format("{}, but there are {} layers of {} heads", head_name(selection.layers.front(), head),
                                 file.layers, file.heads));
    }
    if (seen[static_cast<size_t>(head)]) return invalid(fmt::format("head {} is named twice", head));
    seen[static_cast<size_t>(head)] = true;
  }
  return selection;
}

int32_t most_knees(const ParamFile& file, const Selection& selection) {
  int32_t most = 1;
  for (const int64_t layer : selection.layers) {
    for (const int64_t head : selection.heads) most = std::max(most, file.at(layer, head).params.knee_count);
  }
  return most;
}

// The shortest text that reads back as the same double, and is no integer.
std::string real_literal(double value) {
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".e") == text.npos ? text + ".0" : text;
}

std::string entry_line(const HeadEntry& entry, int64_t layer, int64_t head, int32_t most_knees) {
  std::string slopes;
  std::string positions;
  for (int32_t k = 0; k < most_knees; ++k) {
    const Knee knee = k < entry.params.knee_count ? entry.params.knees[static_cast<size_t>(k)] : Knee{};
    slopes += fmt::format("{}{}", k == 0 ? "" : ", ", knee.slope);
    positions += fmt::format("{}{}", k == 0 ? "" : ", ", knee.position);
  }
  return fmt::format("    {{{}, {}, {}, {}, {{{}}}, {{{}}}, {}}},\n", layer, head, entry.params.offset,
                     entry.params.knee_count, slopes, positions, real_literal(entry.step));
}

// {0} name, {1} NAME, {2} model, {3} version, {4} heads, {5} the most knees
constexpr std::string_view kHead =
    R"(// HCCS parameters of the model {2}; written by hccs export --target header, version {3}.
//
// A position that lies d >= 0 below the maximum of its row has the score
//   offset - slope[0] * min(d, position[0]) - ... - slope[knee_count - 1] * min(d, position[knee_count - 1])
// Logits are int8 in units of `step`: round(logit / step), half to even, clamped to -128..127.
//
// For C99 and for C++14 or later.
#ifndef {1}_TABLE_H_
#define {1}_TABLE_H_

#include <stdint.h>

#if defined(__cplusplus) && __cplusplus >= 201703L
#define {1}_CONST inline constexpr
#elif defined(__cplusplus)
#define {1}_CONST [[gnu::unused]] static constexpr
#elif defined(__GNUC__)
#define {1}_CONST static const __attribute__((unused))
#else
#define {1}_CONST static const
#endif

enum {{
  {0}_count = {4},  // heads in the table
  {0}_knees = {5}   // the most that a head has
}};

typedef struct {0}_head {{
  int32_t layer;        // from 0
  int32_t head;         // of its layer, from 0
  int16_t offset;       // B, 1..32767
  int8_t knee_count;    // K; slope and position are 0 beyond it
  int8_t slope[{5}];      // S, 0..127
  int8_t position[{5}];   // D, 1..127, increasing
  double step;          // the real value of one unit of an int8 logit
}} {0}_head;

{1}_CONST {0}_head {0}_heads[{4}] = {{
)";

constexpr std::string_view kTail = R"(}};

#undef {0}_CONST

#endif  // {0}_TABLE_H_
)";

}  // namespace

Expected<std::string> param_header(const ParamFile& file, const ParamHeaderOptions& options) try {
  HCCS_RETURN_IF_ERROR(check_name(options.name));
  HCCS_RETURN_IF_ERROR(validate(file));
  HCCS_ASSIGN_OR_RETURN(const Selection selection, select(file, options));
  const int32_t knees = most_knees(file, selection);
  const std::string upper = upper_case(options.name);
  std::string text = fmt::format(kHead, options.name, upper, internal::in_quotes(file.model), kVersion,
                                 selection.layers.size() * selection.heads.size(), knees);
  for (const int64_t layer : selection.layers) {
    for (const int64_t head : selection.heads) text += entry_line(file.at(layer, head), layer, head, knees);
  }
  return text + fmt::format(kTail, upper);
} catch (...) {
  return internal::status_of_exception("parameter header");
}

}  // namespace hccs
