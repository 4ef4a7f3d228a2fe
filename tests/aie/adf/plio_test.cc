// SPDX-License-Identifier: Apache-2.0
//
// PLIO text files. Source: UG1076 (2025.2) "TXT File Format": table 1 (values to a line by data type and PLIO width);
// "TLAST" on the line above the last beat, as in UG1079 "Packet Switching and the aiesimulator".
#include <algorithm>
#include <numeric>

#include "adf_test.h"

namespace {

using namespace adf;
using adf_test::expect_stop;
using adf_test::files;

class AdfPlio : public adf_test::Files {};

constexpr unsigned kBytes = 32;

template <typename T>
void copy(input_buffer<T, extents<kBytes / sizeof(T)>>& in, output_buffer<T, extents<kBytes / sizeof(T)>>& out) {
  std::copy_n(in.data(), kBytes / sizeof(T), out.data());
}

template <typename T>
struct Copy : graph {
  input_plio in;
  output_plio out;
  kernel k;
  Copy(plio_type in_width, plio_type out_width) {
    in = input_plio::create("DIN", in_width, files->path("in.txt"));
    out = output_plio::create("DOUT", out_width, files->path("out/out.txt"));
    k = kernel::create(copy<T>);
    connect(in.out[0], k.in[0]);
    connect(k.out[0], out.in[0]);
  }
};

// Copies `lines` to a file of another width.
template <typename T>
std::string rewrite(const adf_test::Files& test, const std::string& lines, plio_type in, plio_type out) {
  test.write("in.txt", lines);
  Copy<T> g(in, out);
  g.init();
  g.run(1);
  g.end();
  return test.read("out/out.txt");
}

TEST_F(AdfPlio, Int8) {
  const std::string lines32 =
      "-128 127 0 -1\n1 2 3 4\n5 6 7 8\n9 10 11 12\n13 14 15 16\n17 18 19 20\n21 22 23 24\n25 26 27 28\n";
  const std::string lines64 =
      "-128 127 0 -1 1 2 3 4\n5 6 7 8 9 10 11 12\n13 14 15 16 17 18 19 20\n21 22 23 24 25 26 27 28\n";
  const std::string lines128 =
      "-128 127 0 -1 1 2 3 4 5 6 7 8 9 10 11 12\n13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28\n";
  EXPECT_EQ(rewrite<int8>(*this, lines32, plio_32_bits, plio_64_bits), lines64);
  EXPECT_EQ(rewrite<int8>(*this, lines64, plio_64_bits, plio_128_bits), lines128);
  EXPECT_EQ(rewrite<int8>(*this, lines128, plio_128_bits, plio_32_bits), lines32);
}

TEST_F(AdfPlio, Uint8) {
  std::string line;
  for (int i = 0; i < 16; ++i) line += std::to_string(255 - i) + (i == 15 ? "\n" : " ");
  EXPECT_EQ(rewrite<uint8>(*this, line + line, plio_128_bits, plio_128_bits), line + line);
}

TEST_F(AdfPlio, Int16) {
  EXPECT_EQ(
      rewrite<int16>(*this, "-32768 32767\n1 2\n3 4\n5 6\n7 8\n9 10\n11 12\n13 14\n", plio_32_bits, plio_128_bits),
      "-32768 32767 1 2 3 4 5 6\n7 8 9 10 11 12 13 14\n");
}

TEST_F(AdfPlio, Int64) {
  EXPECT_EQ(rewrite<int64>(*this, "-9223372036854775808 1\n2 9223372036854775807\n", plio_128_bits, plio_64_bits),
            "-9223372036854775808\n1\n2\n9223372036854775807\n");
}

// Real types: the shortest decimal that reads back as the same value.
TEST_F(AdfPlio, Float) {
  EXPECT_EQ(rewrite<float>(*this, "893.5689 -0.1\n1e-20 3\n1.5 0\n16777217 7\n", plio_64_bits, plio_128_bits),
            "893.5689 -0.1 1e-20 3\n1.5 0 16777216 7\n");
}

TEST_F(AdfPlio, Bfloat16) {
  EXPECT_EQ(rewrite<bfloat16>(*this, "1.5 -2 0.25 0 1 2 3 4\n5 6 7 8 9 10 11 256\n", plio_128_bits, plio_32_bits),
            "1.5 -2\n0.25 0\n1 2\n3 4\n5 6\n7 8\n9 10\n11 256\n");
}

// What simulators add to the values is read over.
TEST_F(AdfPlio, TimesTlastAndBlanks) {
  const std::string values = "1 2 3 4\n5 6 7 8\n";
  EXPECT_EQ(rewrite<int32>(*this, "T 2096 ns\n1 2 3 4 \n\nT 3 us\nTLAST\n  5\t6 7 8\r\n", plio_128_bits, plio_128_bits),
            values);
}

TEST_F(AdfPlio, LinesThatAreNotOfTheFormat) {
  const auto expect = [&](const std::string& lines, std::initializer_list<std::string> parts) {
    expect_stop([&] { rewrite<int8>(*this, lines, plio_64_bits, plio_64_bits); }, parts);
  };
  expect("1 2 3 4 5 6 7 8\n1 2 3 4 5 6 7\n",
         {"Copy<signed char>", "DIN", "in.txt", "line 2", "7 values", "plio_64_bits", "has 8", "int8"});
  expect("1 2 3 4 5 6 7 8 9\n", {"line 1", "9 values"});
  expect("1 2 3 4 5 6 7 128\n", {"line 1", "'128'", "int8"});
  expect("1 2 3 4 5 6 7 8.0\n", {"line 1", "'8.0'"});
  expect("TLAST\n1 2 3\n", {"line 2", "3 values"});
}

// A beat that TLAST ends may be shorter, in whole words.
TEST_F(AdfPlio, ShortLastBeat) {
  std::string values;
  for (int i = 0; i < 7; ++i) values += "1 2 3 4\n";
  EXPECT_EQ(rewrite<int8>(*this, "TLAST\n9 9 9 9\n1 2 3 4 1 2 3 4\n1 2 3 4 1 2 3 4\n1 2 3 4 1 2 3 4\nTLAST\n1 2 3 4\n",
                          plio_64_bits, plio_32_bits),
            "9 9 9 9\n" + values);
}

TEST_F(AdfPlio, NoSuchFile) {
  Copy<int8> g(plio_32_bits, plio_32_bits);
  expect_stop([&] { g.init(); }, {"Copy<signed char>", "input_plio 'DIN'", "in.txt", "cannot open"});
}

// 32 bytes fill two beats of 128 bits; 24 do not.
void short_block(input_buffer<int32, extents<2>>& in, output_buffer<int32, extents<2>>& out) {
  std::copy_n(in.data(), 2, out.data());
}

TEST_F(AdfPlio, IncompleteBeatAtTheEnd) {
  struct G : graph {
    input_plio in;
    output_plio out;
    kernel k;
    G() {
      in = input_plio::create("DIN", plio_64_bits, files->path("in.txt"));
      out = output_plio::create("DOUT", plio_128_bits, files->path("out.txt"));
      k = kernel::create(short_block);
      connect(in.out[0], k.in[0]);
      connect(k.out[0], out.in[0]);
    }
  };
  write("in.txt", "1 2\n3 4\n5 6\n");
  G g;
  g.init();
  g.run(2);
  g.wait();
  EXPECT_EQ(read("out.txt"), "1 2 3 4\n");
  g.run(1);
  expect_stop([&] { g.end(); }, {"G", "output_plio 'DOUT'", "2 32-bit words", "128 bits"});
}

}  // namespace
