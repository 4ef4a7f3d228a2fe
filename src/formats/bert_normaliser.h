// SPDX-License-Identifier: Apache-2.0
//
// What BERT's tokeniser does to a text before it looks for tokens: control characters go, white space becomes blanks,
// ideographs stand alone, accents are stripped, letters become lower case. As `tokenizers`' BertNormalizer.
#ifndef HCCS_FORMATS_BERT_NORMALISER_H_
#define HCCS_FORMATS_BERT_NORMALISER_H_

#include <unicode/normalizer2.h>
#include <unicode/umachine.h>

#include <string>
#include <string_view>

namespace hccs::internal {

// Of normalised text: what stands alone as a word.
bool is_bert_punctuation(UChar32 c);

// `c`: a code point that is no surrogate.
void append_utf8(std::string& text, UChar32 c);

// Lower case by the full rules of Unicode, final sigma included: Python's str.lower(). What is not UTF-8 becomes
// U+FFFD.
std::string lower_cased(std::string_view text);

struct BertNormaliserOptions {
  bool lower_case = true;
  bool strip_accents = true;
  bool separate_ideographs = true;
};

class BertNormaliser {
 public:
  // `nfd` outlives this; ICU's own does.
  BertNormaliser(const BertNormaliserOptions& options, const icu::Normalizer2& nfd);

  // Appends the normalised text, UTF-8, in which blanks are the only white space. Any bytes are accepted.
  void append(std::string_view text, std::string& out) const;

 private:
  BertNormaliserOptions options_;
  const icu::Normalizer2* nfd_;
};

}  // namespace hccs::internal

#endif  // HCCS_FORMATS_BERT_NORMALISER_H_
