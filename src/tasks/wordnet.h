// SPDX-License-Identifier: Apache-2.0
//
// Texts with labels that every machine with Debian has: the glosses of WordNet's nouns.
#ifndef HCCS_SRC_TASKS_WORDNET_H_
#define HCCS_SRC_TASKS_WORDNET_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "hccs/status.h"

namespace hccs {

struct LabelledText {
  std::string text;
  int32_t label = 0;
};

// Where Debian's wordnet-base puts the noun synsets.
inline constexpr const char* kWordnetNouns = "/usr/share/wordnet/data.noun";

// WordNet 3.0 noun glosses: the part after '|', up to the first ';', trimmed; the label is the lexicographer file
// number, 3..28 (26 of them). Empty glosses are skipped. Format: man 5WN wndb. Errors: kIo, kBadData with the line
// number.
Expected<std::vector<LabelledText>> read_wordnet_glosses(const std::filesystem::path& data_noun = kWordnetNouns);

// Disjoint parts of the glosses, drawn without replacement by a generator that is the same on every machine: also
// disjoint as texts (a gloss that occurs twice stays in one part).
struct WordnetTask {
  std::vector<LabelledText> reference;    // the neighbours' pool
  std::vector<LabelledText> test;         // classified by their neighbours
  std::vector<LabelledText> calibration;  // never evaluated
};

// The split that calibrate and evaluate share, so that no evaluated gloss was calibrated on.
inline constexpr uint64_t kWordnetTaskSeed = 0;

// Errors: kInvalidArgument if the glosses are fewer than the three sizes.
Expected<WordnetTask> make_wordnet_task(std::span<const LabelledText> glosses, uint64_t seed, int64_t reference = 4500,
                                        int64_t test = 1500, int64_t calibration = 2000);

// What is evaluated by its neighbours: `references` texts of the pool, then those that are classified.
struct EvaluatedGlosses {
  std::vector<std::string> texts;
  std::vector<int32_t> labels;
  int64_t references = 0;
};
EvaluatedGlosses evaluated_glosses(const WordnetTask& task);

}  // namespace hccs

#endif  // HCCS_SRC_TASKS_WORDNET_H_
