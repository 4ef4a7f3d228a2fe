// SPDX-License-Identifier: Apache-2.0
#include "report/head_cards.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <string_view>

#include "report/head_chart.h"
#include "report/html.h"
#include "report/kl_charts.h"

namespace hccs::report {
namespace {

const HeadEntry& entry_of(const ReportedFile& file, int64_t place) {
  return file.params.entries[static_cast<size_t>(place)];
}

const HeadEvaluation* measured_of(const ReportedFile& file, int64_t place) {
  return file.measured ? &file.measured->heads[static_cast<size_t>(place)] : nullptr;
}

std::string title_of(const ReportedFile& file, int64_t place) {
  return fmt::format("Layer {}, head {}", place / file.params.heads, place % file.params.heads);
}

std::string chip_list(const ReportedFile& file, const std::function<std::string(const Deployment&)>& refusal) {
  std::string out = R"(<ul class="chips" aria-label="Where it runs">)";
  for (const Deployment& d : file.deployments) {
    const std::string no = refusal(d);
    out += no.empty() ? fmt::format(R"(<li class="yes">{}<span class="hidden">: yes</span></li>)", escaped(d.target))
                      : fmt::format(R"(<li title="{1}">{0}<span class="hidden">: no, {1}</span></li>)",
                                    escaped(d.target), escaped(no));
  }
  return out + "</ul>";
}

std::string kl_badge(double kl) { return fmt::format(R"(<p class="kl b{}">KL {}</p>)", kl_class(kl), kl_text(kl)); }

// s = B − S · min(d, D) − ...
std::string formula(const HeadParams& params) {
  std::string text = fmt::format("s = {}", params.offset);
  for (const Knee& knee : params.active_knees()) text += fmt::format(" − {}·min(d, {})", knee.slope, knee.position);
  return fmt::format(R"(<p class="formula">{}</p>)", text);
}

void add_item(std::string& list, std::string_view name, const std::string& value) {
  list += fmt::format("<dt>{}</dt><dd>{}</dd>", name, value);
}

std::string facts(const HeadEntry& entry, const HeadEvaluation* measured, int64_t length) {
  std::string list = "<dl>";
  if (measured != nullptr) {
    add_item(list, "KL, worst row", kl_text(measured->kl_worst));
    add_item(list, "KL in calibration", kl_text(entry.kl));
    add_item(list, "Top-1 agreement", percent(measured->top1_agreement));
    add_item(list, "Largest error of a probability", fmt::format("{:.3f}", measured->largest_error));
    add_item(list, "Largest probability, and softmax’s",
             fmt::format("{:.3f}, {:.3f}", measured->largest_probability, measured->largest_float_probability));
    add_item(list, "Rows", fmt::format("{}", measured->rows));
  } else {
    add_item(list, "KL before rounding to integers", kl_text(entry.kl_continuous));
    add_item(list, "Rows", fmt::format("{}", entry.rows));
  }
  add_item(list, fmt::format("Largest possible in a row of {}", length), fmt::format("{:.3f}", entry.max_probability));
  return list + "</dl>";
}

std::string plot_of(const ReportedFile& file, int64_t place, bool named) {
  const HeadEntry& entry = entry_of(file, place);
  const HeadEvaluation* measured = measured_of(file, place);
  std::string out = "<div>";
  if (named) {
    out += fmt::format(R"(<div class="head"><p><bdi>{}</bdi></p>{})", escaped(file.name), kl_badge(kl_of(file, place)));
    out += "</div>";
  }
  out += head_chart(fmt::format("{}{}: s/B over exp(-d * step)", title_of(file, place), named ? ", " + file.name : ""),
                    entry.params, entry.step,
                    measured != nullptr ? std::span<const int64_t>(measured->distances) : std::span<const int64_t>());
  out += formula(entry.params);
  if (entry.is_default) out += R"(<p class="soft">Could not be fitted: these are the default of all heads.</p>)";
  return out + facts(entry, measured, file.params.sequence_length) + chips(file, place) + "</div>";
}

std::string card(const Report& report, int64_t place) {
  const ReportedFile& first = report.files.front();
  const bool many = report.files.size() > 1;
  const int64_t heads = first.params.heads;
  std::string out = fmt::format(R"(<article class="card" id="{}"><div class="head"><h3>{}</h3>{}</div>)",
                                head_anchor(place / heads, place % heads), title_of(first, place),
                                many ? "" : kl_badge(kl_of(first, place)));
  out += R"(<div class="plots">)";
  for (const ReportedFile& file : report.files) out += plot_of(file, place, many);
  return out + "</div></article>\n";
}

}  // namespace

double kl_of(const ReportedFile& file, int64_t place) {
  const HeadEvaluation* measured = measured_of(file, place);
  return measured != nullptr ? measured->kl_mean : entry_of(file, place).kl;
}

std::vector<double> all_kl(const ReportedFile& file) {
  std::vector<double> all;
  for (int64_t i = 0; i < std::ssize(file.params.entries); ++i) all.push_back(kl_of(file, i));
  return all;
}

std::string chips(const ReportedFile& file) {
  return chip_list(file, [](const Deployment& d) {
    std::string text;
    for (const Breach& breach : breaches(d)) {
      text +=
          fmt::format("{}{} in {} of {} heads", text.empty() ? "" : ", ", breach.breach, breach.heads, d.heads.size());
    }
    return text;
  });
}

std::string chips(const ReportedFile& file, int64_t place) {
  return chip_list(file, [&](const Deployment& d) {
    const std::optional<BrokenRule>& broken = d.heads[static_cast<size_t>(place)];
    return broken ? broken->detail : std::string();
  });
}

std::string head_cards(const Report& report) {
  std::vector<double> worst(report.files.front().params.entries.size());
  for (size_t i = 0; i < worst.size(); ++i) {
    for (const ReportedFile& file : report.files) worst[i] = std::max(worst[i], kl_of(file, static_cast<int64_t>(i)));
  }
  std::vector<int64_t> order(worst.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return worst[static_cast<size_t>(a)] > worst[static_cast<size_t>(b)]; });
  std::string out;
  for (const int64_t place : order) out += card(report, place);
  return out;
}

std::string number_table(const ReportedFile& file) {
  std::string out =
      R"(<table class="numbers"><thead><tr><th scope="col">layer</th><th scope="col">head</th><th scope="col">B</th>)"
      R"(<th scope="col">F</th><th scope="col" class="knees">knees S@D</th><th scope="col">step</th>)"
      R"(<th scope="col">KL calibrated</th><th scope="col">rows</th><th scope="col">largest p possible</th>)";
  if (file.measured) {
    out += R"(<th scope="col">KL measured</th><th scope="col">worst row</th><th scope="col">top 1</th>)"
           R"(<th scope="col">largest error</th><th scope="col">largest p</th><th scope="col">rows</th>)";
  }
  out += "</tr></thead><tbody>\n";
  for (int64_t i = 0; i < std::ssize(file.params.entries); ++i) {
    const HeadEntry& e = entry_of(file, i);
    std::string knees;
    for (const Knee& knee : e.params.active_knees()) {
      knees += fmt::format("{}{}@{}", knees.empty() ? "" : " ", knee.slope, knee.position);
    }
    out += fmt::format(
        R"(<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class="knees">{}</td><td>{:.5g}</td><td>{:.5f}</td>)"
        R"(<td>{}</td><td>{:.4f}</td>)",
        i / file.params.heads, i % file.params.heads, e.params.offset, e.params.floor(), knees, e.step, e.kl, e.rows,
        e.max_probability);
    if (const HeadEvaluation* m = measured_of(file, i)) {
      out +=
          fmt::format("<td>{:.5f}</td><td>{:.5f}</td><td>{}</td><td>{:.4f}</td><td>{:.4f}</td><td>{}</td>", m->kl_mean,
                      m->kl_worst, percent(m->top1_agreement), m->largest_error, m->largest_probability, m->rows);
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table>";
}

}  // namespace hccs::report
