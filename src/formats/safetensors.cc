// SPDX-License-Identifier: Apache-2.0
#include "hccs/safetensors.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <tuple>
#include <utility>

#include "contract/exceptions.h"
#include "files/descriptor.h"
#include "files/json.h"
#include "hccs/digest.h"
#include "hccs/file.h"

namespace hccs {
namespace {

using internal::in_quotes;
using internal::io_error;
using internal::Json;
using internal::json_integer;
using internal::JsonFields;
using internal::JsonParts;
using internal::open_regular_file;
using internal::OpenedFile;
using internal::parse_json;
using internal::shown;

static_assert(std::endian::native == std::endian::little, "tensors are read where they are mapped");

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::string_view kMetadata = "__metadata__";

struct Dtype {
  std::string_view name;
  int64_t bytes;
};
constexpr std::array kDtypes = {
    Dtype{"BOOL", 1}, Dtype{"U8", 1},  Dtype{"I8", 1},   Dtype{"F8_E5M2", 1}, Dtype{"F8_E4M3", 1}, Dtype{"I16", 2},
    Dtype{"U16", 2},  Dtype{"F16", 2}, Dtype{"BF16", 2}, Dtype{"I32", 4},     Dtype{"U32", 4},     Dtype{"F32", 4},
    Dtype{"F64", 8},  Dtype{"I64", 8}, Dtype{"U64", 8},  Dtype{"F8_E8M0", 1},
};

float from_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

float from_f16(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000U} << 16;
  const uint32_t exponent = (bits >> 10) & 0x1FU;
  const uint32_t mantissa = bits & 0x3FFU;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24, exact
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  const uint32_t wide_exponent = exponent == 0x1F ? 0xFF : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide_exponent << 23 | mantissa << 13);
}

std::optional<int64_t> checked_product(int64_t a, int64_t b) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

}  // namespace

struct Safetensors::File {
  std::filesystem::path path;
  std::span<const std::byte> mapping;
  std::map<std::string, TensorView, std::less<>> tensors;
  std::map<std::string, std::string> metadata;

  explicit File(std::filesystem::path p) : path(std::move(p)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (!mapping.empty()) ::munmap(const_cast<std::byte*>(mapping.data()), mapping.size());
  }

  Status bad(std::string_view what) const { return {StatusCode::kBadData, fmt::format("{}: {}", path.string(), what)}; }
  Status bad(std::string_view tensor, std::string_view what) const {
    return bad(fmt::format("tensor {}: {}", in_quotes(tensor), what));
  }

  Status twice(std::string_view name) const {
    return bad(fmt::format("header: the name {} occurs twice", in_quotes(name)));
  }

  Status read_header();
  Status read_metadata(const Json& description);
  Status read_tensor(const std::string& name, const Json& description, std::span<const std::byte> buffer);
  Status check_layout(std::span<const std::byte> buffer) const;
};

Status Safetensors::File::read_header() {
  uint64_t length = 0;
  std::memcpy(&length, mapping.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) return bad(fmt::format("header of {} bytes, but at most {}", length, kMaxHeaderBytes));
  if (length > mapping.size() - kLengthBytes) {
    return bad(fmt::format("header of {} bytes, but only {} follow its length", length, mapping.size() - kLengthBytes));
  }
  const std::string_view text(reinterpret_cast<const char*>(mapping.data()) + kLengthBytes, length);
  if (!text.starts_with('{')) return bad("the header does not begin with '{'");
  const auto buffer = mapping.subspan(kLengthBytes + length);
  bool has_metadata = false;
  const JsonParts members{.array = {}, .read = [&](const std::string& name, const Json& description) -> Status {
                            if (name != kMetadata) return read_tensor(name, description, buffer);
                            if (std::exchange(has_metadata, true)) return twice(name);
                            return read_metadata(description);
                          }};
  HCCS_RETURN_IF_ERROR(parse_json(text, fmt::format("{}: header", path.string()), &members).status());
  return check_layout(buffer);
}

Status Safetensors::File::read_metadata(const Json& description) {
  if (!description.is_object() ||
      !std::all_of(description.begin(), description.end(), [](const Json& value) { return value.is_string(); })) {
    return bad(fmt::format("{} is {}, but it is an object of strings", kMetadata, shown(description)));
  }
  metadata = description.get<std::map<std::string, std::string>>();
  return {};
}

Status Safetensors::File::read_tensor(const std::string& tensor_name, const Json& description,
                                      std::span<const std::byte> buffer) {
  const std::string where = fmt::format("{}: tensor {}", path.string(), in_quotes(tensor_name));
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(description, where));
  TensorView tensor;
  HCCS_ASSIGN_OR_RETURN(tensor.dtype, fields.string("dtype"));
  const auto* dtype =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.name == tensor.dtype; });
  if (dtype == kDtypes.end()) {
    std::vector<std::string_view> known;
    known.reserve(kDtypes.size());
    for (const Dtype& d : kDtypes) known.push_back(d.name);
    return fields.bad("dtype", fmt::format("it is one of {}", fmt::join(known, ", ")));
  }

  HCCS_ASSIGN_OR_RETURN(const Json* shape, fields.array("shape"));
  std::optional<int64_t> bytes = dtype->bytes;
  tensor.shape.reserve(shape->size());
  for (const Json& element : *shape) {
    HCCS_ASSIGN_OR_RETURN(const int64_t size, json_integer(element, where, "dimension", 0, INT64_MAX));
    tensor.shape.push_back(size);
    if (bytes) bytes = checked_product(*bytes, size);
  }
  if (!bytes) return fields.bad("shape", "its size in bytes fits 63 bits");

  HCCS_ASSIGN_OR_RETURN(const Json* offsets, fields.array("data_offsets"));
  if (offsets->size() != 2) return fields.bad("data_offsets", "it is a pair [begin, end]");
  const auto buffer_size = static_cast<int64_t>(buffer.size());
  HCCS_ASSIGN_OR_RETURN(const int64_t end, json_integer((*offsets)[1], where, "end", 0, INT64_MAX));
  if (end > buffer_size) {
    return Status(StatusCode::kBadData, fmt::format("{}: end = {}, but the file holds {} bytes of tensors: was it cut, "
                                                    "as by a download that did not finish?",
                                                    where, end, buffer_size));
  }
  HCCS_ASSIGN_OR_RETURN(const int64_t begin, json_integer((*offsets)[0], where, "begin", 0, end));
  if (end - begin != *bytes) {
    return fields.bad("data_offsets", fmt::format("shape {} of {} takes {} bytes, not {}", shown(*shape), tensor.dtype,
                                                  *bytes, end - begin));
  }
  tensor.data = buffer.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  return tensors.emplace(tensor_name, std::move(tensor)).second ? Status() : twice(tensor_name);
}

// In the order of their offsets the tensors cover the buffer, each byte once.
Status Safetensors::File::check_layout(std::span<const std::byte> buffer) const {
  std::vector<std::tuple<size_t, size_t, std::string_view>> ranges;
  ranges.reserve(tensors.size());
  for (const auto& [tensor_name, tensor] : tensors) {
    const auto begin = static_cast<size_t>(tensor.data.data() - buffer.data());
    ranges.emplace_back(begin, begin + tensor.data.size(), tensor_name);
  }
  std::sort(ranges.begin(), ranges.end());
  size_t covered = 0;
  for (const auto& [begin, end, tensor_name] : ranges) {
    if (begin < covered) {
      return bad(tensor_name, fmt::format("begins at byte {} of the buffer, which overlaps the one before, to byte {}",
                                          begin, covered));
    }
    if (begin > covered) {
      return bad(tensor_name, fmt::format("begins at byte {} of the buffer, but the gap from byte {} is not allowed",
                                          begin, covered));
    }
    covered = end;
  }
  if (covered != buffer.size()) {
    return bad(fmt::format("the tensors end at byte {} of the buffer, but it has {}", covered, buffer.size()));
  }
  return {};
}

Expected<Safetensors> Safetensors::open(const std::filesystem::path& path) try {
  HCCS_ASSIGN_OR_RETURN(const OpenedFile opened, open_regular_file(path));
  if (opened.size < kLengthBytes) {
    return Status(StatusCode::kBadData, fmt::format("{}: {} bytes, but a safetensors file begins with the {} bytes of "
                                                    "its header's length",
                                                    path.string(), opened.size, kLengthBytes));
  }
  auto file = std::make_shared<File>(path);
  void* address = ::mmap(nullptr, opened.size, PROT_READ, MAP_PRIVATE, opened.descriptor.get(), 0);
  if (address == MAP_FAILED) return io_error(path, "map", errno);
  file->mapping = std::span(static_cast<const std::byte*>(address), opened.size);
  HCCS_RETURN_IF_ERROR(file->read_header());
  return Safetensors(std::move(file));
} catch (...) {
  return internal::status_of_exception(path.native());
}

const std::map<std::string, TensorView, std::less<>>& Safetensors::tensors() const noexcept { return file_->tensors; }

const std::map<std::string, std::string>& Safetensors::metadata() const noexcept { return file_->metadata; }

const std::filesystem::path& Safetensors::path() const noexcept { return file_->path; }

Expected<std::vector<float>> Safetensors::read_float(std::string_view name, std::span<const int64_t> shape) const try {
  const auto it = file_->tensors.find(name);
  if (it == file_->tensors.end()) return file_->bad(name, "the file has none of that name");
  const TensorView& tensor = it->second;
  if (!std::equal(tensor.shape.begin(), tensor.shape.end(), shape.begin(), shape.end())) {
    return file_->bad(
        name, fmt::format("shape [{}], but [{}] is needed", fmt::join(tensor.shape, ", "), fmt::join(shape, ", ")));
  }
  if (tensor.dtype == "F32") {
    std::vector<float> values(tensor.data.size() / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    return values;
  }
  if (tensor.dtype == "F64") {
    std::vector<float> values(tensor.data.size() / sizeof(double));
    for (size_t i = 0; i < values.size(); ++i) {
      double value = 0;
      std::memcpy(&value, tensor.data.data() + i * sizeof value, sizeof value);
      values[i] = static_cast<float>(value);
    }
    return values;
  }
  if (tensor.dtype != "F16" && tensor.dtype != "BF16") {
    return Status(StatusCode::kUnsupported, fmt::format("{}: tensor {}: type {}, but F64, F32, F16 or BF16 is needed",
                                                        file_->path.string(), in_quotes(name), tensor.dtype));
  }
  float (*const convert)(uint16_t) = tensor.dtype == "F16" ? from_f16 : from_bf16;
  std::vector<float> values(tensor.data.size() / sizeof(uint16_t));
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, tensor.data.data() + i * sizeof bits, sizeof bits);
    values[i] = convert(bits);
  }
  return values;
} catch (...) {
  return internal::status_of_exception(name);
}

std::string Safetensors::digest() const {
  Digest digest;
  digest.add({reinterpret_cast<const char*>(file_->mapping.data()), file_->mapping.size()});
  return digest.text();
}

Status write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                         const std::map<std::string, std::string>& metadata) try {
  const auto invalid = [](const TensorToWrite& tensor, std::string_view what) {
    return Status(StatusCode::kInvalidArgument, fmt::format("tensor {}: {}", in_quotes(tensor.name), what));
  };
  Json header = Json::object();
  if (!metadata.empty()) header[std::string(kMetadata)] = metadata;
  uint64_t end = 0;
  for (const TensorToWrite& tensor : tensors) {
    const auto* dtype =
        std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.name == tensor.dtype; });
    if (dtype == kDtypes.end()) return invalid(tensor, fmt::format("type {} is not known", in_quotes(tensor.dtype)));
    std::optional<int64_t> bytes = dtype->bytes;
    for (const int64_t size : tensor.shape) bytes = size < 0 || !bytes ? std::nullopt : checked_product(*bytes, size);
    if (!bytes || static_cast<uint64_t>(*bytes) != tensor.data.size()) {
      return invalid(tensor, fmt::format("{} bytes for shape [{}] of {}", tensor.data.size(),
                                         fmt::join(tensor.shape, ", "), tensor.dtype));
    }
    if (tensor.name == kMetadata || header.contains(tensor.name)) return invalid(tensor, "the name occurs twice");
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {end, end + tensor.data.size()}}};
    end += tensor.data.size();
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');  // aligns the tensors
  const uint64_t length = text.size();
  // The tensors are copied into one string, since write_file_atomically() takes a list of fixed size; the copy is cheap
  // beside the sync to disk.
  std::string content(reinterpret_cast<const char*>(&length), kLengthBytes);
  content.reserve(kLengthBytes + length + end);
  content += text;
  for (const TensorToWrite& tensor : tensors) {
    content.append(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
  }
  return write_file_atomically(path, {content});
} catch (...) {
  return internal::status_of_exception(path.native());
}

}  // namespace hccs
