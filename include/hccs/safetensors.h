// SPDX-License-Identifier: Apache-2.0
//
// Hugging Face safetensors files, memory-mapped and checked before any byte of a tensor is used.
// Source: https://github.com/huggingface/safetensors#format
#ifndef HCCS_SAFETENSORS_H_
#define HCCS_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/status.h"

namespace hccs {

struct TensorView {
  std::string dtype;                // as in the file: "F32", "F16", "BF16", "I64", ...
  std::vector<int64_t> shape;       // each >= 0; empty: a scalar
  std::span<const std::byte> data;  // into the mapping; any alignment
};

class Safetensors {
 public:
  // Maps and checks the whole header: its length against the file and the format's 100 MB limit, JSON, names (no
  // duplicates), known types, non-negative shapes, shape x type = bytes without overflow, offsets in order, inside the
  // file, without overlap or gap. Errors: kIo, kBadData; each names the path, the tensor, the value and the rule.
  // The file must not be shortened while the object lives: reading a page that is gone ends the process (SIGBUS), as
  // with every mapping. Replacing it by rename is harmless.
  static Expected<Safetensors> open(const std::filesystem::path& path);

  // Tensors by name. Views live as long as this object or a copy of it.
  const std::map<std::string, TensorView, std::less<>>& tensors() const noexcept;

  // The tensor as float32 in C order: F32, F16 and BF16 exactly, F64 rounded to the nearest. Errors: kBadData for a
  // missing name or a shape other than `shape`; kUnsupported for any other type. Each names the tensor.
  Expected<std::vector<float>> read_float(std::string_view name, std::span<const int64_t> shape) const;

  // The header's "__metadata__".
  const std::map<std::string, std::string>& metadata() const noexcept;

  const std::filesystem::path& path() const noexcept;

  // Identifies the file's content: the Digest of all its bytes. Reads the whole file.
  std::string digest() const;

 private:
  struct File;
  explicit Safetensors(std::shared_ptr<const File> file) : file_(std::move(file)) {}
  std::shared_ptr<const File> file_;
};

// A tensor to write. `data` holds as many bytes as dtype and shape say.
struct TensorToWrite {
  std::string name;
  std::string dtype;           // "F32", "F64", ...: one that open() knows
  std::vector<int64_t> shape;  // each >= 0
  std::span<const std::byte> data;
};

// Writes the tensors in the given order, atomically (hccs/file.h), with `metadata` as the header's "__metadata__".
// Errors: kIo; kInvalidArgument for an unknown type, a name that occurs twice, or data of another size.
Status write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace hccs

#endif  // HCCS_SAFETENSORS_H_
