// SPDX-License-Identifier: Apache-2.0
//
// The input is a parameter file.
#include <array>
#include <cmath>

#include "hccs/deployability.h"
#include "hccs/param_file.h"
#include "hccs/reference.h"
#include "scratch.h"

namespace hccs::fuzz {
namespace {

bool same(const HeadEntry& a, const HeadEntry& b) {
  return a.params.offset == b.params.offset && a.params.knee_count == b.params.knee_count &&
         a.params.floor() == b.params.floor() && a.step == b.step && a.kl == b.kl &&
         a.kl_continuous == b.kl_continuous && a.rows == b.rows && a.max_probability == b.max_probability &&
         a.is_default == b.is_default;
}

void look_into(const ParamFile& file) {
  check(validate(file).ok(), "what is read is valid");
  for (const HeadEntry& entry : file.entries) {
    check(std::isfinite(entry.step) && entry.step > 0, "every step is a positive number");
    check(validate(entry.params, "head").ok(), "every head is valid");
  }
  const auto path = scratch().folder() / "copy.json";
  check(accepted(write_param_file(path, file)), "what was read can be written");
  const auto again = read_param_file(path);
  check(again.ok(), "what was written is read");
  check(again->model == file.model && again->layers == file.layers && again->heads == file.heads &&
            again->seed == file.seed && again->data_digest == file.data_digest &&
            again->weights_digest == file.weights_digest && again->entries.size() == file.entries.size(),
        "the copy says the same of the model");
  for (size_t i = 0; i < file.entries.size(); ++i) {
    check(same(file.entries[i], again->entries[i]), "the copy has the same heads");
  }
  check(accepted(check_matches(*again, file.model, file.layers, file.heads, file.head_dimension, file.weights_digest)),
        "a file matches its own model");
}

}  // namespace
}  // namespace hccs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hccs::fuzz;
  const auto file = hccs::read_param_file(scratch().put("in.json", text_of(data, size)));
  if (accepted(file.status())) look_into(*file);
  return 0;
}
