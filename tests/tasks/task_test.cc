// SPDX-License-Identifier: Apache-2.0
#include "tasks/task.h"

#include <fmt/format.h>

#include <cmath>

#include "../formats/temporary_folder.h"

namespace hccs {
namespace {

using test::fails;

class TaskTest : public test::WithFolder {
 protected:
  Expected<ExampleSet> read(std::string_view content, std::vector<std::string>& labels) const {
    return read_labelled_file(put("set.tsv", content), "set", labels);
  }
  Expected<ExampleSet> read(std::string_view content) const {
    std::vector<std::string> labels;
    return read(content, labels);
  }
};

TEST_F(TaskTest, ReadsSingleTexts) {
  std::vector<std::string> labels;
  const auto set = read("yes\tgood film\nno\t bad \r\nyes\tfine\nno\tpoor", labels);
  ASSERT_TRUE(set.ok()) << set.status().message();
  EXPECT_EQ(labels, (std::vector<std::string>{"no", "yes"}));
  EXPECT_FALSE(set->pairs);
  ASSERT_EQ(set->examples.size(), 4U);
  EXPECT_EQ(set->examples[1].first, " bad ");
  EXPECT_EQ(set->examples[1].label, 0);
  EXPECT_EQ(set->examples[3].first, "poor");
}

TEST_F(TaskTest, ReadsPairsWhoseSecondTextMayBeEmpty) {
  const auto set = read("1\ta\tb\n0\tc\t\n1\td\te\n0\tf\tg\n");
  ASSERT_TRUE(set.ok()) << set.status().message();
  EXPECT_TRUE(set->pairs);
  EXPECT_EQ(set->examples[0].second, "b");
  EXPECT_EQ(set->examples[1].second, "");
}

TEST_F(TaskTest, NumbersAreSortedAsNumbers) {
  std::vector<std::string> labels;
  ASSERT_TRUE(read("10\ta\n9\tb\n2\tc\n10\td\n9\te\n2\tf\n", labels).ok());
  EXPECT_EQ(labels, (std::vector<std::string>{"2", "9", "10"}));
}

TEST_F(TaskTest, RefusesWhatIsNoTask) {
  const auto bad = [&](std::string_view content, const std::vector<std::string>& parts) {
    EXPECT_TRUE(fails(read(content), StatusCode::kBadData, parts));
  };
  bad("", {"set.tsv", "without a line"});
  bad("a\tb\nno tab\n", {"line 2", "1 columns", "\"no tab\""});
  bad("a\tb\n\n", {"line 2"});
  bad("a\tb\tc\td\n", {"4 columns"});
  bad("a\tb\na\tb\tc\n", {"line 2", "3 columns", "line 1 has 2"});
  bad("\tb\na\tb\n", {"line 1", "label is empty"});
  bad("a\t\nb\tc\n", {"line 1", "text is empty"});
  bad("a\tb\na\tc\n", {"only label is \"a\""});
  bad("some sentence\t1\nanother one\t0\nthe third\t1\n",
      {"3 distinct labels in 3 lines", "is the first column the label"});
  std::string many;
  for (int i = 0; i < 600; ++i) many += fmt::format("label {}\ttext\n", i % 300);
  bad(many, {"line 257", "257 distinct labels", "at most 256"});
}

TEST_F(TaskTest, ALabelMustBeAmongThoseOfTraining) {
  std::vector<std::string> labels = {"no", "yes"};
  EXPECT_TRUE(read("yes\ta\n", labels).ok());  // fewer classes than training had are fine
  EXPECT_TRUE(
      fails(read("yes\ta\nmaybe\tb\n", labels), StatusCode::kMismatch, {"line 2", "\"maybe\"", "\"no\", \"yes\""}));
}

TEST_F(TaskTest, LabelsThatLookTheSameAreRefused) {
  const std::string texts = "1\ta\n0\tb\n1\tc\n0\td\n1\te\n0\tf\n";
  for (const auto& [label, shown] :
       {std::pair("1 ", "\"1 \""), std::pair(" 1", "\" 1\""), std::pair("1\xC2\xA0", "\"1\\u00a0\""),
        std::pair("\xEF\xBB\xBF"
                  "1",
                  "\"\\ufeff1\""),
        std::pair("1\r", "\"1\\r\"")}) {
    EXPECT_TRUE(fails(read(texts + label + "\tg\n"), StatusCode::kBadData, {shown, "\"1\"", "look the same"})) << shown;
  }
  EXPECT_TRUE(fails(read("\xC3\xA9\ta\nn\tb\n\xC3\xA9\tc\nn\td\ne\xCC\x81\te\n\xC3\xA9\tf\n"), StatusCode::kBadData,
                    {"\"\xC3\xA9\"", "\"e\\u0301\"", "look the same"}));
  std::vector<std::string> labels;
  ASSERT_TRUE(read("\xEF\xBB\xBF" + texts, labels).ok());  // at the file's beginning it is no part of a label
  EXPECT_EQ(labels, (std::vector<std::string>{"0", "1"}));
  EXPECT_TRUE(
      fails(read(texts + "1 \tg\n", labels), StatusCode::kMismatch, {"line 7", "label \"1 \"", "\"1\" looks like it"}));
  EXPECT_TRUE(fails(read("sentiment\tg\n" + texts, labels), StatusCode::kMismatch,
                    {"line 1", "\"sentiment\"", "is the first line a header?"}));
}

TEST_F(TaskTest, AHeaderIsNoExample) {
  const std::string texts = "1\ta\n0\tb\n1\tc\n0\td\n1\te\n0\tf\n";
  for (const char* header : {"label\ttext", "Label\tSentence", "CLASS\treview"}) {
    EXPECT_TRUE(
        fails(read(std::string(header) + "\n" + texts), StatusCode::kBadData, {"line 1", "header", "tail -n +2"}));
  }
  std::vector<std::string> labels;
  EXPECT_TRUE(read("label\tpeeling off\n" + texts + "label\tgood\n", labels).ok());  // may be a class
}

TEST_F(TaskTest, ClassesAreCountedAndOddOnesPointedOut) {
  std::vector<std::string> labels;
  const auto set =
      read("kind\twhat\nno \ta\nyes\tb\nno \tc\nyes\td\nYes\te\nYes\tf\nlast\tg\nyes\th\nyes\ti\n", labels);
  ASSERT_TRUE(set.ok()) << set.status().message();
  const ClassSummary summary = summarise_classes(*set, labels);
  EXPECT_EQ(labels, (std::vector<std::string>{"Yes", "kind", "last", "no ", "yes"}));
  EXPECT_EQ(summary.counts, (std::vector<int64_t>{2, 1, 1, 2, 4}));
  EXPECT_EQ(summary.remarks,
            (std::vector<std::string>{"class \"kind\" has one example, line 1: is that line a header?",
                                      "class \"last\" has one example, line 8",
                                      "class \"no \": there are blanks or characters that are not to be seen in it",
                                      "classes \"Yes\" and \"yes\" differ in upper and lower case alone"}));
  EXPECT_EQ(shown_classes(summary, labels), R"("Yes" 2, "kind" 1, "last" 1, "no " 2, "yes" 4)");

  std::vector<std::string> plain;
  const auto clean = read("no\ta\nyes\tb\nno\tc\nyes\td\n", plain);
  ASSERT_TRUE(clean.ok());
  EXPECT_TRUE(summarise_classes(*clean, plain).remarks.empty());
}

TEST_F(TaskTest, SetsOfATaskAgree) {
  const auto train = put("train.tsv", "a\tx\nb\ty\na\tz\nb\tw\n");
  const auto pairs = put("pairs.tsv", "a\tx\ty\n");
  EXPECT_TRUE(fails(read_task_files(train, pairs, std::nullopt), StatusCode::kMismatch, {"pairs.tsv", "two texts"}));
  EXPECT_TRUE(fails(read_task_files(train, train, pairs), StatusCode::kMismatch, {"pairs.tsv"}));
  const auto task = read_task_files(train, train, std::nullopt);
  ASSERT_TRUE(task.ok());
  EXPECT_EQ(task->name, "train");
  EXPECT_EQ(task->tests.size(), 1U);
}

TEST_F(TaskTest, NamedTasksCheckHeaderColumnsAndLabels) {
  for (const char* part : {"train", "dev", "test_labeled"}) {
    put(fmt::format("sst2/{}.tsv", part), "sentence\tlabel\ngood \t1\nbad \t0\n");
  }
  const auto task = read_named_task("sst2", folder());
  ASSERT_TRUE(task.ok()) << task.status().message();
  EXPECT_EQ(task->train.examples[0].label, 1);
  EXPECT_EQ(task->tests.size(), 2U);

  put("sst2/dev.tsv", "sentence\tlabel\n1\tgood\n");
  EXPECT_TRUE(fails(read_named_task("sst2", folder()), StatusCode::kMismatch, {"dev.tsv", "line 2", "\"good\""}));
  put("sst2/dev.tsv", "label\tsentence\n1\tgood\n");
  EXPECT_TRUE(fails(read_named_task("sst2", folder()), StatusCode::kBadData, {"line 1", "header"}));
  put("sst2/dev.tsv", "sentence\tlabel\n");
  EXPECT_TRUE(fails(read_named_task("sst2", folder()), StatusCode::kBadData, {"no example"}));
  EXPECT_TRUE(fails(read_named_task("snli", folder()), StatusCode::kIo, {"train_18k.tsv"}));
  EXPECT_TRUE(fails(read_named_task("cola", folder()), StatusCode::kInvalidArgument, {"cola", "sst2"}));
}

TEST_F(TaskTest, MnliLosesItsFinalStopsAndHoldsOutDev) {
  std::string lines = "premise\thypothesis\tlabel\n";
  for (int i = 0; i < 40; ++i) lines += fmt::format("p{} .\th{}.\tneutral\n", i, i);
  put("mnli/train_10k.tsv", lines);
  put("mnli/dev_matched.tsv", lines);
  const auto task = read_named_task("mnli", folder());
  ASSERT_TRUE(task.ok()) << task.status().message();
  EXPECT_EQ(task->train.examples.size(), 38U);
  EXPECT_EQ(task->dev.examples.size(), 2U);
  EXPECT_EQ(task->dev.examples[0].first, "p19");
  EXPECT_EQ(task->tests[0].examples.size(), 40U);
  EXPECT_EQ(task->tests[0].examples[7].second, "h7");
}

TEST(PairedDifferenceTest, IsTheDifferenceAndItsIntervalHoldsIt) {
  const std::vector<bool> first = {true, true, false, false, true, true, true, true};
  const std::vector<bool> second = {true, false, true, true, true, true, true, true};
  const PairedDifference d = paired_difference(first, second);
  EXPECT_DOUBLE_EQ(d.difference, 1.0 / 8);
  EXPECT_LT(d.low, d.difference);
  EXPECT_GT(d.high, d.difference);
  // Agresti and Min's formula by hand: centre 1 / 10, variance (3 + 1) / 10 - 0.01.
  EXPECT_NEAR(d.low, 0.1 - 1.959964 * std::sqrt((0.4 - 0.01) / 10), 1e-9);

  const PairedDifference none = paired_difference(first, first);
  EXPECT_EQ(none.difference, 0);
  EXPECT_LT(none.low, 0);  // no example differs, yet the accuracies need not be equal
  EXPECT_DOUBLE_EQ(none.low, -none.high);
}

}  // namespace
}  // namespace hccs
