// SPDX-License-Identifier: Apache-2.0
#include "aie/export/template.h"

#include <gtest/gtest.h>

#include "aie/export/embedded.h"

namespace {

using aie_export::fill;
using aie_export::fill_template;
using aie_export::Marks;

TEST(ExportTemplate, MarksBecomeTheirValues) {
  const auto filled = fill("@A@, @B_C@@A@\n@EMPTY@end", Marks{{"A", "one"}, {"B_C", "two"}, {"EMPTY", ""}, {"D", "x"}});
  ASSERT_TRUE(filled.ok()) << filled.status().message();
  EXPECT_EQ(*filled, "one, twoone\nend");
}

TEST(ExportTemplate, MarksInValuesStay) {
  const auto filled = fill("@A@ @B@", Marks{{"A", "@B@"}, {"B", "@"}});
  ASSERT_TRUE(filled.ok());
  EXPECT_EQ(*filled, "@B@ @");
}

// As in Makefiles and addresses.
TEST(ExportTemplate, OtherSignsStandForThemselves) {
  const std::string text = "\t@mkdir -p $@\n\t@CC $@ -o@\n@ @@ @a@ someone@EXAMPLE.org @A";
  const auto filled = fill(text, Marks{{"A", "wrong"}});
  ASSERT_TRUE(filled.ok()) << filled.status().message();
  EXPECT_EQ(*filled, text);
}

TEST(ExportTemplate, MarkWithoutValue) {
  const auto filled = fill("@A@ @MISSING@", Marks{{"A", "one"}});
  ASSERT_FALSE(filled.ok());
  EXPECT_EQ(filled.status().code(), hccs::StatusCode::kInvalidArgument);
  EXPECT_NE(filled.status().message().find("@MISSING@"), std::string::npos) << filled.status().message();
}

TEST(ExportTemplate, Files) {
  const auto missing = fill_template("softmax/nothing", {});
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.status().message().find("softmax/nothing.in"), std::string::npos) << missing.status().message();
  const auto unfilled = fill_template("common/aie.cfg", Marks{{"STACK", "1"}});
  ASSERT_FALSE(unfilled.ok());
  EXPECT_NE(unfilled.status().message().find("common/aie.cfg.in: the mark @HEAP@"), std::string::npos)
      << unfilled.status().message();
  EXPECT_TRUE(fill_template("common/aie.cfg", Marks{{"STACK", "1"}, {"HEAP", "2"}}).ok());
}

// What is embedded are the files of the source tree.
TEST(ExportTemplate, Embedded) {
  size_t kernels = 0;
  size_t hosts = 0;
  for (const aie_export::EmbeddedFile& file : aie_export::sources()) {
    EXPECT_TRUE(file.text.starts_with("// SPDX-License-Identifier: Apache-2.0\n")) << file.path;
    EXPECT_TRUE(file.text.ends_with("\n")) << file.path;
    kernels += file.path.starts_with("kernels/") ? 1 : 0;
    hosts += file.path.starts_with("host/include/") ? 1 : 0;
  }
  EXPECT_GE(kernels, 5u);
  EXPECT_GE(hosts, 5u);
  for (const aie_export::EmbeddedFile& file : aie_export::templates()) {
    EXPECT_TRUE(file.path.ends_with(".in")) << file.path;
    EXPECT_FALSE(file.text.empty()) << file.path;
  }
}

}  // namespace
