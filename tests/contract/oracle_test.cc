// SPDX-License-Identifier: Apache-2.0
//
// Rows that oracle.py draws afresh on every run. HCCS_SEED=N repeats a run.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "golden_format.h"

namespace hccs {
namespace {

struct OracleRun {
  std::string output;
  int exit_status = -1;
};

OracleRun run_oracle(const std::string& arguments) {
  OracleRun run;
  const std::string command = std::string("\"") + HCCS_PYTHON + "\" \"" + HCCS_ORACLE + "\" " + arguments;
  FILE* pipe = popen(command.c_str(), "r");  // NOLINT(cert-env33-c): a constant command
  if (pipe == nullptr) return run;
  char buffer[4096];
  for (size_t got = 0; (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) run.output.append(buffer, got);
  run.exit_status = pclose(pipe);
  return run;
}

uint32_t seed() {
  const char* fixed = std::getenv("HCCS_SEED");
  return fixed != nullptr ? static_cast<uint32_t>(std::strtoul(fixed, nullptr, 10)) : std::random_device{}();
}

template <class Expect>
void expect_drawn_rows(const std::string& what, int rows, Expect expect_row) {
  const uint32_t run_seed = seed();
  std::printf("oracle.py %s: seed %u (HCCS_SEED repeats it)\n", what.c_str(), run_seed);
  const OracleRun run = run_oracle(what + " --seed " + std::to_string(run_seed) + " --rows " + std::to_string(rows));
  ASSERT_EQ(run.exit_status, 0) << "seed " << run_seed;
  int row = 0;
  size_t begin = 0;
  for (size_t end = 0; (end = run.output.find('\n', begin)) != std::string::npos; begin = end + 1, ++row) {
    const std::string line = run.output.substr(begin, end - begin);
    SCOPED_TRACE("HCCS_SEED=" + std::to_string(run_seed) + ", row " + std::to_string(row) + ": " +
                 line.substr(0, 2000));
    expect_row(nlohmann::json::parse(line));
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_EQ(row, rows);
}

TEST(Oracle, Softmax) { expect_drawn_rows("softmax", 600, expect_softmax_row); }
TEST(Oracle, Attention) { expect_drawn_rows("attention", 300, expect_attention_row); }
TEST(Oracle, Int32Sums) { expect_drawn_rows("int32", 300, expect_sums_row); }

// The oracle itself agrees with the golden rows, so that three implementations check each other.
TEST(Oracle, AgreesWithGoldenRows) {
  std::string arguments = "check";
  for (const char* file : {"softmax.jsonl", "attention.jsonl", "attention_wide.jsonl", "int32.jsonl"}) {
    arguments += " \"" + golden_file(file).string() + "\"";
  }
  const OracleRun run = run_oracle(arguments);
  EXPECT_EQ(run.exit_status, 0) << run.output;
}

}  // namespace
}  // namespace hccs
