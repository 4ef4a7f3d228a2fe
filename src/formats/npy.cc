// SPDX-License-Identifier: Apache-2.0
#include "hccs/npy.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "contract/exceptions.h"
#include "files/descriptor.h"
#include "files/json.h"
#include "hccs/file.h"

namespace hccs {
namespace {

using internal::allocate;
using internal::in_quotes;
using internal::open_regular_file;
using internal::OpenedFile;
using internal::read_up_to;

static_assert(std::endian::native == std::endian::little, "elements are read and written as they are in memory");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = size_t{1} << 20;
constexpr size_t kMaxDimensions = 64;  // NumPy's own limit
constexpr size_t kAlignment = 64;      // of the data, as NumPy writes it

struct TypeInfo {
  NpyType type;
  std::string_view name;
  std::string_view descr;
  size_t bytes;
  char letter;
};
constexpr std::array kTypes = {
    TypeInfo{NpyType::kInt8, "int8", "|i1", 1, 'b'},       TypeInfo{NpyType::kUint8, "uint8", "|u1", 1, 'B'},
    TypeInfo{NpyType::kInt16, "int16", "<i2", 2, 'h'},     TypeInfo{NpyType::kInt32, "int32", "<i4", 4, 'i'},
    TypeInfo{NpyType::kFloat32, "float32", "<f4", 4, 'f'}, TypeInfo{NpyType::kUint16, "uint16", "<u2", 2, 'H'},
    TypeInfo{NpyType::kUint32, "uint32", "<u4", 4, 'I'},   TypeInfo{NpyType::kInt64, "int64", "<i8", 8, 'q'},
    TypeInfo{NpyType::kUint64, "uint64", "<u8", 8, 'Q'},   TypeInfo{NpyType::kFloat16, "float16", "<f2", 2, 'e'},
    TypeInfo{NpyType::kFloat64, "float64", "<f8", 8, 'd'}, TypeInfo{NpyType::kBool, "bool", "|b1", 1, '?'},
};

const TypeInfo& info(NpyType type) noexcept { return kTypes[static_cast<size_t>(type)]; }

struct ElementType {
  NpyType type;
  bool swapped;  // big endian
};

// The order, if it is said, then kind and bytes. As in NumPy, no order means this machine's, that of a byte may be any,
// and the type may be given by its name ("int8") or NumPy's letter for it ("b"), the latter with an order too.
std::optional<ElementType> parse_descr(std::string_view descr) {
  for (const TypeInfo& t : kTypes) {
    if (descr == t.name) return ElementType{t.type, false};
  }
  const bool big_endian = descr.starts_with('>');
  if (descr.find_first_of("<>=|") == 0) descr.remove_prefix(1);
  for (const TypeInfo& t : kTypes) {
    if (descr == t.descr.substr(1) || (descr.size() == 1 && descr.front() == t.letter))
      return ElementType{t.type, t.bytes > 1 && big_endian};
  }
  return std::nullopt;
}

// Bytes of an array, or nothing if a size is negative or the product does not fit.
std::optional<uint64_t> array_bytes(std::span<const int64_t> shape, NpyType type) {
  uint64_t bytes = size_of(type);
  for (int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes)) return std::nullopt;
  }
  return bytes;
}

// The header is the text of a Python dict with three known keys. Every take_ function skips spaces and moves on.
class HeaderParser {
 public:
  struct Header {
    std::string descr;
    bool fortran_order = false;
    std::vector<int64_t> shape;
  };

  HeaderParser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  Expected<Header> parse() {
    Header header;
    std::array<bool, 3> seen{};
    if (!take('{')) return expected("'{'");
    while (!take('}')) {
      HCCS_ASSIGN_OR_RETURN(const std::string key, take_string());
      if (!take(':')) return expected("':'");
      const auto which = std::find(kKeys.begin(), kKeys.end(), key) - kKeys.begin();
      if (which == kKeys.size()) return bad(fmt::format("unknown key {}", in_quotes(key)));
      if (std::exchange(seen[which], true)) return bad(fmt::format("the key {} occurs twice", in_quotes(key)));
      switch (which) {
        case 0: {
          if (peek() == '[') return Status(StatusCode::kUnsupported, fmt::format("{}: records", path_));
          HCCS_ASSIGN_OR_RETURN(header.descr, take_string());
          break;
        }
        case 1: {
          const bool yes = take_word("True");
          if (!yes && !take_word("False")) return expected("True or False");
          header.fortran_order = yes;
          break;
        }
        default: {
          HCCS_ASSIGN_OR_RETURN(header.shape, take_shape());
          break;
        }
      }
      if (!take(',') && peek() != '}') return expected("',' or '}'");
    }
    for (size_t i = 0; i < kKeys.size(); ++i) {
      if (!seen[i]) return bad(fmt::format("the key '{}' is missing", kKeys[i]));
    }
    if (peek() != '\0' || position_ != text_.size()) return expected("the end");
    return header;
  }

 private:
  static constexpr std::array<std::string_view, 3> kKeys = {"descr", "fortran_order", "shape"};

  Status bad(std::string_view what) const { return {StatusCode::kBadData, fmt::format("{}: header: {}", path_, what)}; }
  Status expected(std::string_view what) const {
    return bad(fmt::format("{} expected at {}", what, in_quotes(text_.substr(std::min(position_, text_.size())))));
  }

  char peek() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) ++position_;
    return position_ < text_.size() ? text_[position_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++position_;
    return true;
  }
  bool take_word(std::string_view word) {
    peek();
    if (!text_.substr(position_).starts_with(word)) return false;
    position_ += word.size();
    return true;
  }
  Expected<std::string> take_string() {
    if (peek() == 'u' || peek() == 'U') ++position_;  // Python 2's u'...'
    const char quote = peek();
    if (quote != '\'' && quote != '"') return expected("a string");
    const size_t end = text_.find(quote, position_ + 1);
    if (end == text_.npos) return expected("a closed string");
    std::string value(text_.substr(position_ + 1, end - position_ - 1));
    position_ = end + 1;
    return value;
  }
  // A Python tuple: "()", "(3,)", "(3, 4)", "(3, 4,)"; Python 2 wrote its long integers as "(3L, 4L)".
  Expected<std::vector<int64_t>> take_shape() {
    std::vector<int64_t> shape;
    if (!take('(')) return expected("'('");
    bool comma = true;
    while (!take(')')) {
      if (!comma) return expected("',' or ')'");
      peek();
      int64_t size = 0;
      const char* const begin = text_.data() + position_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) return expected("a size from 0 to 2^63 - 1");
      position_ += static_cast<size_t>(end - begin);
      if (position_ < text_.size() && text_[position_] == 'L') ++position_;
      shape.push_back(size);
      if (shape.size() > kMaxDimensions) return bad(fmt::format("more than {} dimensions", kMaxDimensions));
      comma = take(',');
    }
    if (shape.size() == 1 && !comma) return bad("shape is no tuple: one size needs a comma, as in (3,)");
    return shape;
  }

  std::string_view text_;
  size_t position_ = 0;
  const std::string& path_;
};

// Reverses the bytes of every element.
void swap_bytes(std::span<std::byte> data, size_t width) {
  for (size_t i = 0; i < data.size(); i += width) {
    std::reverse(data.begin() + static_cast<std::ptrdiff_t>(i), data.begin() + static_cast<std::ptrdiff_t>(i + width));
  }
}

bool same_in_both_orders(std::span<const int64_t> shape) {
  return std::find(shape.begin(), shape.end(), 0) != shape.end() ||
         std::count_if(shape.begin(), shape.end(), [](int64_t size) { return size > 1; }) <= 1;
}

// The elements of an array whose first index is fastest, with the last index fastest.
void to_c_order(std::span<const std::byte> from, std::span<const int64_t> shape, size_t width,
                std::span<std::byte> to) {
  std::vector<size_t> index(shape.size(), 0);
  std::vector<size_t> stride(shape.size(), width);  // in `from`
  for (size_t k = 1; k < shape.size(); ++k) stride[k] = stride[k - 1] * static_cast<size_t>(shape[k - 1]);
  size_t source = 0;
  for (size_t target = 0; target < to.size(); target += width) {
    std::copy_n(&from[source], width, &to[target]);
    for (size_t k = shape.size(); k-- > 0;) {  // the next index
      source += stride[k];
      if (++index[k] < static_cast<size_t>(shape[k])) break;
      source -= index[k] * stride[k];
      index[k] = 0;
    }
  }
}

// IEEE 754 binary16.
float float_of_half(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  const float magnitude = exponent == 31  ? (fraction == 0 ? std::numeric_limits<float>::infinity()
                                                           : std::numeric_limits<float>::quiet_NaN())
                          : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                          : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

template <class T>
T element(std::span<const std::byte> data, size_t i) {
  T value;
  std::memcpy(&value, &data[i * sizeof(T)], sizeof(T));
  return value;
}

template <class From>
std::vector<int64_t> int64_of(const NpyArray& array) {
  std::vector<int64_t> values(static_cast<size_t>(array.element_count()));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto value = element<From>(array.data, i);
    values[i] = std::in_range<int64_t>(value) ? static_cast<int64_t>(value) : INT64_MAX;
  }
  return values;
}

// Reads exactly `size` bytes that belong to the header.
Expected<std::string> take_bytes(const OpenedFile& file, const std::filesystem::path& path, size_t size) {
  std::string bytes(size, '\0');
  HCCS_ASSIGN_OR_RETURN(const size_t got, read_up_to(file, path, std::as_writable_bytes(std::span(bytes))));
  if (got < size) {
    return Status(StatusCode::kBadData, fmt::format("{}: the file ends within its header ({} of {} bytes of a part)",
                                                    path.string(), got, size));
  }
  return bytes;
}

struct FileHeader {
  HeaderParser::Header array;
  uint64_t bytes = 0;  // that come before the data
};

Expected<FileHeader> read_header(const OpenedFile& file, const std::filesystem::path& path) {
  const std::string where = path.string();
  HCCS_ASSIGN_OR_RETURN(const std::string start, take_bytes(file, path, kMagic.size() + 2));
  if (!start.starts_with(kMagic)) {
    return Status(StatusCode::kBadData, fmt::format("{}: begins with {}, but a .npy file begins with \\x93NUMPY", where,
                                                    in_quotes(start.substr(0, kMagic.size()))));
  }
  const int major = static_cast<unsigned char>(start[kMagic.size()]);
  const int minor = static_cast<unsigned char>(start[kMagic.size() + 1]);
  if (major < 1 || major > 3 || minor != 0) {
    return Status(
        StatusCode::kUnsupported,
        fmt::format("{}: format version {}.{}, but the known versions are: 1.0, 2.0, 3.0", where, major, minor));
  }
  HCCS_ASSIGN_OR_RETURN(const std::string length_bytes, take_bytes(file, path, major == 1 ? 2 : 4));
  size_t size = 0;
  for (size_t i = length_bytes.size(); i-- > 0;) size = size << 8 | static_cast<unsigned char>(length_bytes[i]);
  if (size > kMaxHeaderBytes) {
    return Status(StatusCode::kBadData,
                  fmt::format("{}: header of {} bytes, but at most {}", where, size, kMaxHeaderBytes));
  }
  HCCS_ASSIGN_OR_RETURN(const std::string text, take_bytes(file, path, size));
  HCCS_ASSIGN_OR_RETURN(HeaderParser::Header header, HeaderParser(text, where).parse());
  return FileHeader{std::move(header), start.size() + length_bytes.size() + size};
}

}  // namespace

std::string_view name(NpyType type) noexcept { return info(type).name; }
size_t size_of(NpyType type) noexcept { return info(type).bytes; }

int64_t NpyArray::element_count() const noexcept { return static_cast<int64_t>(data.size() / size_of(type)); }

bool is_float(NpyType type) noexcept { return info(type).descr[1] == 'f'; }
bool is_integer(NpyType type) noexcept { return info(type).descr[1] == 'i' || info(type).descr[1] == 'u'; }

Expected<std::vector<float>> to_float32(const NpyArray& array) try {
  if (!is_float(array.type)) {
    return Status(StatusCode::kInvalidArgument, fmt::format("{}, but floats are wanted", name(array.type)));
  }
  std::vector<float> values(static_cast<size_t>(array.element_count()));
  if (array.type == NpyType::kFloat32) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = element<float>(array.data, i);
  }
  if (array.type == NpyType::kFloat16) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = float_of_half(element<uint16_t>(array.data, i));
  }
  if (array.type == NpyType::kFloat64) {
    constexpr double kMost = std::numeric_limits<float>::max();
    for (size_t i = 0; i < values.size(); ++i) {
      const auto value = element<double>(array.data, i);
      values[i] = static_cast<float>(std::isfinite(value) ? std::clamp(value, -kMost, kMost) : value);
    }
  }
  return values;
} catch (...) {
  return internal::status_of_exception("array");
}

Expected<std::vector<int64_t>> to_int64(const NpyArray& array) try {
  switch (array.type) {
    case NpyType::kInt8:
      return int64_of<int8_t>(array);
    case NpyType::kUint8:
      return int64_of<uint8_t>(array);
    case NpyType::kInt16:
      return int64_of<int16_t>(array);
    case NpyType::kUint16:
      return int64_of<uint16_t>(array);
    case NpyType::kInt32:
      return int64_of<int32_t>(array);
    case NpyType::kUint32:
      return int64_of<uint32_t>(array);
    case NpyType::kInt64:
      return int64_of<int64_t>(array);
    case NpyType::kUint64:
      return int64_of<uint64_t>(array);
    default:
      return Status(StatusCode::kInvalidArgument, fmt::format("{}, but integers are wanted", name(array.type)));
  }
} catch (...) {
  return internal::status_of_exception("array");
}

Expected<NpyArray> read_npy(const std::filesystem::path& path) try {
  const std::string where = path.string();
  const auto bad = [&](std::string_view what) {
    return Status(StatusCode::kBadData, fmt::format("{}: {}", where, what));
  };
  HCCS_ASSIGN_OR_RETURN(const OpenedFile file, open_regular_file(path));
  HCCS_ASSIGN_OR_RETURN(FileHeader header, read_header(file, path));
  const std::optional<ElementType> element = parse_descr(header.array.descr);
  if (!element) {
    return Status(StatusCode::kUnsupported,
                  fmt::format("{}: type {}, but only bool, integers of 8 to 64 bits and floats of 16 to 64 bits are",
                              where, in_quotes(header.array.descr)));
  }
  const NpyType type = element->type;
  std::vector<int64_t>& shape = header.array.shape;
  const std::optional<uint64_t> bytes = array_bytes(shape, type);
  const uint64_t present = file.size > header.bytes ? file.size - header.bytes : 0;
  if (!bytes || *bytes != present) {
    return bad(fmt::format("{} bytes of data, but shape ({}) of {} takes {}", present, fmt::join(shape, ", "),
                           name(type), bytes ? fmt::format("{}", *bytes) : "more than 2^64"));
  }
  NpyArray array{type, std::move(shape), {}};
  HCCS_RETURN_IF_ERROR(allocate(path, *bytes, array.data));
  HCCS_ASSIGN_OR_RETURN(const size_t got, read_up_to(file, path, array.data));
  if (got != array.data.size()) return bad(fmt::format("{} bytes of data, but {} a moment ago", got, *bytes));
  if (element->swapped) swap_bytes(array.data, size_of(type));
  if (header.array.fortran_order && !same_in_both_orders(array.shape)) {
    std::vector<std::byte> ordered;
    HCCS_RETURN_IF_ERROR(allocate(path, *bytes, ordered));
    to_c_order(array.data, array.shape, size_of(type), ordered);
    array.data = std::move(ordered);
  }
  return array;
} catch (...) {
  return internal::status_of_exception(path.native());
}

namespace {

// What stands before the data.
Expected<std::string> npy_start(NpyType type, std::span<const int64_t> shape, std::span<const std::byte> data) {
  const std::optional<uint64_t> bytes = array_bytes(shape, type);
  if (shape.size() > kMaxDimensions || !bytes || *bytes != data.size()) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{} bytes of data, but shape ({}) of {} takes {}, in at most {} dimensions", data.size(),
                              fmt::join(shape, ", "), name(type),
                              bytes ? fmt::format("{}", *bytes) : "an impossible number", kMaxDimensions));
  }
  // 64 sizes of 19 digits: the header always fits version 1.0.
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", info(type).descr,
                                   fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  const size_t before = kMagic.size() + 2 + 2;
  const size_t total = (before + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  header.resize(total - before - 1, ' ');
  header += '\n';
  return std::string(kMagic) + '\x01' + '\x00' + static_cast<char>(header.size() & 0xFF) +
         static_cast<char>(header.size() >> 8) + header;
}

}  // namespace

Status write_npy(const std::filesystem::path& path, NpyType type, std::span<const int64_t> shape,
                 std::span<const std::byte> data) try {
  const Expected<std::string> start = npy_start(type, shape, data);
  if (!start.ok()) {
    return {start.status().code(), fmt::format("{}: {}", path.string(), start.status().message())};
  }
  return write_file_atomically(path, {*start, {reinterpret_cast<const char*>(data.data()), data.size()}});
} catch (...) {
  return internal::status_of_exception(path.native());
}

Expected<std::string> npy_text(NpyType type, std::span<const int64_t> shape, std::span<const std::byte> data) try {
  HCCS_ASSIGN_OR_RETURN(std::string text, npy_start(type, shape, data));
  return text.append(reinterpret_cast<const char*>(data.data()), data.size());
} catch (...) {
  return internal::status_of_exception("npy_text");
}

}  // namespace hccs
