// SPDX-License-Identifier: Apache-2.0
//
// The first byte: an even one is followed by a file, which is read as it is. An odd one is followed by a description
// and NUL, and by changes of four bytes to the arrays of a small model: which array, where (two bytes), and what its
// byte is XORed with. These become a file whose digest is right, so that what lies behind it is reached.
#include <array>
#include <vector>

#include "../integer_encoder/random_model.h"
#include "hccs/safetensors.h"
#include "integer_encoder/description.h"
#include "integer_encoder/file.h"
#include "integer_encoder/reference.h"
#include "scratch.h"

namespace hccs::fuzz {
namespace {

// The arrays of a small model, and what describes them.
struct Parts {
  std::string description;
  std::vector<TensorToWrite> arrays;
  std::vector<std::vector<std::byte>> bytes;
};

const Parts& small_model() {
  static const Parts parts = [] {
    const internal::IntegerModel model =
        internal::ModelMaker({.hidden = 8, .heads = 2, .inner = 12, .layers = 1, .positions = 10}, 1).make();
    const auto path = scratch().folder() / "small";
    check(accepted(internal::write_integer_model(path, model)), "a valid model can be written");
    const auto file = Safetensors::open(path);
    check(file.ok(), "what was written is read");
    Parts made = {.description = file->metadata().at("description")};
    for (const auto& [name, tensor] : file->tensors()) {
      made.arrays.push_back({name, tensor.dtype, tensor.shape, {}});
      made.bytes.emplace_back(tensor.data.begin(), tensor.data.end());
    }
    return made;
  }();
  return parts;
}

// Writes the small model with another description, unless that is empty, and with the changes.
std::filesystem::path changed_model(std::string_view description, std::string_view changes) {
  Parts parts = small_model();
  if (!description.empty()) parts.description = description;
  for (; changes.size() >= 4; changes.remove_prefix(4)) {
    const auto at = [&](size_t i) { return static_cast<uint8_t>(changes[i]); };
    std::vector<std::byte>& bytes = parts.bytes[at(0) % parts.bytes.size()];
    bytes[(at(1) + size_t{256} * at(2)) % bytes.size()] ^= std::byte{at(3)};
  }
  for (size_t i = 0; i < parts.arrays.size(); ++i) parts.arrays[i].data = parts.bytes[i];
  std::filesystem::path path = scratch().folder() / "changed";
  const auto metadata = internal::integer_model_metadata(parts.description, parts.arrays);
  // A description that is no UTF-8 cannot be written.
  if (!accepted(write_safetensors(path, parts.arrays, metadata))) return {};
  return path;
}

void look_into(const internal::IntegerModel& model) {
  const std::array<int32_t, 3> ids = {2, 4, 3};
  if (model.vocabulary <= 4 || model.positions < 3) return;
  const auto states = internal::reference_forward(model, ids, 3);
  if (!accepted(states.status())) return;
  check(std::ssize(internal::reference_embedding(model, *states)) == model.hidden, "an embedding has all channels");
  if (model.classifier) (void)internal::reference_logits(model, *states);
  const auto path = scratch().folder() / "again";
  check(accepted(internal::write_integer_model(path, model)), "what was read can be written");
  const auto again = internal::read_integer_model(path);
  check(again.ok() && internal::to_description(*again) == internal::to_description(model), "and read again");
}

}  // namespace
}  // namespace hccs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hccs::fuzz;
  std::string_view input = text_of(data, size);
  std::filesystem::path path;
  if (take_byte(input) % 2 == 0) {
    path = scratch().put("in", input);
  } else {
    const std::string_view description = take_part(input);
    path = changed_model(description, input);
    if (path.empty()) return 0;
  }
  const auto model = hccs::internal::read_integer_model(path);
  if (accepted(model.status())) look_into(*model);
  return 0;
}
