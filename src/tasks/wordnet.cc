// SPDX-License-Identifier: Apache-2.0
#include "tasks/wordnet.h"

#include <fmt/core.h>

#include <charconv>
#include <numeric>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/text.h"

namespace hccs {
namespace {

constexpr int32_t kFirstNounFile = 3;
constexpr int32_t kLastNounFile = 28;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  const size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// The next field of a line of single-space separated fields.
std::string_view take_field(std::string_view& line) {
  const std::string_view field = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(field.size() + 1, line.size()));
  return field;
}

// Two digits, a noun's lexicographer file.
std::optional<int32_t> parse_noun_file(std::string_view field) {
  int32_t number = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
  if (field.size() != 2 || error != std::errc() || end != field.data() + field.size() || number < kFirstNounFile ||
      number > kLastNounFile) {
    return std::nullopt;
  }
  return number;
}

// splitmix64 (Steele, Lea, Flood, OOPSLA 2014); the standard library's shuffle differs from one implementation to
// another.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  // Uniform in 0..n-1, n >= 1. The draws below 2^64 mod n are refused, so that every result has as many draws.
  uint64_t below(uint64_t n) {
    const uint64_t refused = (0 - n) % n;
    uint64_t draw = next();
    while (draw < refused) {
      draw = next();
    }
    return draw % n;
  }

 private:
  uint64_t next() {
    state_ += 0x9E3779B97F4A7C15U;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

}  // namespace

Expected<std::vector<LabelledText>> read_wordnet_glosses(const std::filesystem::path& data_noun) try {
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> lines, read_text_lines({&data_noun, 1}, true));
  std::vector<LabelledText> glosses;
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto bad = [&](std::string_view rule) {
      return Status(StatusCode::kBadData, fmt::format("{}: line {}: {}", data_noun.string(), i + 1, rule));
    };
    std::string_view line = lines[i];
    if (line.starts_with("  ")) {
      continue;  // the licence
    }
    const size_t bar = line.find('|');
    if (bar == std::string_view::npos) {
      return bad("no '|', but every synset has a gloss");
    }
    const std::string_view definition = line.substr(bar + 1);
    line = line.substr(0, bar);
    take_field(line);  // the synset's offset
    const std::string_view file = take_field(line);
    const std::optional<int32_t> label = parse_noun_file(file);
    if (!label) {
      return bad(fmt::format("lexicographer file \"{}\", but those of nouns are {:02}..{}", file, kFirstNounFile,
                             kLastNounFile));
    }
    const std::string_view gloss = trim(definition.substr(0, definition.find(';')));
    if (!gloss.empty()) {
      glosses.push_back({std::string(gloss), *label});
    }
  }
  if (glosses.empty()) {
    return Status(StatusCode::kBadData, fmt::format("{}: no gloss in {} lines", data_noun.string(), lines.size()));
  }
  return glosses;
} catch (...) {
  return internal::status_of_exception(data_noun.native());
}

Expected<WordnetTask> make_wordnet_task(std::span<const LabelledText> glosses, uint64_t seed, int64_t reference,
                                        int64_t test, int64_t calibration) try {
  const auto available = static_cast<int64_t>(glosses.size());
  for (const int64_t size : {reference, test, calibration}) {
    if (size < 0 || size > available) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("a part of {} glosses, but 0 <= size <= {}, the glosses there are", size, available));
    }
  }
  std::vector<size_t> order(glosses.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Random random(seed);
  for (size_t i = order.size(); i > 1; --i) {  // Fisher-Yates
    std::swap(order[i - 1], order[random.below(i)]);
  }

  WordnetTask task;
  std::unordered_map<std::string_view, const void*> part_of;
  size_t next = 0;
  for (auto [part, size] : {std::pair(&task.reference, reference), std::pair(&task.test, test),
                            std::pair(&task.calibration, calibration)}) {
    while (static_cast<int64_t>(part->size()) < size) {
      if (next == order.size()) {
        return Status(StatusCode::kInvalidArgument,
                      fmt::format("{} glosses do not suffice for {} + {} + {} in parts that share no text", available,
                                  reference, test, calibration));
      }
      const LabelledText& gloss = glosses[order[next++]];
      if (part_of.emplace(gloss.text, part).first->second == part) {
        part->push_back(gloss);
      }
    }
  }
  return task;
} catch (...) {
  return internal::status_of_exception("WordNet task");
}

EvaluatedGlosses evaluated_glosses(const WordnetTask& task) {
  EvaluatedGlosses glosses = {.references = std::ssize(task.reference)};
  for (const auto* part : {&task.reference, &task.test}) {
    for (const LabelledText& gloss : *part) {
      glosses.texts.push_back(gloss.text);
      glosses.labels.push_back(gloss.label);
    }
  }
  return glosses;
}

}  // namespace hccs
