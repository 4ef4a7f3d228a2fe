// SPDX-License-Identifier: Apache-2.0
//
// The names of the contract's choices, as files, command lines and messages have them.
#include <fmt/core.h>

#include "hccs/params.h"
#include "hccs/reference.h"

namespace hccs {

std::string head_name(int64_t layer, int64_t head) { return fmt::format("layer {}, head {}", layer, head); }

std::string_view name(Limits limits) noexcept { return limits == Limits::kNative ? "native" : "paper"; }

std::string_view name(Share share) noexcept {
  switch (share) {
    case Share::kHead:
      return "head";
    case Share::kLayer:
      return "layer";
    case Share::kGlobal:
      break;
  }
  return "global";
}

std::optional<Limits> parse_limits(std::string_view text) noexcept {
  for (Limits v : {Limits::kNative, Limits::kPaper}) {
    if (text == name(v)) return v;
  }
  return std::nullopt;
}

std::optional<Share> parse_share(std::string_view text) noexcept {
  for (Share v : {Share::kHead, Share::kLayer, Share::kGlobal}) {
    if (text == name(v)) return v;
  }
  return std::nullopt;
}

std::string_view name(Normalisation normalisation) noexcept {
  switch (normalisation) {
    case Normalisation::kDiv:
      return "div";
    case Normalisation::kClb:
      return "clb";
    case Normalisation::kScaled:
      break;
  }
  return "scaled";
}

std::string_view name(OutputType output) noexcept { return output == OutputType::kUint8 ? "uint8" : "int16"; }

std::optional<Normalisation> parse_normalisation(std::string_view text) noexcept {
  for (Normalisation v : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
    if (text == name(v)) return v;
  }
  return std::nullopt;
}

std::optional<OutputType> parse_output_type(std::string_view text) noexcept {
  for (OutputType v : {OutputType::kUint8, OutputType::kInt16}) {
    if (text == name(v)) return v;
  }
  return std::nullopt;
}

}  // namespace hccs
