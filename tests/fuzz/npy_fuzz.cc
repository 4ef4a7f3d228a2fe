// SPDX-License-Identifier: Apache-2.0
//
// The first byte: 0 is followed by a file, 1 to 3 by a header, NUL and the data, which become a file of that version
// whose header has the right length.
#include <algorithm>
#include <span>

#include "hccs/npy.h"
#include "scratch.h"

namespace hccs::fuzz {
namespace {

std::string file_of(int version, std::string_view header, std::string_view data) {
  std::string file = "\x93NUMPY";
  file += static_cast<char>(version);
  file += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) file += static_cast<char>(header.size() >> 8 * i & 0xFF);
  return file.append(header).append(data);
}

void look_into(const NpyArray& array) {
  check(array.data.size() % size_of(array.type) == 0, "the data has whole elements");
  check(array.element_count() * static_cast<int64_t>(size_of(array.type)) == std::ssize(array.data),
        "the data has that many elements");
  const auto path = scratch().folder() / "copy.npy";
  check(accepted(write_npy(path, array.type, array.shape, array.data)), "what was read can be written");
  const auto again = read_npy(path);
  check(again.ok() && again->type == array.type && again->shape == array.shape && again->data == array.data,
        "what was written is read");
}

}  // namespace
}  // namespace hccs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hccs::fuzz;
  std::string_view input = text_of(data, size);
  const int version = take_byte(input) % 4;
  std::string content(input);
  if (version != 0) {
    const std::string_view header = take_part(input);
    content = file_of(version, header, input);
  }
  const auto array = hccs::read_npy(scratch().put("in.npy", content));
  if (accepted(array.status())) look_into(*array);
  return 0;
}
