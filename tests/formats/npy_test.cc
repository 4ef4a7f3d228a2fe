// SPDX-License-Identifier: Apache-2.0
#include "hccs/npy.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "temporary_folder.h"

namespace hccs {
namespace {

namespace fs = test::fs;
using test::fails;

using Shape = std::vector<int64_t>;

// A file of the given version, byte by byte.
std::string npy_bytes(int version, std::string_view header, std::string_view data = "") {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  return bytes + std::string(header) + std::string(data);
}

std::string dict(std::string_view descr, std::string_view shape, std::string_view fortran = "False") {
  return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n", descr, fortran, shape);
}

class NpyTest : public test::WithFolder {
 protected:
  fs::path path() const { return folder() / "a.npy"; }
  Expected<NpyArray> read(std::string_view content) const { return read_npy(put("a.npy", content)); }

  ::testing::AssertionResult refuses(StatusCode code, std::string_view content, std::vector<std::string> parts) const {
    parts.push_back(path().string());
    return fails(read(content), code, parts);
  }
  ::testing::AssertionResult bad_header(std::string_view header, std::vector<std::string> parts) const {
    parts.push_back("header: ");
    return refuses(StatusCode::kBadData, npy_bytes(1, header, "12345678"), std::move(parts));
  }

  template <class T>
  void round_trip(const Shape& shape, const std::vector<T>& values) const {
    const Status status = write_npy<T>(path(), shape, values);
    ASSERT_TRUE(status.ok()) << status.message();
    const auto text = npy_text<T>(shape, values);
    ASSERT_TRUE(text.ok()) << text.status().message();
    EXPECT_EQ(*text, get(path()));
    const auto array = read_npy(path());
    ASSERT_TRUE(array.ok()) << array.status().message();
    EXPECT_EQ(array->type, npy_type_of<T>());
    EXPECT_EQ(array->shape, shape);
    EXPECT_EQ(array->element_count(), static_cast<int64_t>(values.size()));
    ASSERT_EQ(array->as<T>().size(), values.size());
    if (!values.empty()) {  // bytes: NaN is to come back too
      EXPECT_EQ(std::memcmp(array->as<T>().data(), values.data(), values.size() * sizeof(T)), 0);
    }
    EXPECT_EQ((get(path()).size() - values.size() * sizeof(T)) % 64, 0) << "the data is aligned";
  }
};

// ---- Round trip -----------------------------------------------------------------------------

template <class T>
std::vector<T> extremes() {
  using Limits = std::numeric_limits<T>;
  return {Limits::lowest(),
          Limits::max(),
          T{0},
          T{1},
          static_cast<T>(Limits::max() / 3),
          static_cast<T>(Limits::lowest() / 3)};
}

TEST_F(NpyTest, EveryTypeReadsBack) {
  round_trip<int8_t>({2, 3}, extremes<int8_t>());
  round_trip<uint8_t>({3, 2}, extremes<uint8_t>());
  round_trip<int16_t>({6}, extremes<int16_t>());
  round_trip<int32_t>({1, 2, 3}, extremes<int32_t>());
  round_trip<float>({6, 1}, extremes<float>());
  round_trip<uint16_t>({6}, extremes<uint16_t>());
  round_trip<uint32_t>({2, 3}, extremes<uint32_t>());
  round_trip<int64_t>({6}, extremes<int64_t>());
  round_trip<uint64_t>({6}, extremes<uint64_t>());
  round_trip<double>({3, 2}, extremes<double>());
  using Limits = std::numeric_limits<float>;
  round_trip<float>({5}, {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), -0.0F, Limits::denorm_min()});
}

TEST_F(NpyTest, ScalarsEmptyArraysAndManyDimensionsReadBack) {
  round_trip<float>({}, {2.5F});
  round_trip<float>({0}, {});
  round_trip<int16_t>({3, 0, 1'000'000'000'000}, {});
  round_trip<int8_t>(Shape(64, 1), {7});
  round_trip<uint8_t>({100, 100}, std::vector<uint8_t>(10'000, 200));
}

TEST_F(NpyTest, TheWrittenBytesAreTheDocumentedOnes) {
  ASSERT_TRUE(write_npy<int16_t>(path(), Shape{2}, std::vector<int16_t>{1, -2}).ok());
  std::string header = "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }";
  header.resize(117, ' ');
  EXPECT_EQ(get(path()), npy_bytes(1, header + "\n", std::string("\1\0\xfe\xff", 4)));
}

TEST_F(NpyTest, NamesAndSizes) {
  EXPECT_EQ(name(NpyType::kInt8), "int8");
  EXPECT_EQ(name(NpyType::kUint8), "uint8");
  EXPECT_EQ(name(NpyType::kInt16), "int16");
  EXPECT_EQ(name(NpyType::kInt32), "int32");
  EXPECT_EQ(name(NpyType::kFloat32), "float32");
  EXPECT_EQ(size_of(NpyType::kInt8), 1);
  EXPECT_EQ(size_of(NpyType::kInt16), 2);
  EXPECT_EQ(size_of(NpyType::kFloat32), 4);
}

TEST_F(NpyTest, WritingRefusesDataThatIsNotTheShape) {
  const std::vector<float> six(6);
  const auto write = [&](const Shape& shape) { return write_npy<float>(path(), shape, six); };
  EXPECT_TRUE(fails(write({7}), StatusCode::kInvalidArgument, {path().string(), "24 bytes", "(7)", "28"}));
  EXPECT_TRUE(fails(write({-2, -3}), StatusCode::kInvalidArgument, {"(-2, -3)", "impossible"}));
  EXPECT_TRUE(fails(write({INT64_C(1) << 62, 4}), StatusCode::kInvalidArgument, {"impossible"}));
  EXPECT_TRUE(fails(write(Shape(65, 1)), StatusCode::kInvalidArgument, {"at most 64 dimensions"}));
  EXPECT_TRUE(names().empty());
  EXPECT_TRUE(fails(write_npy<float>(folder(), Shape{6}, six), StatusCode::kIo, {"Is a directory"}));
}

// ---- What is read ---------------------------------------------------------------------------

TEST_F(NpyTest, ReadsEveryVersionAndSpellingOfTheHeader) {
  const std::string data("\1\0\2\0\3\0\4\0\5\0\6\0", 12);
  for (int version = 1; version <= 3; ++version) {
    for (const char* header : {
             "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }      \n",
             "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3)}",
             "{\"shape\":(2,3,),\"fortran_order\":False,\"descr\":\"<i2\"}",
             "  {  'fortran_order'  :  False  ,  'shape'  :  (  2  ,  3  )  ,  'descr'  :  '<i2'  ,  }  \n",
         }) {
      const auto array = read(npy_bytes(version, header, data));
      ASSERT_TRUE(array.ok()) << array.status().message();
      EXPECT_EQ(array->shape, (Shape{2, 3}));
      EXPECT_EQ(std::vector<int16_t>(array->as<int16_t>().begin(), array->as<int16_t>().end()),
                (std::vector<int16_t>{1, 2, 3, 4, 5, 6}));
    }
  }
}

TEST_F(NpyTest, ReadsAHeaderThatOnlyVersionTwoCanHold) {
  const auto array = read(npy_bytes(2, dict("|u1", "(2,)") + std::string(70'000, ' ') + "\n", "ab"));
  ASSERT_TRUE(array.ok()) << array.status().message();
  EXPECT_EQ(array->as<uint8_t>()[1], 'b');
}

TEST_F(NpyTest, AByteHasNoOrder) {
  for (const char* descr : {"|i1", "<i1", "=i1", ">i1", "i1"}) {
    EXPECT_EQ(read(npy_bytes(1, dict(descr, "(1,)"), "x"))->type, NpyType::kInt8);
  }
  for (const char* descr : {"|u1", "<u1", "=u1", ">u1", "u1"}) {
    EXPECT_EQ(read(npy_bytes(1, dict(descr, "(1,)"), "x"))->type, NpyType::kUint8);
  }
}

// np.dtype() takes these too, so that headers which other programs wrote may have them.
TEST_F(NpyTest, TypesByNameAndByLetter) {
  const auto type_of = [&](std::string_view descr, size_t bytes) {
    const auto array = read(npy_bytes(1, dict(descr, "(1,)"), std::string(bytes, '\1')));
    EXPECT_TRUE(array.ok()) << descr << ": " << array.status().message();
    return array.ok() ? std::optional(array->type) : std::nullopt;
  };
  using T = NpyType;
  for (const auto& [name, letter, bytes, type] :
       {std::tuple("int8", "b", 1, T::kInt8), std::tuple("uint8", "B", 1, T::kUint8),
        std::tuple("int16", "h", 2, T::kInt16), std::tuple("uint16", "H", 2, T::kUint16),
        std::tuple("int32", "i", 4, T::kInt32), std::tuple("uint32", "I", 4, T::kUint32),
        std::tuple("int64", "q", 8, T::kInt64), std::tuple("uint64", "Q", 8, T::kUint64),
        std::tuple("float16", "e", 2, T::kFloat16), std::tuple("float32", "f", 4, T::kFloat32),
        std::tuple("float64", "d", 8, T::kFloat64), std::tuple("bool", "?", 1, T::kBool)}) {
    EXPECT_EQ(type_of(name, bytes), type);
    EXPECT_EQ(type_of(letter, bytes), type);
    EXPECT_EQ(type_of(std::string("<") + letter, bytes), type);
  }
  const auto swapped = read(npy_bytes(1, dict(">h", "(1,)"), std::string("\1\2", 2)));
  ASSERT_TRUE(swapped.ok()) << swapped.status().message();
  EXPECT_EQ(swapped->as<int16_t>()[0], 0x0102);
  const auto unicode = read(npy_bytes(1, "{u'descr': u'|i1', u'fortran_order': False, u'shape': (1L,)}\n", "x"));
  ASSERT_TRUE(unicode.ok()) << unicode.status().message();
  for (const char* descr : {">int8", "<float32", "bb", "int", "u", ""}) {
    EXPECT_TRUE(refuses(StatusCode::kUnsupported, npy_bytes(1, dict(descr, "(1,)"), "x"), {"type"})) << descr;
  }
}

TEST_F(NpyTest, BigEndianElementsAreSwapped) {
  const auto shorts = read(npy_bytes(1, dict(">i2", "(2,)"), std::string("\x01\x02\xff\xfe", 4)));
  ASSERT_TRUE(shorts.ok()) << shorts.status().message();
  EXPECT_EQ(std::vector<int16_t>(shorts->as<int16_t>().begin(), shorts->as<int16_t>().end()),
            (std::vector<int16_t>{0x0102, -2}));
  const auto floats = read(npy_bytes(1, dict(">f4", "(1,)"), std::string("\xc0\x20\x00\x00", 4)));
  ASSERT_TRUE(floats.ok()) << floats.status().message();
  EXPECT_EQ(floats->as<float>()[0], -2.5F);
}

TEST_F(NpyTest, FortranOrderBecomesCOrder) {
  for (const auto& [shape, bytes] :
       {std::pair("(3,)", "abc"), std::pair("()", "a"), std::pair("(1, 3, 1)", "abc"), std::pair("(5, 0, 7)", "")}) {
    const auto array = read(npy_bytes(1, dict("|u1", shape, "True"), bytes));
    ASSERT_TRUE(array.ok()) << array.status().message();
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(array->data.data()), array->data.size()), bytes);
  }
  const auto matrix = read(npy_bytes(1, dict("|u1", "(2, 3)", "True"), "adbecf"));
  ASSERT_TRUE(matrix.ok()) << matrix.status().message();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(matrix->data.data()), 6), "abcdef");
  const auto wide = read(npy_bytes(1, dict(">u2", "(2, 2)", "True"), std::string("\0\1\0\3\0\2\0\4", 8)));
  ASSERT_TRUE(wide.ok()) << wide.status().message();
  EXPECT_EQ(std::vector<uint16_t>(wide->as<uint16_t>().begin(), wide->as<uint16_t>().end()),
            (std::vector<uint16_t>{1, 2, 3, 4}));
}

TEST_F(NpyTest, Python2WroteLongSizes) {
  for (const char* shape : {"(2L, 3L)", "(2L, 3L,)", "(2, 3L)"}) {
    const auto array = read(npy_bytes(1, dict("|u1", shape), "123456"));
    ASSERT_TRUE(array.ok()) << array.status().message();
    EXPECT_EQ(array->shape, (Shape{2, 3}));
  }
  EXPECT_EQ(read(npy_bytes(1, dict("|u1", "(3L,)"), "123"))->shape, Shape{3});
  EXPECT_TRUE(bad_header("{'descr': '|u1', 'fortran_order': False, 'shape': (8LL,)}", {"',' or ')'"}));
  EXPECT_TRUE(bad_header("{'descr': '|u1', 'fortran_order': False, 'shape': (L,)}", {"a size from 0"}));
  EXPECT_TRUE(bad_header("{'descr': '|u1', 'fortran_order': False, 'shape': (8l,)}", {"',' or ')'"}));
}

// ---- Conversions ----------------------------------------------------------------------------

TEST_F(NpyTest, EveryHalfBecomesItsFloat) {
  std::string data;
  for (int half = 0; half < 65536; ++half) data += {static_cast<char>(half & 0xFF), static_cast<char>(half >> 8)};
  const auto values = to_float32(*read(npy_bytes(1, dict("<f2", "(65536,)"), data)));
  ASSERT_TRUE(values.ok()) << values.status().message();
  for (int half = 0; half < 65536; ++half) {
    const int exponent = half >> 10 & 31;
    const double fraction = half & 1023;
    const double sign = half < 32768 ? 1 : -1;
    const float value = (*values)[static_cast<size_t>(half)];
    if (exponent == 31) {
      ASSERT_TRUE(fraction == 0 ? value == sign * std::numeric_limits<float>::infinity() : std::isnan(value)) << half;
    } else {
      const double expected = exponent == 0 ? fraction / (1 << 24) : (1 + fraction / 1024) * std::pow(2, exponent - 15);
      ASSERT_EQ(value, sign * expected) << half;
    }
  }
}

TEST_F(NpyTest, AFiniteDoubleStaysFinite) {
  using Limits = std::numeric_limits<double>;
  constexpr float kMost = std::numeric_limits<float>::max();
  const std::vector<double> from = {Limits::lowest(), Limits::max(),      0.1,
                                    -1e-300,          Limits::infinity(), -Limits::infinity()};
  ASSERT_TRUE(write_npy<double>(path(), Shape{6}, from).ok());
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(*to_float32(*read_npy(path())), (std::vector<float>{-kMost, kMost, 0.1F, -0.0F, kInfinity, -kInfinity}));
  ASSERT_TRUE(write_npy<int32_t>(path(), Shape{1}, std::vector<int32_t>{1}).ok());
  EXPECT_TRUE(fails(to_float32(*read_npy(path())), StatusCode::kInvalidArgument, {"int32", "floats"}));
}

TEST_F(NpyTest, EveryIntegerBecomesAnInt64) {
  const auto check = [&](auto example) {
    using T = decltype(example);
    const std::vector<T> values = extremes<T>();
    ASSERT_TRUE(write_npy<T>(path(), Shape{6}, values).ok());
    const auto converted = to_int64(*read_npy(path()));
    ASSERT_TRUE(converted.ok()) << converted.status().message();
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ((*converted)[i], std::in_range<int64_t>(values[i]) ? static_cast<int64_t>(values[i]) : INT64_MAX);
    }
  };
  check(int8_t{});
  check(uint8_t{});
  check(int16_t{});
  check(uint16_t{});
  check(int32_t{});
  check(uint32_t{});
  check(int64_t{});
  check(uint64_t{});
  EXPECT_TRUE(fails(to_int64(*read(npy_bytes(1, dict("<f4", "(1,)"), "1234"))), StatusCode::kInvalidArgument,
                    {"float32", "integers"}));
  EXPECT_TRUE(fails(to_int64(*read(npy_bytes(1, dict("|b1", "(1,)"), "1"))), StatusCode::kInvalidArgument, {"bool"}));
}

// ---- What is refused ------------------------------------------------------------------------

TEST_F(NpyTest, RefusesWhatIsNoFile) {
  EXPECT_TRUE(fails(read_npy(folder()), StatusCode::kIo, {folder().string(), "Is a directory"}));
  EXPECT_TRUE(fails(read_npy(folder() / "no.npy"), StatusCode::kIo, {"no.npy", "No such file"}));
}

TEST_F(NpyTest, RefusesOtherMagicAndVersions) {
  EXPECT_TRUE(refuses(StatusCode::kBadData, "PK\3\4 an .npz file", {"PK", "NUMPY"}));
  EXPECT_TRUE(refuses(StatusCode::kBadData, "", {"ends within its header", "0 of 8"}));
  for (const auto& [major, minor] : {std::pair(0, 0), std::pair(4, 0), std::pair(255, 0), std::pair(1, 1)}) {
    std::string content = npy_bytes(1, dict("|u1", "(1,)"), "x");
    content[6] = static_cast<char>(major);
    content[7] = static_cast<char>(minor);
    EXPECT_TRUE(refuses(StatusCode::kUnsupported, content, {fmt::format("{}.{}", major, minor), "1.0, 2.0, 3.0"}));
  }
}

TEST_F(NpyTest, RefusesHeaderLengthsBeyondTheFileOrTheLimit) {
  std::string content = npy_bytes(2, dict("|u1", "(1,)"), "x");
  content.replace(8, 4, "\xff\xff\xff\xff");
  EXPECT_TRUE(refuses(StatusCode::kBadData, content, {"4294967295 bytes", "at most 1048576"}));
  content.replace(8, 4, std::string("\0\0\x10\0", 4));
  EXPECT_TRUE(refuses(StatusCode::kBadData, content, {"ends within its header", "of 1048576"}));
}

TEST_F(NpyTest, RefusesHostileHeaders) {
  EXPECT_TRUE(bad_header("", {"'{' expected"}));
  EXPECT_TRUE(bad_header("[]", {"'{' expected"}));
  EXPECT_TRUE(bad_header("{", {"a string expected"}));
  EXPECT_TRUE(bad_header("{}", {"'descr' is missing"}));
  EXPECT_TRUE(bad_header("{'descr': '|u1', 'shape': (8,)}", {"'fortran_order' is missing"}));
  EXPECT_TRUE(bad_header("{'descr': '|u1', 'fortran_order': False}", {"'shape' is missing"}));
  EXPECT_TRUE(bad_header("{'descr': '|u1', 'descr': '|u1'}", {"\"descr\" occurs twice"}));
  EXPECT_TRUE(bad_header("{'why': 3}", {"unknown key \"why\""}));
  EXPECT_TRUE(bad_header("{'descr", {"a closed string expected"}));
  EXPECT_TRUE(bad_header("{'descr'}", {"':' expected"}));
  EXPECT_TRUE(bad_header("{'descr': }", {"a string expected"}));
  EXPECT_TRUE(bad_header("{'descr': 3}", {"a string expected"}));
  EXPECT_TRUE(bad_header("{'descr': '|u1' 'shape': (8,)}", {"',' or '}' expected"}));
  EXPECT_TRUE(bad_header("{,}", {"a string expected"}));
  EXPECT_TRUE(bad_header(dict("|u1", "(8,)", "false"), {"True or False expected"}));
  EXPECT_TRUE(bad_header(dict("|u1", "(8,)", "0"), {"True or False expected"}));
  EXPECT_TRUE(bad_header(dict("|u1", "(8,)", "Falsehood"), {"',' or '}' expected", "hood"}));
  EXPECT_TRUE(bad_header(dict("|u1", "(8,)") + "x", {"the end expected"}));
  EXPECT_TRUE(bad_header(dict("|u1", "(8,)") + std::string(1, '\0'), {"the end expected"}));
  EXPECT_TRUE(bad_header(std::string("{\0}", 3), {"a string expected"}));
}

TEST_F(NpyTest, RefusesImpossibleShapes) {
  for (const char* shape : {"8", "[8]", "8,"}) {
    EXPECT_TRUE(bad_header(dict("|u1", shape), {"'(' expected"}));
  }
  for (const char* shape : {"(-8,)", "(-2, -4)", "(,)", "(8,,)", "(x,)", "(99999999999999999999,)", "(+8,)"}) {
    EXPECT_TRUE(bad_header(dict("|u1", shape), {"a size from 0 to 2^63 - 1 expected"}));
  }
  for (const char* shape : {"(8.0,)", "(8 1)", "(8"}) {
    EXPECT_TRUE(bad_header(dict("|u1", shape), {"expected"}));
  }
  EXPECT_TRUE(bad_header(dict("|u1", "(8)"), {"no tuple", "(3,)"}));
  std::string many = "(8,";
  for (int i = 0; i < 64; ++i) many += "1,";
  EXPECT_TRUE(bad_header(dict("|u1", many + ")"), {"more than 64 dimensions"}));
  const auto with = [&](std::string_view descr, std::string_view shape) {
    return npy_bytes(1, dict(descr, shape), "12345678");
  };
  EXPECT_TRUE(refuses(StatusCode::kBadData, with("<i4", "(4611686018427387906,)"), {"more than 2^64", "8 bytes"}));
  EXPECT_TRUE(refuses(StatusCode::kBadData, with("|u1", "(4294967296, 4294967296)"), {"more than 2^64"}));
  EXPECT_TRUE(refuses(StatusCode::kBadData, with("<i4", "(4611686018427387904, 4, 4)"), {"more than 2^64"}));
  EXPECT_TRUE(refuses(StatusCode::kBadData, with("|u1", "(1000000000000000000,)"), {"1000000000000000000", "8 bytes"}));
}

TEST_F(NpyTest, RefusesTruncatedAndTrailingData) {
  EXPECT_TRUE(refuses(StatusCode::kBadData, npy_bytes(1, dict("<f4", "(2,)"), "1234567"),
                      {"7 bytes of data", "(2) of float32 takes 8"}));
  EXPECT_TRUE(refuses(StatusCode::kBadData, npy_bytes(1, dict("<f4", "(2,)"), "123456789"),
                      {"9 bytes of data", "(2) of float32 takes 8"}));
  EXPECT_TRUE(refuses(StatusCode::kBadData, npy_bytes(1, dict("<f4", "()"), ""), {"0 bytes of data", "takes 4"}));
  EXPECT_TRUE(refuses(StatusCode::kBadData, npy_bytes(1, dict("<f4", "(0,)"), "x"), {"1 bytes of data", "takes 0"}));
}

TEST_F(NpyTest, RefusesOtherTypesByName) {
  for (const char* descr : {"|O", "<U3", "<c8", "", "|", "<V2", "<f16", "<i3", "ff4", "<<f4", "<M8[ns]", "f44"}) {
    EXPECT_TRUE(refuses(StatusCode::kUnsupported, npy_bytes(1, dict(descr, "(1,)"), "12345678"),
                        {fmt::format("type \"{}\"", descr), "floats of 16 to 64 bits"}));
  }
  EXPECT_TRUE(refuses(StatusCode::kUnsupported,
                      npy_bytes(1, "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }", "1234"),
                      {"records"}));
}

TEST_F(NpyTest, RefusesEveryTruncation) {
  const std::string valid = npy_bytes(1, dict("<i2", "(2, 3)"), "123456789012");
  ASSERT_TRUE(read(valid).ok());
  for (size_t size = 0; size < valid.size(); ++size) {
    EXPECT_EQ(read(valid.substr(0, size)).status().code(), StatusCode::kBadData) << size;
  }
}

TEST_F(NpyTest, WhateverAMutatedFileReadsAsIsConsistent) {
  const std::string valid = npy_bytes(1, dict("<i2", "(2, 3)"), "123456789012");
  constexpr uint32_t kSeed = 20240504;
  std::mt19937 random(kSeed);
  constexpr std::string_view kLikely = "0123456789(),'\"{}: <>|=-iuf";
  for (int round = 0; round < 4000; ++round) {
    SCOPED_TRACE(fmt::format("seed {} round {}", kSeed, round));
    std::string mutated = valid;
    for (uint32_t i = 0, changes = 1 + random() % 2; i < changes; ++i) {
      mutated[random() % valid.size()] =
          random() % 2 == 0 ? static_cast<char>(random() & 0xFF) : kLikely[random() % kLikely.size()];
    }
    const auto array = read(mutated);
    if (!array.ok()) continue;
    int64_t count = 1;
    for (int64_t size : array->shape) count *= size;
    ASSERT_EQ(array->element_count(), count);
    ASSERT_EQ(array->data.size(), static_cast<size_t>(count) * size_of(array->type));
  }
}

// ---- NumPy itself ---------------------------------------------------------------------------

constexpr std::string_view kScript = R"(
import sys
import numpy as np
folder = sys.argv[1]
for kind in ("int8", "uint8", "int16", "int32", "float32", "uint16", "uint32", "int64", "uint64", "float64"):
    for shape in ((), (0,), (7,), (2, 3), (2, 0, 3), (2, 3, 4)):
        label = kind + "-" + "x".join(map(str, shape))
        expected = (np.arange(np.prod(shape, dtype=int)) * 5 - 3).astype(kind).reshape(shape)
        ours = np.load(f"{folder}/ours-{label}.npy", allow_pickle=False)
        assert ours.dtype == kind and ours.shape == shape and (ours == expected).all(), label
        for version in ((1, 0), (2, 0), (3, 0)):
            with open(f"{folder}/numpy-{version[0]}-{label}.npy", "wb") as file:
                np.lib.format.write_array(file, expected, version=version)
np.save(f"{folder}/fortran.npy", np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)))
for kind in ("bool", "float16", ">i1", ">i2", ">u4", ">i8", ">f4", ">f8", ">f2"):
    np.save(f"{folder}/other-{kind.strip('>')}.npy", (np.arange(6) - 2).astype(kind).reshape(3, 2))
)";

template <class T>
std::vector<T> numpys_values(int64_t count) {
  std::vector<T> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<T>(i * 5 - 3));
  return values;
}

class NumpyTest : public NpyTest {
 protected:
  const std::vector<Shape> shapes_ = {{}, {0}, {7}, {2, 3}, {2, 0, 3}, {2, 3, 4}};

  static int64_t count_of(const Shape& shape) {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    return count;
  }
  template <class T>
  fs::path path_of(std::string_view prefix, const Shape& shape) const {
    std::string label;
    for (int64_t size : shape) label += fmt::format("{}{}", label.empty() ? "" : "x", size);
    return folder() / fmt::format("{}-{}-{}.npy", prefix, name(npy_type_of<T>()), label);
  }
  template <class T>
  void write_ours() const {
    for (const Shape& shape : shapes_) {
      const Status status = write_npy<T>(path_of<T>("ours", shape), shape, numpys_values<T>(count_of(shape)));
      ASSERT_TRUE(status.ok()) << status.message();
    }
  }
  template <class T>
  void read_numpys() const {
    for (const Shape& shape : shapes_) {
      for (const char* prefix : {"numpy-1", "numpy-2", "numpy-3"}) {
        const Expected<NpyArray> array = read_npy(path_of<T>(prefix, shape));
        ASSERT_TRUE(array.ok()) << array.status().message();
        ASSERT_EQ(array->type, npy_type_of<T>());
        EXPECT_EQ(array->shape, shape);
        EXPECT_EQ(std::vector<T>(array->as<T>().begin(), array->as<T>().end()), numpys_values<T>(count_of(shape)));
      }
    }
  }
};

TEST_F(NumpyTest, ReadsOursAndWeReadItsOwn) {
  const char* python = std::getenv("HCCS_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "HCCS_PYTHON names no Python with NumPy";
  write_ours<int8_t>();
  write_ours<uint8_t>();
  write_ours<int16_t>();
  write_ours<int32_t>();
  write_ours<float>();
  write_ours<uint16_t>();
  write_ours<uint32_t>();
  write_ours<int64_t>();
  write_ours<uint64_t>();
  write_ours<double>();
  const fs::path script = put("script.py", kScript);
  ASSERT_EQ(std::system(fmt::format("'{}' '{}' '{}'", python, script.string(), folder().string()).c_str()), 0);
  read_numpys<int8_t>();
  read_numpys<uint8_t>();
  read_numpys<int16_t>();
  read_numpys<int32_t>();
  read_numpys<float>();
  read_numpys<uint16_t>();
  read_numpys<uint32_t>();
  read_numpys<int64_t>();
  read_numpys<uint64_t>();
  read_numpys<double>();
  EXPECT_EQ(*to_int64(*read_npy(folder() / "fortran.npy")), (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  for (const char* kind : {"i1", "i2", "i8"}) {
    EXPECT_EQ(*to_int64(*read_npy(folder() / fmt::format("other-{}.npy", kind))),
              (std::vector<int64_t>{-2, -1, 0, 1, 2, 3}));
  }
  EXPECT_EQ(*to_int64(*read_npy(folder() / "other-u4.npy")),
            (std::vector<int64_t>{4294967294, 4294967295, 0, 1, 2, 3}));
  for (const char* kind : {"f2", "f4", "f8", "float16"}) {
    EXPECT_EQ(*to_float32(*read_npy(folder() / fmt::format("other-{}.npy", kind))),
              (std::vector<float>{-2, -1, 0, 1, 2, 3}));
  }
  EXPECT_EQ(read_npy(folder() / "other-bool.npy")->type, NpyType::kBool);
}

}  // namespace
}  // namespace hccs
