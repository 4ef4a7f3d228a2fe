// SPDX-License-Identifier: Apache-2.0
//
// dump_logits MODEL DIR COUNT: the attention logits of COUNT WordNet glosses that the demo calibrates on, as the folder
// that `hccs calibrate --logits` reads.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <vector>

#include "hccs/encoder.h"
#include "hccs/npy.h"
#include "tasks/wordnet.h"

namespace {

hccs::Status run(const char* folder, const std::filesystem::path& output, int64_t count) {
  HCCS_ASSIGN_OR_RETURN(const hccs::ModelFolder model, hccs::open_model_folder(folder));
  HCCS_ASSIGN_OR_RETURN(const hccs::BertEncoder encoder, hccs::BertEncoder::load(model));
  HCCS_ASSIGN_OR_RETURN(const auto glosses, hccs::read_wordnet_glosses());
  HCCS_ASSIGN_OR_RETURN(const hccs::WordnetTask task, hccs::make_wordnet_task(glosses, /*seed=*/0));
  count = std::min<int64_t>(count, std::ssize(task.calibration));

  std::vector<hccs::Encoding> texts;
  std::vector<int64_t> first_row = {0};
  std::vector<int32_t> lengths;
  int64_t n = 0;
  for (int64_t t = 0; t < count; ++t) {
    texts.push_back(model.tokenizer.encode(task.calibration[t].text, model.config.max_positions));
    const auto length = std::ssize(texts.back().ids);
    n = std::max<int64_t>(n, length);
    lengths.insert(lengths.end(), length, static_cast<int32_t>(length));
    first_row.push_back(first_row.back() + length);
  }
  const auto rows = std::ssize(lengths);
  std::vector<std::vector<float>> heads(model.config.layers * model.config.heads, std::vector<float>(rows * n));
  // Several threads, but each block has its own place.
  const auto sink = [&](const hccs::AttentionBlock& block) -> hccs::Status {
    std::vector<float>& logits = heads[block.layer * model.config.heads + block.head];
    for (int64_t q = 0; q < block.length; ++q) {
      std::copy_n(block.logits + q * block.length, block.length, logits.begin() + (first_row[block.text] + q) * n);
    }
    return {};
  };
  HCCS_ASSIGN_OR_RETURN(const auto softmax, hccs::make_capturing_softmax(hccs::make_exact_softmax(), sink));
  const auto embeddings = encoder.embed(texts, *softmax, {.threads = 2});
  if (!embeddings.ok()) return embeddings.status();

  const std::vector<int64_t> shape = {rows, n};
  const std::vector<int64_t> lengths_shape = {rows};
  HCCS_RETURN_IF_ERROR(hccs::write_npy(output / "lengths.npy", lengths_shape, std::span<const int32_t>(lengths)));
  for (int64_t h = 0; h < std::ssize(heads); ++h) {
    const auto file = fmt::format("layer{}_head{}.npy", h / model.config.heads, h % model.config.heads);
    HCCS_RETURN_IF_ERROR(hccs::write_npy(output / file, shape, std::span<const float>(heads[h])));
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: dump_logits MODEL DIR COUNT\n";
    return 2;
  }
  const hccs::Status status = run(argv[1], argv[2], std::atoll(argv[3]));
  if (!status.ok()) std::cerr << status.message() << '\n';
  return status.ok() ? 0 : 1;
}
