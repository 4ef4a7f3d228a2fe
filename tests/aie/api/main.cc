// SPDX-License-Identifier: Apache-2.0
//
// Runs the tests, and says how often the kernel ran and how many of the checks found something.
#include <gtest/gtest.h>

#include <cstdio>

namespace {

class Count : public testing::EmptyTestEventListener {
 public:
  void OnTestPartResult(const testing::TestPartResult& result) override { failures_ += result.failed(); }
  unsigned long failures() const { return failures_; }

 private:
  unsigned long failures_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  auto* count = new Count;  // googletest deletes it
  testing::UnitTest::GetInstance()->listeners().Append(count);
  const int status = RUN_ALL_TESTS();
  std::printf("%s, __AIE_ARCH__ %d: %lu runs, %lu wrong\n", HCCS_TESTED, __AIE_ARCH__, aie_host::runs,
              count->failures());
  return status;
}
