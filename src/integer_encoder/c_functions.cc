// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "c_interface/call.h"
#include "hccs/hccs_integer_encoder.h"
#include "hccs/integer_encoder.h"

using hccs::Encoding;
using hccs::Expected;
using hccs::IntegerEncoder;
using hccs::Status;
using hccs::internal::call;
using hccs::internal::check_not_null;
using hccs::internal::invalid;

struct hccs_integer_encoder {
  IntegerEncoder encoder;
  std::string target;
};

namespace {

constexpr const char* kWhat = "integer encoder";

Status check_count(int64_t count) {
  return count >= 0 ? Status() : invalid(fmt::format("{} texts, but there are 0 or more", count));
}

// Each of `count` strings is there.
Status check_strings(const char* name, const char* const* strings, int64_t count) {
  for (int64_t t = 0; t < count; ++t) {
    if (strings[t] == nullptr) return invalid(fmt::format("{}[{}] is NULL", name, t));
  }
  return {};
}

template <class T>
Status copy(const Expected<std::vector<T>>& result, T* out) {
  HCCS_RETURN_IF_ERROR(result.status());
  std::copy(result->begin(), result->end(), out);
  return {};
}

}  // namespace

hccs_code hccs_integer_encoder_load(const char* path, const char* target, hccs_integer_encoder** encoder,
                                    hccs_status* status) {
  return call(kWhat, status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"path", path}, {"encoder", encoder}}));
    HCCS_ASSIGN_OR_RETURN(IntegerEncoder loaded, IntegerEncoder::load(path, target == nullptr ? "" : target));
    std::string name(loaded.target());
    *encoder =
        std::make_unique<hccs_integer_encoder>(hccs_integer_encoder{std::move(loaded), std::move(name)}).release();
    return {};
  });
}

void hccs_integer_encoder_free(hccs_integer_encoder* encoder) { delete encoder; }

const char* hccs_integer_encoder_model(const hccs_integer_encoder* encoder) {
  return encoder->encoder.info().name.c_str();
}
const char* hccs_integer_encoder_target(const hccs_integer_encoder* encoder) { return encoder->target.c_str(); }
int64_t hccs_integer_encoder_hidden_size(const hccs_integer_encoder* encoder) {
  return encoder->encoder.info().hidden_size;
}
int64_t hccs_integer_encoder_max_positions(const hccs_integer_encoder* encoder) {
  return encoder->encoder.info().max_positions;
}
int64_t hccs_integer_encoder_vocabulary_size(const hccs_integer_encoder* encoder) {
  return encoder->encoder.info().vocabulary_size;
}
int64_t hccs_integer_encoder_label_count(const hccs_integer_encoder* encoder) {
  return std::ssize(encoder->encoder.info().labels);
}
const char* hccs_integer_encoder_label(const hccs_integer_encoder* encoder, int64_t index) {
  const std::vector<std::string>& labels = encoder->encoder.info().labels;
  return index >= 0 && index < std::ssize(labels) ? labels[static_cast<size_t>(index)].c_str() : nullptr;
}

hccs_code hccs_integer_encoder_embed(const hccs_integer_encoder* encoder, const char* const* texts, int64_t count,
                                     int32_t threads, float* out, hccs_status* status) {
  return call(kWhat, status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"encoder", encoder}, {"texts", texts}, {"out", out}}));
    HCCS_RETURN_IF_ERROR(check_count(count));
    HCCS_RETURN_IF_ERROR(check_strings("texts", texts, count));
    const std::vector<std::string> strings(texts, texts + count);
    return copy(encoder->encoder.embed_texts(strings, {.threads = threads}), out);
  });
}

hccs_code hccs_integer_encoder_embed_ids(const hccs_integer_encoder* encoder, const int32_t* ids, const int64_t* starts,
                                         int64_t count, int32_t threads, int16_t* out, hccs_status* status) {
  return call(kWhat, status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"encoder", encoder}, {"ids", ids}, {"starts", starts}, {"out", out}}));
    HCCS_RETURN_IF_ERROR(check_count(count));
    std::vector<Encoding> texts;
    texts.reserve(static_cast<size_t>(count));
    for (int64_t t = 0; t < count; ++t) {
      if (starts[t] < 0 || starts[t + 1] < starts[t]) {
        return invalid(
            fmt::format("text {} begins at {} and ends at {}, but starts rise from 0 on", t, starts[t], starts[t + 1]));
      }
      texts.emplace_back().ids.assign(ids + starts[t], ids + starts[t + 1]);
    }
    return copy(encoder->encoder.embed_integers(texts, {.threads = threads}), out);
  });
}

hccs_code hccs_integer_encoder_classify(const hccs_integer_encoder* encoder, const char* const* texts,
                                        const char* const* seconds, int64_t count, int32_t threads, float* logits,
                                        hccs_status* status) {
  return call(kWhat, status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"encoder", encoder}, {"texts", texts}, {"logits", logits}}));
    HCCS_RETURN_IF_ERROR(check_count(count));
    HCCS_RETURN_IF_ERROR(check_strings("texts", texts, count));
    if (seconds != nullptr) HCCS_RETURN_IF_ERROR(check_strings("seconds", seconds, count));
    const int64_t longest = encoder->encoder.info().classifier_max_length;
    if (seconds != nullptr && longest < 3) {
      return invalid(fmt::format("a pair of texts has 3 tokens or more, but the model takes {}", longest));
    }
    const hccs::WordPieceTokenizer& tokenizer = encoder->encoder.tokenizer();
    std::vector<Encoding> encodings;
    encodings.reserve(static_cast<size_t>(count));
    for (int64_t t = 0; t < count; ++t) {
      encodings.push_back(seconds == nullptr ? tokenizer.encode(texts[t], longest)
                                             : tokenizer.encode_pair(texts[t], seconds[t], longest));
    }
    return copy(encoder->encoder.classify(encodings, {.threads = threads}), logits);
  });
}
