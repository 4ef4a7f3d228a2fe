// SPDX-License-Identifier: Apache-2.0
//
// A file of rows: a header, NUL and the buffer, which become a safetensors file whose header has the right length.
#include <vector>

#include "hccs/row_file.h"
#include "scratch.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hccs::fuzz;
  std::string_view input = text_of(data, size);
  const std::string_view header = take_part(input);
  const uint64_t length = header.size();
  std::string content(reinterpret_cast<const char*>(&length), sizeof length);
  content.append(header).append(input);
  const auto read = hccs::read_rows(scratch().put("in.rows", content));
  if (!accepted(read.status())) return 0;

  const auto path = scratch().folder() / "copy.rows";
  check(hccs::write_rows(path, *read).ok(), "what was read can be written");
  const auto again = hccs::read_rows(path);
  check(again.ok() && again->model.data_digest == read->model.data_digest && again->heads.size() == read->heads.size(),
        "what was written is read");
  for (size_t head = 0; head < read->heads.size(); ++head) {
    check(again->heads[head].rows().size() == read->heads[head].rows().size() &&
              again->heads[head].rows_seen() == read->heads[head].rows_seen(),
          "the copy has the same rows");
  }
  const std::vector<hccs::SampledModel> twice = {*read, *again};
  const auto merged = hccs::merge_rows(twice);
  check(merged.ok() || accepted(merged.status()) == false, "merging refuses with a message");
  return 0;
}
