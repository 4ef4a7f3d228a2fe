// SPDX-License-Identifier: Apache-2.0
//
// The first byte: an even one is followed by a file, an odd one by a header, NUL and the buffer, which become a file
// whose header has the right length.
#include <algorithm>
#include <cstring>
#include <vector>

#include "hccs/safetensors.h"
#include "scratch.h"

namespace hccs::fuzz {
namespace {

void look_into(const Safetensors& file) {
  std::vector<TensorToWrite> copy;
  for (const auto& [name, tensor] : file.tensors()) {
    unsigned sum = 0;
    for (const std::byte byte : tensor.data) sum += std::to_integer<unsigned>(byte);
    const auto values = file.read_float(name, tensor.shape);
    const bool is_float =
        tensor.dtype == "F64" || tensor.dtype == "F32" || tensor.dtype == "F16" || tensor.dtype == "BF16";
    check(values.ok() || (!is_float && accepted(values.status()) == false), "floats are read with their own shape");
    check(sum <= 255 * tensor.data.size(), "every byte can be read");
    copy.push_back({name, tensor.dtype, tensor.shape, tensor.data});
  }
  check(file.read_float("no such name", {}).status().code() == StatusCode::kBadData, "an unknown name is an error");
  check(!file.digest().empty(), "every file has a digest");

  const auto path = scratch().folder() / "copy.safetensors";
  check(accepted(write_safetensors(path, copy, file.metadata())), "what was read can be written");
  const auto again = Safetensors::open(path);
  check(again.ok() && again->metadata() == file.metadata() && again->tensors().size() == file.tensors().size(),
        "what was written is read");
  for (const auto& [name, tensor] : file.tensors()) {
    const auto it = again->tensors().find(name);
    check(it != again->tensors().end() && it->second.dtype == tensor.dtype && it->second.shape == tensor.shape &&
              std::equal(it->second.data.begin(), it->second.data.end(), tensor.data.begin(), tensor.data.end()),
          "the copy has the same tensors");
  }
}

}  // namespace
}  // namespace hccs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hccs::fuzz;
  std::string_view input = text_of(data, size);
  std::string content;
  if (take_byte(input) % 2 == 0) {
    content = input;
  } else {
    const std::string_view header = take_part(input);
    const uint64_t length = header.size();
    content.assign(reinterpret_cast<const char*>(&length), sizeof length).append(header).append(input);
  }
  const auto file = hccs::Safetensors::open(scratch().put("in.safetensors", content));
  if (accepted(file.status())) look_into(*file);
  return 0;
}
