// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "console.h"
#include "hccs/deployability.h"
#include "hccs/param_file.h"
#include "json_option.h"

namespace hccs::tool {
namespace {

struct Options {
  std::filesystem::path file;
  int64_t length = 0;
  JsonOption json;
};

// How many heads a predicate refuses, and what it says of them.
struct Verdict {
  std::vector<std::string> reasons;  // one a head that it refuses
  std::string summary(size_t heads) const {
    return reasons.empty() ? fmt::format("yes, all {} heads", heads)
                           : fmt::format("no, {} of {} heads", reasons.size(), heads);
  }
};

struct Verdicts {
  Verdict paper, aie, aie_masked;
};

void print_table(const ParamFile& file, int64_t n, const Verdicts& verdicts) {
  print("model            {}\nheads            {} layers x {}, head dimension {}\n", file.model, file.layers,
        file.heads, file.head_dimension == 0 ? "unknown" : std::to_string(file.head_dimension));
  print("calibration      K = {}, limits {}, share {}, seed {}, longest row {}, data {}\n\n", file.knees,
        name(file.limits), name(file.share), file.seed, file.sequence_length, file.data_digest);
  print("{:>5} {:>4} {:>6} {:>6}  {:<30} {:>9} {:>9} {:>6} {:>9}\n", "layer", "head", "B", "F", "knees S@D", "step",
        "KL", "rows", "max prob");
  for (int64_t i = 0; i < static_cast<int64_t>(file.entries.size()); ++i) {
    const HeadEntry& e = file.entries[i];
    std::string knees;
    for (const Knee& knee : e.params.active_knees())
      knees += fmt::format("{}{}@{}", knees.empty() ? "" : " ", knee.slope, knee.position);
    print("{:>5} {:>4} {:>6} {:>6}  {:<30} {:>9.5f} {:>9.5f} {:>6} {:>9.4f}{}\n", i / file.heads, i % file.heads,
          e.params.offset, e.params.floor(), knees, e.step, e.kl, e.rows, e.max_probability,
          e.is_default ? "  default" : "");
  }
  const auto print_verdict = [&](std::string_view predicate, std::string_view rows, const Verdict& verdict) {
    print("\ndeployable ({}), {} {}: {}\n", predicate, rows, n, verdict.summary(file.entries.size()));
    for (const std::string& reason : verdict.reasons) print("  {}\n", reason);
  };
  print_verdict("paper", "rows of", verdicts.paper);
  print_verdict("aie", "rows of", verdicts.aie);
  print_verdict("aie", "masked rows of up to", verdicts.aie_masked);
}

nlohmann::ordered_json to_json(const ParamFile& file, int64_t n, const Verdicts& verdicts) {
  nlohmann::ordered_json out = {{"model", file.model},
                                {"layers", file.layers},
                                {"heads", file.heads},
                                {"head_dimension", file.head_dimension},
                                {"sequence_length", file.sequence_length},
                                {"knees", file.knees},
                                {"limits", name(file.limits)},
                                {"share", name(file.share)},
                                {"seed", file.seed},
                                {"data_digest", file.data_digest}};
  for (int64_t i = 0; i < static_cast<int64_t>(file.entries.size()); ++i) {
    const HeadEntry& e = file.entries[i];
    nlohmann::ordered_json knees = nlohmann::ordered_json::array();
    for (const Knee& knee : e.params.active_knees()) knees.push_back({knee.slope, knee.position});
    out["parameters"].push_back({{"layer", i / file.heads},
                                 {"head", i % file.heads},
                                 {"B", e.params.offset},
                                 {"F", e.params.floor()},
                                 {"knees", knees},
                                 {"step", e.step},
                                 {"kl", e.kl},
                                 {"kl_continuous", e.kl_continuous},
                                 {"rows", e.rows},
                                 {"max_probability", e.max_probability},
                                 {"default", e.is_default}});
  }
  const auto json = [](const Verdict& v) {
    return nlohmann::ordered_json{{"deployable", v.reasons.empty()}, {"reasons", v.reasons}};
  };
  out["deployable"] = {{"length", n},
                       {"paper", json(verdicts.paper)},
                       {"aie", json(verdicts.aie)},
                       {"aie_masked", json(verdicts.aie_masked)}};
  return out;
}

Status run(const Options& o) {
  HCCS_RETURN_IF_ERROR(o.json.check(o.file));
  HCCS_ASSIGN_OR_RETURN(const ParamFile file, read_param_file(o.file));
  const int64_t n = o.length > 0 ? o.length : file.sequence_length;
  Verdicts verdicts;
  for (int64_t layer = 0; layer < file.layers; ++layer) {
    for (int64_t head = 0; head < file.heads; ++head) {
      const HeadParams& params = file.at(layer, head).params;
      const std::string name = head_name(layer, head);
      const auto add = [](const Status& s, Verdict* to) {
        if (!s.ok()) to->reasons.push_back(s.message());
      };
      add(check_paper(params, n, name), &verdicts.paper);
      add(check_aie(params, n, AieRows::kFull, name), &verdicts.aie);
      add(check_aie(params, n, AieRows::kMasked, name), &verdicts.aie_masked);
    }
  }
  if (!o.json.on_stdout()) print_table(file, n, verdicts);
  return o.json.write(to_json(file, n, verdicts));
}

}  // namespace

Command add_inspect(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("inspect", "Show a parameter file, and where it can be deployed");
  app->add_option("file", o->file, "parameter file")->required();
  app->add_option("--length", o->length, "row length n for the deployability rules (default: the longest calibrated)")
      ->check(CLI::Range(int64_t{1}, kMaxRowLength));
  o->json.add_to(*app, "the same");
  app->footer("Example:\n  hccs inspect build/demo/params-k3.json --length 128");
  return {.app = app, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
