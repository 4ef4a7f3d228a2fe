// SPDX-License-Identifier: Apache-2.0
//
// embed_texts MODEL < lines of "LENGTH<TAB>TEXT": tokenises each text, keeps LENGTH ids at most, embeds all with the
// exact softmax and writes one JSON line a text: {"ids": [...], "embedding": [...]}. For check_embeddings.py.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <string>

#include "hccs/encoder.h"

namespace {

hccs::Status run(const char* folder) {
  HCCS_ASSIGN_OR_RETURN(const hccs::ModelFolder model, hccs::open_model_folder(folder));
  HCCS_ASSIGN_OR_RETURN(const hccs::BertEncoder encoder, hccs::BertEncoder::load(model));
  std::vector<hccs::Encoding> texts;
  for (std::string line; std::getline(std::cin, line);) {
    const size_t tab = line.find('\t');
    const int64_t length = std::stoll(line.substr(0, tab));
    hccs::Encoding text = model.tokenizer.encode(line.substr(tab + 1), std::max<int64_t>(length, 2));
    if (std::ssize(text.ids) > length) text.ids.resize(static_cast<size_t>(length));
    texts.push_back(std::move(text));
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<float> embeddings,
                        encoder.embed(texts, *hccs::make_exact_softmax(), {.threads = 2}));
  const auto size = static_cast<size_t>(encoder.config().hidden_size);
  for (size_t t = 0; t < texts.size(); ++t) {
    const std::span row = std::span(embeddings).subspan(t * size, size);
    std::cout << fmt::format("{{\"ids\": [{}], \"embedding\": [{:.9g}]}}\n", fmt::join(texts[t].ids, ", "),
                             fmt::join(row, ", "));
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: embed_texts MODEL < texts\n";
    return 2;
  }
  const hccs::Status status = run(argv[1]);
  if (!status.ok()) std::cerr << status.message() << '\n';
  return status.ok() ? 0 : 1;
}
