// SPDX-License-Identifier: Apache-2.0
#include "hccs/safetensors.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "temporary_folder.h"

namespace hccs {
namespace {

namespace fs = test::fs;
using test::fails;

std::string length_bytes(uint64_t length) {
  std::string bytes(8, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(length & 0xFF);
    length >>= 8;
  }
  return bytes;
}

std::string file_of(std::string_view header, std::string_view buffer = "") {
  return length_bytes(header.size()) + std::string(header) + std::string(buffer);
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// One tensor "a" of 8 bytes.
std::string one(std::string_view description) {
  return file_of(fmt::format(R"({{"a":{}}})", description), std::string(8, '\1'));
}

class SafetensorsTest : public test::WithFolder {
 protected:
  Expected<Safetensors> open(std::string_view content) const {
    return Safetensors::open(put("t.safetensors", content));
  }
  ::testing::AssertionResult refuses(std::string_view content, std::vector<std::string> parts) const {
    parts.push_back((folder() / "t.safetensors").string());
    return fails(open(content), StatusCode::kBadData, parts);
  }
};

// ---- What is read ---------------------------------------------------------------------------

TEST_F(SafetensorsTest, WritesWhatItReads) {
  const std::vector<float> a = {1.5F, -0.0F, std::numeric_limits<float>::denorm_min(), 3e38F, -7.0F, 0.1F};
  const std::vector<double> b = {0.1};
  const fs::path path = folder() / "w.safetensors";
  const std::vector<TensorToWrite> tensors = {{"z \"quoted\"", "F32", {2, 3}, std::as_bytes(std::span(a))},
                                              {"b", "F64", {}, std::as_bytes(std::span(b))},
                                              {"empty", "F32", {0, 4}, {}}};
  ASSERT_TRUE(write_safetensors(path, tensors, {{"format", "pt"}, {"note", "x"}}).ok());
  const auto file = Safetensors::open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(*file->read_float("z \"quoted\"", std::vector<int64_t>{2, 3}), a);
  EXPECT_TRUE(std::signbit((*file->read_float("z \"quoted\"", std::vector<int64_t>{2, 3}))[1]));
  EXPECT_EQ(file->tensors().at("b").data.size(), 8U);
  EXPECT_EQ(file->tensors().at("empty").shape, (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(file->metadata().at("note"), "x");
  const auto refused = [&](const TensorToWrite& tensor, const std::vector<std::string>& parts) {
    EXPECT_TRUE(fails(write_safetensors(path, std::vector<TensorToWrite>{tensors[1], tensor}),
                      StatusCode::kInvalidArgument, parts));
  };
  refused({"b", "F64", {}, std::as_bytes(std::span(b))}, {"\"b\"", "twice"});
  refused({"c", "F65", {}, std::as_bytes(std::span(b))}, {"F65"});
  refused({"c", "F64", {2}, std::as_bytes(std::span(b))}, {"8 bytes", "[2]"});
  refused({"c", "F64", {-1}, std::as_bytes(std::span(b))}, {"[-1]"});
  EXPECT_TRUE(Safetensors::open(path).ok());  // the earlier file is whole
}

TEST_F(SafetensorsTest, ReadsTensorsOfEveryShapeAndOrder) {
  const auto file = open(file_of(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[12,36]},)"
      R"("scalar":{"dtype":"F32","shape":[],"data_offsets":[8,12]},"empty":{"dtype":"F32","shape":[3,0],"data_offsets":[8,8]},)"
      R"("ids":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}   )",
      bytes_of<int64_t>({7}) + bytes_of<float>({0.5F, 1, 2, 3, 4, 5, -6.25F})));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->path(), folder() / "t.safetensors");
  ASSERT_EQ(file->tensors().size(), 4);
  EXPECT_EQ(file->tensors().at("b").dtype, "F32");
  EXPECT_EQ(file->tensors().at("b").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file->tensors().at("b").data.size(), 24);
  EXPECT_EQ(*file->read_float("b", std::vector<int64_t>{2, 3}), (std::vector<float>{1, 2, 3, 4, 5, -6.25F}));
  EXPECT_EQ(*file->read_float("scalar", {}), std::vector<float>{0.5F});
  EXPECT_EQ(*file->read_float("empty", std::vector<int64_t>{3, 0}), std::vector<float>{});
  int64_t id = 0;
  std::memcpy(&id, file->tensors().at("ids").data.data(), sizeof id);
  EXPECT_EQ(id, 7);
}

TEST_F(SafetensorsTest, ReadsAFileWithoutTensors) {
  const auto file = open(file_of("{}"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_TRUE(file->tensors().empty());
}

TEST_F(SafetensorsTest, KnowsEveryTypeOfTheFormat) {
  for (const auto& [dtype, bytes] : std::vector<std::pair<std::string, int>>{{"BOOL", 1},
                                                                             {"U8", 1},
                                                                             {"I8", 1},
                                                                             {"F8_E5M2", 1},
                                                                             {"F8_E4M3", 1},
                                                                             {"F8_E8M0", 1},
                                                                             {"I16", 2},
                                                                             {"U16", 2},
                                                                             {"F16", 2},
                                                                             {"BF16", 2},
                                                                             {"I32", 4},
                                                                             {"U32", 4},
                                                                             {"F32", 4},
                                                                             {"F64", 8},
                                                                             {"I64", 8},
                                                                             {"U64", 8}}) {
    const auto file = open(one(fmt::format(R"({{"dtype":"{}","shape":[{}],"data_offsets":[0,8]}})", dtype, 8 / bytes)));
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_EQ(file->tensors().at("a").shape[0], 8 / bytes);
  }
}

TEST_F(SafetensorsTest, ViewsOutliveTheObjectInACopyAndReplacedFiles) {
  auto file = open(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", bytes_of<float>({42})));
  ASSERT_TRUE(file.ok());
  const Safetensors copy = *file;
  const TensorView view = copy.tensors().at("a");
  file = Status(StatusCode::kIo, "gone");
  fs::rename(put("other", "x"), folder() / "t.safetensors");
  float value = 0;
  std::memcpy(&value, view.data.data(), sizeof value);
  EXPECT_EQ(value, 42);
}

// Every 16-bit pattern, against arithmetic that shares nothing with the conversion but the definition of the types.
void check_all_16_bit_values(const Safetensors& file, int exponent_bits) {
  const auto values = file.read_float("a", std::vector<int64_t>{65536});
  ASSERT_TRUE(values.ok()) << values.status().message();
  ASSERT_EQ(values->size(), 65536);
  const int mantissa_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  for (int bits = 0; bits < 65536; ++bits) {
    const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
    const int mantissa = bits & ((1 << mantissa_bits) - 1);
    const float value = (*values)[static_cast<size_t>(bits)];
    ASSERT_EQ(std::signbit(value), bits >= 32768) << bits;
    if (exponent == (1 << exponent_bits) - 1) {
      ASSERT_EQ(std::isnan(value), mantissa != 0) << bits;
      ASSERT_EQ(std::isinf(value), mantissa == 0) << bits;
      continue;
    }
    const double magnitude = exponent == 0
                                 ? std::ldexp(mantissa, 1 - bias - mantissa_bits)
                                 : std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
    ASSERT_EQ(std::abs(static_cast<double>(value)), magnitude) << bits;
  }
}

TEST_F(SafetensorsTest, ConvertsEveryF16AndBf16Exactly) {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  for (const auto& [dtype, exponent_bits] : {std::pair("F16", 5), std::pair("BF16", 8)}) {
    SCOPED_TRACE(dtype);
    // The odd length of the header puts the values at odd addresses.
    std::string header = fmt::format(R"({{"a":{{"dtype":"{}","shape":[65536],"data_offsets":[0,131072]}}}})", dtype);
    if (header.size() % 2 == 0) header += ' ';
    const auto file = open(file_of(header, bytes_of(all)));
    ASSERT_TRUE(file.ok()) << file.status().message();
    check_all_16_bit_values(*file, exponent_bits);
  }
}

TEST_F(SafetensorsTest, ReadsEveryF32BitForBit) {
  const std::vector<uint32_t> bits = {0,          0x80000000, 1,          0x007FFFFF, 0x7F7FFFFF,
                                      0x7F800000, 0xFF800000, 0x7FC00001, 0x3F800000};
  const auto file = open(file_of(R"({"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}})", bytes_of(bits)));
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto values = file->read_float("a", std::vector<int64_t>{9});
  ASSERT_TRUE(values.ok());
  for (size_t i = 0; i < bits.size(); ++i) EXPECT_EQ(std::bit_cast<uint32_t>((*values)[i]), bits[i]);
}

TEST_F(SafetensorsTest, ReadFloatNamesTensorShapeAndType) {
  const auto file = open(one(R"({"dtype":"I32","shape":[2],"data_offsets":[0,8]})"));
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(fails(file->read_float("b", std::vector<int64_t>{2}), StatusCode::kBadData, {"\"b\"", "none"}));
  EXPECT_TRUE(fails(file->read_float("a", std::vector<int64_t>{1, 2}), StatusCode::kBadData,
                    {"\"a\"", "[2]", "[1, 2] is needed"}));
  EXPECT_TRUE(fails(file->read_float("a", std::vector<int64_t>{2}), StatusCode::kUnsupported,
                    {"\"a\"", "I32", "F32, F16 or BF16"}));
}

// ---- What is refused ------------------------------------------------------------------------

TEST_F(SafetensorsTest, RefusesWhatIsNoFile) {
  EXPECT_TRUE(fails(Safetensors::open(folder()), StatusCode::kIo, {folder().string(), "Is a directory"}));
  EXPECT_TRUE(fails(Safetensors::open(folder() / "no"), StatusCode::kIo, {"no", "No such file"}));
  EXPECT_TRUE(fails(Safetensors::open("/dev/zero"), StatusCode::kIo, {"/dev/zero", "no regular file"}));
}

TEST_F(SafetensorsTest, RefusesBadHeaderLengths) {
  EXPECT_TRUE(refuses("", {"0 bytes", "8 bytes"}));
  EXPECT_TRUE(refuses("1234567", {"7 bytes", "8 bytes"}));
  EXPECT_TRUE(refuses(length_bytes(uint64_t{1} << 60) + "{}", {"1152921504606846976 bytes", "at most 100000000"}));
  EXPECT_TRUE(refuses(length_bytes(UINT64_MAX) + "{}", {"18446744073709551615 bytes", "at most 100000000"}));
  EXPECT_TRUE(refuses(length_bytes(UINT64_MAX - 7) + "{}", {"at most 100000000"}));
  EXPECT_TRUE(refuses(length_bytes(100'000'001) + "{}", {"100000001 bytes", "at most 100000000"}));
  EXPECT_TRUE(refuses(length_bytes(100'000'000) + "{}", {"100000000 bytes", "only 2 follow"}));
  EXPECT_TRUE(refuses(length_bytes(3) + "{}", {"3 bytes", "only 2 follow"}));
  EXPECT_TRUE(refuses(length_bytes(0) + "{}", {"begin with '{'"}));
}

TEST_F(SafetensorsTest, RefusesHeadersThatAreNoStrictJsonObject) {
  EXPECT_TRUE(refuses(file_of(" {}"), {"begin with '{'"}));
  EXPECT_TRUE(refuses(file_of("[]"), {"begin with '{'"}));
  EXPECT_TRUE(refuses(file_of("{"), {"header", "no JSON"}));
  EXPECT_TRUE(refuses(file_of("{}x"), {"header", "no JSON at byte 3"}));
  EXPECT_TRUE(refuses(file_of(std::string_view("{}\0", 3)), {"header", "NUL"}));
  EXPECT_TRUE(refuses(file_of("{\"\xff\":1}"), {"header", "byte 0xFF at offset 2", "not UTF-8"}));
  EXPECT_TRUE(refuses(file_of(R"({"a":1e999})"), {"header", "1e999"}));
  EXPECT_TRUE(refuses(file_of(R"({"a":NaN})"), {"header", "no JSON"}));
  EXPECT_TRUE(refuses(file_of("{\"a\":" + std::string(1'000'000, '[')), {"deeper than 64 levels"}));
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";
  EXPECT_TRUE(refuses(file_of(deep), {"deeper than 64 levels"}));
}

TEST_F(SafetensorsTest, RefusesDuplicateNames) {
  constexpr auto kTensor = R"({"dtype":"U8","shape":[4],"data_offsets":[)";
  EXPECT_TRUE(
      refuses(file_of(fmt::format(R"({{"a":{0}0,4]}},"a":{0}4,8]}}}})", kTensor), "12345678"), {"\"a\" occurs twice"}));
  // The same name by way of an escape.
  EXPECT_TRUE(refuses(file_of(fmt::format(R"({{"a":{0}0,4]}},"\u0061":{0}4,8]}}}})", kTensor), "12345678"),
                      {"\"a\" occurs twice"}));
  EXPECT_TRUE(
      refuses(one(R"({"dtype":"U8","shape":[8],"shape":[8],"data_offsets":[0,8]})"), {"\"shape\" occurs twice"}));
}

TEST_F(SafetensorsTest, RefusesMetadataThatIsNoObjectOfStrings) {
  EXPECT_TRUE(refuses(file_of(R"({"__metadata__":{"a":1}})"), {"__metadata__", R"({"a":1})", "strings"}));
  EXPECT_TRUE(refuses(file_of(R"({"__metadata__":"a"})"), {"__metadata__", "strings"}));
}

TEST_F(SafetensorsTest, RefusesMissingAndMistypedFields) {
  EXPECT_TRUE(refuses(one("3"), {"\"a\"", "3", "object"}));
  EXPECT_TRUE(refuses(one("{}"), {"\"a\"", "\"dtype\" is missing"}));
  EXPECT_TRUE(refuses(one(R"({"dtype":"U8","data_offsets":[0,8]})"), {"\"a\"", "\"shape\" is missing"}));
  EXPECT_TRUE(refuses(one(R"({"dtype":"U8","shape":[8]})"), {"\"a\"", "\"data_offsets\" is missing"}));
  EXPECT_TRUE(refuses(one(R"({"dtype":8,"shape":[8],"data_offsets":[0,8]})"), {"\"a\"", "dtype = 8", "string"}));
  EXPECT_TRUE(refuses(one(R"({"dtype":"F4","shape":[8],"data_offsets":[0,8]})"), {"dtype = \"F4\"", "one of BOOL"}));
  EXPECT_TRUE(refuses(one(R"({"dtype":"U8","shape":8,"data_offsets":[0,8]})"), {"shape = 8", "array"}));
  EXPECT_TRUE(refuses(one(R"({"dtype":"U8","shape":[8],"data_offsets":8})"), {"data_offsets = 8", "array"}));
  EXPECT_TRUE(refuses(one(R"({"dtype":"U8","shape":[8],"data_offsets":[0]})"), {"data_offsets = [0]", "pair"}));
  EXPECT_TRUE(refuses(one(R"({"dtype":"U8","shape":[8],"data_offsets":[0,8,8]})"), {"[0,8,8]", "pair"}));
}

TEST_F(SafetensorsTest, RefusesImpossibleShapes) {
  const auto with_shape = [](std::string_view shape) {
    return one(fmt::format(R"({{"dtype":"F32","shape":{},"data_offsets":[0,8]}})", shape));
  };
  EXPECT_TRUE(refuses(with_shape("[-2]"), {"\"a\"", "-2", "0 <= dimension"}));
  EXPECT_TRUE(refuses(with_shape("[-1,-2]"), {"\"a\"", "-1", "0 <= dimension"}));
  EXPECT_TRUE(refuses(with_shape("[2.0]"), {"\"a\"", "2.0", "integer"}));
  EXPECT_TRUE(refuses(with_shape("[\"2\"]"), {"\"a\"", "\"2\"", "integer"}));
  EXPECT_TRUE(refuses(with_shape("[null]"), {"\"a\"", "null", "integer"}));
  EXPECT_TRUE(refuses(with_shape("[18446744073709551615]"), {"18446744073709551615", "integer"}));
  EXPECT_TRUE(refuses(with_shape("[9223372036854775807]"), {"9223372036854775807", "63 bits"}));
  EXPECT_TRUE(refuses(with_shape("[4294967296,4294967296]"), {"4294967296", "63 bits"}));
  // 4 * 2^62 + 8 wraps to 8.
  EXPECT_TRUE(refuses(with_shape("[4611686018427387906]"), {"4611686018427387906", "63 bits"}));
  EXPECT_TRUE(refuses(with_shape("[3]"), {"\"a\"", "shape [3] of F32 takes 12 bytes, not 8"}));
  EXPECT_TRUE(refuses(with_shape("[]"), {"\"a\"", "shape [] of F32 takes 4 bytes, not 8"}));
}

TEST_F(SafetensorsTest, RefusesOffsetsOutsideTheBuffer) {
  const auto with_offsets = [](std::string_view offsets) {
    return one(fmt::format(R"({{"dtype":"U8","shape":[8],"data_offsets":{}}})", offsets));
  };
  EXPECT_TRUE(refuses(with_offsets("[1,9]"), {"end = 9", "8 bytes of tensors", "was it cut"}));
  EXPECT_TRUE(refuses(with_offsets("[8,0]"), {"begin = 8", "begin <= 0"}));
  EXPECT_TRUE(refuses(with_offsets("[-8,0]"), {"begin = -8", "0 <= begin"}));
  EXPECT_TRUE(refuses(with_offsets("[0,-8]"), {"end = -8", "0 <= end"}));
  EXPECT_TRUE(refuses(with_offsets("[0.0,8]"), {"begin = 0.0", "integer"}));
  EXPECT_TRUE(refuses(with_offsets("[18446744073709551608,18446744073709551615]"), {"18446744073709551615"}));
}

TEST_F(SafetensorsTest, RefusesOverlapsGapsAndUnclaimedBytes) {
  const auto two = [](std::string_view a, std::string_view b, std::string_view size) {
    return file_of(fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}},)"
                               R"("b":{{"dtype":"U8","shape":[{}],"data_offsets":{}}}}})",
                               a, size, b),
                   "12345678");
  };
  ASSERT_TRUE(open(two("[4,8]", "[0,4]", "4")).ok());
  EXPECT_TRUE(refuses(two("[0,4]", "[3,8]", "5"), {"\"b\"", "byte 3", "overlaps"}));
  EXPECT_TRUE(refuses(two("[0,4]", "[0,4]", "4"), {"\"b\"", "byte 0", "overlaps"}));
  EXPECT_TRUE(refuses(two("[0,4]", "[5,8]", "3"), {"\"b\"", "byte 5", "gap from byte 4"}));
  EXPECT_TRUE(refuses(two("[1,5]", "[5,8]", "3"), {"\"a\"", "byte 1", "gap from byte 0"}));
  EXPECT_TRUE(refuses(two("[0,4]", "[4,7]", "3"), {"end at byte 7", "has 8"}));
  EXPECT_TRUE(refuses(two("[0,4]", "[2,2]", "0"), {"overlaps"}));
  EXPECT_TRUE(refuses(file_of("{}", "x"), {"end at byte 0", "has 1"}));
}

TEST_F(SafetensorsTest, MessagesCarryNoControlCharactersAndStayShort) {
  const std::string name = "\\u001b[31m" + std::string(100'000, 'n');
  const auto file = open(file_of(fmt::format(R"({{"{}":3}})", name)));
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().message().find('\x1b'), std::string::npos);
  EXPECT_LT(file.status().message().size(), 500);
  const auto broken = open(file_of("{\"" + std::string(100'000, '\x1b')));
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.status().message().find('\x1b'), std::string::npos);
  EXPECT_LT(broken.status().message().size(), 500);
}

std::string small_valid_file() {
  return file_of(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]},)"
                 R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
                 "abcdefghijkl");
}

TEST_F(SafetensorsTest, RefusesEveryTruncation) {
  const std::string valid = small_valid_file();
  ASSERT_TRUE(open(valid).ok());
  for (size_t size = 0; size < valid.size(); ++size) {
    EXPECT_EQ(open(valid.substr(0, size)).status().code(), StatusCode::kBadData) << size;
  }
}

TEST_F(SafetensorsTest, SurvivesEveryMutation) {
  const std::string valid = small_valid_file();
  constexpr uint32_t kSeed = 20240501;
  std::mt19937 random(kSeed);
  int opened = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string mutated = valid;
    for (uint32_t i = 0, changes = 1 + random() % 3; i < changes; ++i) {
      mutated[random() % mutated.size()] = static_cast<char>(random() & 0xFF);
    }
    const auto file = open(mutated);
    if (!file.ok()) continue;
    ++opened;
    size_t bytes = 0;
    for (const auto& [name, tensor] : file->tensors()) {
      bytes += tensor.data.size();
      const auto values = file->read_float(name, tensor.shape);
      EXPECT_TRUE(values.ok() || values.status().code() == StatusCode::kUnsupported) << "seed " << kSeed;
    }
    EXPECT_EQ(bytes, 12) << "seed " << kSeed << " round " << round;
  }
  EXPECT_GT(opened, 0);
}

TEST_F(SafetensorsTest, DoublesAreRoundedToTheNearestFloat) {
  const std::vector<double> values = {0.1, -2.5, 1.0 + 0x1p-24, 1.0 + 0x1.8p-24, 1e-50, 1e300};
  ASSERT_TRUE(write_safetensors(folder() / "f64",
                                std::vector<TensorToWrite>{{"x", "F64", {6}, std::as_bytes(std::span(values))}})
                  .ok());
  const auto file = Safetensors::open(folder() / "f64");
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto read = file->read_float("x", std::vector<int64_t>{6});
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(*read,
            (std::vector<float>{0.1F, -2.5F, 1.0F, 1.0F + 0x1p-23F, 0.0F, std::numeric_limits<float>::infinity()}));
}

}  // namespace
}  // namespace hccs
