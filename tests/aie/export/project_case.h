// SPDX-License-Identifier: Apache-2.0
//
// Projects that the tests of aie/export change, and what they ask of files.
#ifndef HCCS_TESTS_AIE_EXPORT_PROJECT_CASE_H_
#define HCCS_TESTS_AIE_EXPORT_PROJECT_CASE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "../../formats/temporary_folder.h"
#include "aie/export/attention_project.h"
#include "aie/export/softmax_project.h"
#include "aie/export/test_data.h"

namespace aie_export {

inline const hccs::HeadParams kOneKnee(300, {{4, 60}});
inline const hccs::HeadParams kThreeKnees(20000, {{100, 10}, {50, 30}, {3, 90}});

inline SoftmaxProject softmax_project() {
  SoftmaxProject project;
  project.model = "a model";
  project.heads = {{1, kThreeKnees}, {3, kOneKnee}};
  project.length = 45;
  project.tile_rows = 5;
  return project;
}

inline SoftmaxProject with_data(SoftmaxProject project, int64_t blocks = 2) {
  draw_logits(blocks, 7, project);
  draw_masks(7, project);
  return project;
}

inline AttentionProject attention_project() {
  AttentionProject project;
  project.heads = {{2, kThreeKnees, .25}};
  project.head_dimension = 32;
  project.length = 21;
  project.rows = 11;
  return project;
}

// The text of a file; a failure of the test if there is no such file.
inline std::string text_of(const std::vector<ProjectFile>& files, const std::string& path) {
  const auto file = std::find_if(files.begin(), files.end(), [&](const ProjectFile& f) { return f.path == path; });
  EXPECT_NE(file, files.end()) << path;
  return file == files.end() ? "" : file->text;
}

inline std::vector<int> numbers(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<int>(stream), {}};
}

// Every file once, and no mark is left.
inline void expect_complete(const std::vector<ProjectFile>& files, const std::vector<std::string>& paths) {
  const std::regex mark("@[A-Z_]+@");
  std::set<std::string> seen;
  for (const ProjectFile& file : files) {
    EXPECT_TRUE(seen.insert(file.path).second) << file.path << " is there twice";
    const bool filled = !file.path.starts_with("host/") && !file.path.starts_with("data/");
    EXPECT_FALSE(filled && std::regex_search(file.text, mark)) << file.path << " has a mark";
  }
  for (const std::string& path : paths) EXPECT_TRUE(seen.contains(path)) << path;
}

inline void expect_refused(const hccs::Status& status, const std::vector<std::string>& parts) {
  EXPECT_TRUE(hccs::test::fails(status, hccs::StatusCode::kInvalidArgument, parts));
}

inline SoftmaxProject of_heads(int64_t heads, int64_t length, int64_t rows) {
  SoftmaxProject project = softmax_project();
  project.heads.assign(heads, {0, kThreeKnees});
  for (int64_t h = 0; h < heads; ++h) project.heads[h].number = h;
  project.length = length;
  project.tile_rows = rows;
  return project;
}

inline AttentionProject attention_of_heads(int64_t heads, int64_t length, int64_t rows) {
  AttentionProject project = attention_project();
  project.heads.assign(heads, {0, kThreeKnees, .25});
  for (int64_t h = 0; h < heads; ++h) project.heads[h] = {h, h % 2 == 0 ? kThreeKnees : kOneKnee, .25};
  project.length = length;
  project.rows = rows;
  return project;
}

}  // namespace aie_export

#endif  // HCCS_TESTS_AIE_EXPORT_PROJECT_CASE_H_
