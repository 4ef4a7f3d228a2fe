// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string_view>

#include "contract/exceptions.h"
#include "hccs/version.h"
#include "report/head_cards.h"
#include "report/html.h"
#include "report/kl_charts.h"
#include "report/report.h"
#include "report_page.h"   // kPage, of page.html.in
#include "report_style.h"  // kStyle, of style.css

namespace hccs {
namespace report {
namespace {

using Marks = std::map<std::string_view, std::string>;

// The page's text with each @NAME@ replaced by its value; what values hold is taken as it is.
std::string fill(std::string_view text, const Marks& marks) {
  std::string filled;
  while (true) {
    const size_t begin = text.find('@');
    const size_t end = begin == std::string_view::npos ? begin : text.find('@', begin + 1);
    if (end == std::string_view::npos) return filled.append(text);
    filled += text.substr(0, begin);
    filled += marks.at(text.substr(begin + 1, end - begin - 1));
    text.remove_prefix(end + 1);
  }
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::string models(const Report& report) {
  std::vector<std::string> names;
  for (const ReportedFile& file : report.files) {
    const std::string& name = file.params.model;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  std::string text;
  for (const std::string& name : names) {
    text += fmt::format("{}<bdi>{}</bdi>", text.empty() ? "" : ", ", name.empty() ? "A model" : escaped(name));
  }
  return text;
}

// The number that matters, in large type, and what belongs to the file as a whole.
std::string tile(const ReportedFile& file) {
  const ParamFile& p = file.params;
  const std::vector<double> kl = all_kl(file);
  const auto worst = std::max_element(kl.begin(), kl.end()) - kl.begin();
  const std::string anchor = head_anchor(worst / p.heads, worst % p.heads);
  std::string out = fmt::format(
      R"(<article class="tile"><h3><bdi>{}</bdi></h3><p class="big">{}</p><p class="unit">nats, mean KL to softmax{}</p>)",
      escaped(file.name), kl_text(mean(kl)), file.measured ? ", measured" : "");
  const auto item = [&](std::string_view name, const std::string& value) {
    out += fmt::format("<dt>{}</dt><dd>{}</dd>", name, value);
  };
  out += "<dl>";
  item("Worst head", fmt::format(R"(<a href="#{}">layer {}, head {}</a>: {})", anchor, worst / p.heads, worst % p.heads,
                                 kl_text(kl[static_cast<size_t>(worst)])));
  if (file.measured) {
    double calibrated = 0;
    for (const HeadEntry& e : p.entries) calibrated += e.kl / static_cast<double>(p.entries.size());
    item("Mean in calibration", kl_text(calibrated));
    item("Top-1 agreement", percent(file.measured->top1_agreement));
    item("Largest error of a probability", fmt::format("{:.3f}", file.measured->largest_error));
  }
  item("Knees, limits", fmt::format("{}, {}", p.knees, name(p.limits)));
  item("Parameters for each", p.share == Share::kGlobal ? "model" : std::string(name(p.share)));
  item("Longest row in calibration", fmt::format("{}", p.sequence_length));
  return out + "</dl>" + chips(file) + "</article>\n";
}

std::string tiles(const Report& report) {
  std::string out;
  for (const ReportedFile& file : report.files) out += tile(file);
  return out;
}

std::string lanes(const Report& report) {
  std::vector<Lane> all;
  for (const ReportedFile& file : report.files) all.push_back({file.name, all_kl(file)});
  return kl_lanes(all, report.files.front().params.heads);
}

std::string notes(const Report& report) {
  std::string out;
  for (const ReportedFile& file : report.files) {
    const auto defaults = std::count_if(file.params.entries.begin(), file.params.entries.end(),
                                        [](const HeadEntry& e) { return e.is_default; });
    if (defaults > 0) {
      out +=
          fmt::format(R"(<p class="note"><bdi>{}</bdi>: {} of {} heads could not be fitted and have the default.</p>)",
                      escaped(file.name), defaults, file.params.entries.size());
    }
    if (file.measured && !file.params.data_digest.empty() && file.measured->data_digest == file.params.data_digest) {
      out += fmt::format(
          R"(<p class="note"><bdi>{}</bdi> was calibrated on these very logits: measure on others to see what it does to )"
          R"(data that it has not seen.</p>)",
          escaped(file.name));
    }
  }
  return out;
}

// One cell of the table of targets: the answer, and how many heads break which rule.
std::string answer_cell(const Deployment& d, int64_t heads) {
  if (d.takes_all()) return R"(<td><span class="yes">Yes</span></td>)";
  std::string out = "<td>";
  for (const Breach& b : breaches(d)) {
    out += fmt::format(
        R"(<p><span class="no">No:</span> <b>{}</b> in {} of {} heads<br><span class="soft">layer {}, head {}: {}</span></p>)",
        escaped(b.breach), b.heads, d.heads.size(), b.first / heads, b.first % heads,
        escaped(d.heads[static_cast<size_t>(b.first)]->detail));
  }
  return out + "</td>";
}

std::string targets(const Report& report) {
  const auto& first = report.files.front().deployments;
  std::string out = fmt::format(
      R"(<div class="scroll" tabindex="0" role="region" aria-label="Where the files run"><table class="targets" )"
      R"(style="min-width:{}rem">)",
      6 + 14 * report.files.size());
  out += R"(<thead><tr><th scope="col">Target</th>)";
  for (const ReportedFile& file : report.files) {
    out += fmt::format(R"(<th scope="col"><bdi>{}</bdi></th>)", escaped(file.name));
  }
  out += "</tr></thead><tbody>\n";
  for (size_t t = 0; t < first.size(); ++t) {
    out += fmt::format(R"(<tr><th scope="row">{}</th>)", escaped(first[t].target));
    for (const ReportedFile& file : report.files) out += answer_cell(file.deployments[t], file.params.heads);
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>";
}

std::string maps(const Report& report) {
  std::string out;
  for (const ReportedFile& file : report.files) {
    out +=
        fmt::format(R"(<div class="panel"><h3><bdi>{}</bdi></h3><div class="scroll">{}</div></div>)",
                    escaped(file.name), kl_map("KL by layer and head: " + file.name, all_kl(file), file.params.heads));
  }
  return out;
}

std::string numbers(const Report& report) {
  std::string out;
  for (const ReportedFile& file : report.files) {
    out +=
        fmt::format(R"(<details><summary><bdi>{0}</bdi>: all {1} heads</summary>)"
                    R"(<div class="scroll" tabindex="0" role="region" aria-label="Numbers of {0}">{2}</div></details>)",
                    escaped(file.name), file.params.entries.size(), number_table(file));
  }
  return out;
}

std::string lede(const Report& report) {
  const ParamFile& p = report.files.front().params;
  const size_t files = report.files.size();
  std::string text = fmt::format(
      "{} layer{} of {} head{}{}. How close the integers of each head come to the exponential, and where they can "
      "run. ",
      p.layers, p.layers > 1 ? "s" : "", p.heads, p.heads > 1 ? "s" : "",
      files > 1 ? fmt::format(", {} parameter files", files) : "");
  text += report.logits.empty() ? "KL is that of the calibration."
                                : fmt::format("KL, errors and distances are measured on the logits in <bdi>{}</bdi>.",
                                              escaped(report.logits));
  return text;
}

Status check(const Report& report) {
  if (report.files.empty()) return {StatusCode::kInvalidArgument, "a report needs a parameter file"};
  const ReportedFile& first = report.files.front();
  for (const ReportedFile& file : report.files) {
    if (file.params.layers != first.params.layers || file.params.heads != first.params.heads) {
      return {
          StatusCode::kMismatch,
          fmt::format("{} has {} layers x {} heads, but {} has {} x {}: a report is of files of one shape", file.name,
                      file.params.layers, file.params.heads, first.name, first.params.layers, first.params.heads)};
    }
  }
  return {};
}

Marks marks_of(const Report& report) {
  const ReportedFile& first = report.files.front();
  const bool many = report.files.size() > 1;
  return {
      {"VERSION", kVersion},
      {"TITLE", fmt::format("hccs: {}", escaped(first.params.model))},
      {"STYLE", kStyle},
      {"HEADING", models(report)},
      {"LEDE", lede(report)},
      {"GLANCE", many ? "" : "beside"},
      {"FILES", tiles(report)},
      {"LANES", lanes(report)},
      {"NOTES", notes(report)},
      {"LENGTH", fmt::format("{}", report.length)},
      {"WHERE", targets(report)},
      {"LEGEND", kl_legend()},
      {"MAP_UNIT", first.params.heads <= 16 ? ", in thousandths of a nat" : ""},
      {"MAPS", maps(report)},
      {"BARS_KEY", first.measured
                       ? "<li><svg viewBox=\"0 0 28 12\" aria-hidden=\"true\"><path class=\"bars\" "
                         "d=\"M2 12V7H8V12M10 12V2H16V12M18 12V5H24V12\"/></svg>how many positions are at that "
                         "distance</li>\n"
                       : ""},
      {"MANY", many ? " many" : ""},
      {"HEADS", head_cards(report)},
      {"NUMBERS", numbers(report)},
  };
}

}  // namespace
}  // namespace report

Expected<std::string> report_page(const Report& report) try {
  HCCS_RETURN_IF_ERROR(report::check(report));
  return report::fill(kPage, report::marks_of(report));
} catch (...) {
  return internal::status_of_exception("report");
}

}  // namespace hccs
