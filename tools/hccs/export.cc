// SPDX-License-Identifier: Apache-2.0
//
// hccs export: a project of row softmax, or of attention, for Vitis or IRON; directives for aie4ml; parameters as a C
// header. What the first three consist of is in aie/export.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "aie/export/aie4ml_directives.h"
#include "aie/export/attention_project.h"
#include "aie/export/onnx_nodes.h"
#include "aie/export/softmax_project.h"
#include "aie/export/test_data.h"
#include "aie/export/write_project.h"
#include "command.h"
#include "console.h"
#include "export_header.h"
#include "hccs/file.h"
#include "hccs/param_file.h"
#include "json_option.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;
using aie_export::Aie4mlDirectives;
using aie_export::AttentionProject;
using aie_export::ExportedHead;
using aie_export::ProjectFile;
using aie_export::SoftmaxProject;

struct Options {
  std::string target;
  fs::path params;
  int64_t layer = -1;
  std::vector<std::string> head_texts;  // numbers, or "all"
  std::vector<int64_t> heads;           // of the numbers
  int64_t tile_heads = 0;
  std::string vitis = "2025.2";
  int64_t length = 0;
  int64_t rows = 0;
  std::string normalisation = "scaled";
  std::string output_type = "uint8";
  std::string device = "vek280";
  std::string kernel = "rows";
  int64_t tiles = 1;
  bool memory_tile = false;
  std::string masks = "none";
  fs::path logits;
  aie_export::AttentionFiles attention;
  int64_t blocks = 4;
  uint64_t seed = 1;
  std::string nodes;
  fs::path onnx;
  std::string layout = "tiled";
  ParamHeaderOptions header;
  fs::path output;
  JsonOption json;
};

bool all_heads(const Options& o) { return !o.head_texts.empty() && o.head_texts.front() == "all"; }

// What is wrong with a text that is no head.
std::string head_text_error(const std::string& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return text == "all" || (whole && number >= 0) ? ""
                                                 : fmt::format("'{}' is no head: a number from 0 on, or all", text);
}

// Of --target aie4ml, which asks for other options than the projects of this repository's kernels.
std::string aie4ml_usage_error(const Options& o, const CLI::App& app) {
  if (o.nodes.empty()) return "--target aie4ml needs --nodes";
  for (const char* option :
       {"--rows", "--device", "--kernel", "--tiles", "--memory-tile", "--masks", "--logits", "--blocks", "--seed",
        "--heads-per-tile", "--vitis", "--query", "--key", "--value", "--product-scale"}) {
    if (app.count(option) > 0) return fmt::format("{} does not go with --target aie4ml", option);
  }
  if (o.layer < 0 && !o.heads.empty()) return "--head goes with --layer";
  return {};
}

// Which devices a target has, and the options that are Vitis's alone.
std::string device_error(const Options& o, const CLI::App& app) {
  const bool iron = o.target == "iron";
  if (iron && app.count("--device") == 0) return "--target iron needs --device: npu1 or npu2";
  if (aie_export::is_npu(*aie_export::parse_device(o.device)) != iron) {
    return fmt::format("--target {} is for the devices {}, not {}", o.target,
                       iron ? "npu1 and npu2" : "vek280 and vek385", o.device);
  }
  for (const char* option : {"--vitis", "--memory-tile"}) {
    if (iron && app.count(option) > 0) return fmt::format("{} does not go with --target iron", option);
  }
  return {};
}

// Reads the numbers of the heads.
std::string usage_error(Options& o, const CLI::App& app) {
  if (o.head_texts.size() > 1 && std::ranges::count(o.head_texts, "all") > 0)
    return "--head all goes with no other head";
  if (!all_heads(o)) {
    for (const std::string& text : o.head_texts) o.heads.push_back(std::stoll(text));
  }
  if (o.target == "header") return header_usage_error(app);
  if (app.count("--name") > 0) return "--name goes with --target header";
  if (app.count("--length") == 0) return fmt::format("--target {} needs --length", o.target);
  if (o.target == "aie4ml") return aie4ml_usage_error(o, app);
  for (const char* option : {"--nodes", "--layout", "--onnx"}) {
    if (app.count(option) > 0) return fmt::format("{} goes with --target aie4ml", option);
  }
  for (const char* option : {"--layer", "--head", "--rows"}) {
    if (app.count(option) == 0) return fmt::format("--target {} needs {}", o.target, option);
  }
  if (std::string error = device_error(o, app); !error.empty()) return error;
  if (!all_heads(o) && app.count("--heads-per-tile") > 0) return "--heads-per-tile goes with --head all";
  if (o.kernel == "attention") {
    for (const char* option : {"--normalisation", "--output", "--tiles", "--memory-tile", "--masks"}) {
      if (app.count(option) > 0) return fmt::format("{} does not go with --kernel attention", option);
    }
    if (app.count("--logits") > 0) {
      for (const char* option : {"--query", "--key", "--product-scale"}) {
        if (app.count(option) > 0)
          return fmt::format("{} does not go with --logits, which q and k are made of", option);
      }
      return {};
    }
    const auto given = [&](const char* option) { return app.count(option) > 0; };
    const int files = given("--query") + given("--key") + given("--value") + given("--product-scale");
    if (files != 0 && files != 4) return "--query, --key, --value and --product-scale go together";
    return {};
  }
  for (const char* option : {"--query", "--key", "--value", "--product-scale"}) {
    if (app.count(option) > 0) return fmt::format("{} goes with --kernel attention", option);
  }
  if (all_heads(o)) {
    for (const char* option : {"--tiles", "--memory-tile"}) {
      if (app.count(option) > 0)
        return fmt::format("{} does not go with --head all, whose tiles share the heads", option);
    }
  }
  if (o.memory_tile && o.tiles < 2) return "--memory-tile goes with --tiles 2 or more";
  if (o.rows % o.tiles != 0) return fmt::format("--rows {} is no multiple of --tiles {}", o.rows, o.tiles);
  return {};
}

Status check_head(const Options& o, const ParamFile& file, int64_t head) {
  if (o.layer < file.layers && head < file.heads) return {};
  return {StatusCode::kInvalidArgument, fmt::format("{}, but {} has {} layers of {} heads", head_name(o.layer, head),
                                                    o.params.string(), file.layers, file.heads)};
}

// Those that the options name.
Expected<std::vector<ExportedHead>> exported_heads(const Options& o, const ParamFile& file) {
  std::vector<int64_t> numbers = o.heads;
  if (all_heads(o)) {
    numbers.resize(file.heads);
    std::iota(numbers.begin(), numbers.end(), 0);
  }
  std::vector<ExportedHead> heads;
  for (const int64_t number : numbers) {
    HCCS_RETURN_IF_ERROR(check_head(o, file, number));
    const HeadEntry& entry = file.at(o.layer, number);
    heads.push_back({number, entry.params, entry.step});
  }
  return heads;
}

Expected<SoftmaxProject> make_project(const Options& o, const ParamFile& file) {
  SoftmaxProject project;
  project.model = file.model;
  project.layer = o.layer;
  HCCS_ASSIGN_OR_RETURN(project.heads, exported_heads(o, file));
  project.length = o.length;
  project.tile_rows = o.rows / o.tiles;
  project.tiles = o.tiles;
  project.memory_tile = o.memory_tile;
  project.normalisation = *parse_normalisation(o.normalisation);
  project.output = *parse_output_type(o.output_type);
  project.device = *aie_export::parse_device(o.device);
  project.vitis = *aie_export::parse_vitis(o.vitis);
  project.head_dimension = file.head_dimension;
  project.kernel = *aie_export::parse_kernel(o.kernel);
  project.mask = o.masks == "length" ? MaskKind::kLength : MaskKind::kNone;
  if (all_heads(o)) HCCS_RETURN_IF_ERROR(split_heads(o.tile_heads, project));
  HCCS_RETURN_IF_ERROR(check(project));
  if (o.logits.empty()) {
    aie_export::draw_logits(o.blocks, o.seed, project);
  } else {
    HCCS_RETURN_IF_ERROR(aie_export::read_logits(o.logits, project));
  }
  aie_export::draw_masks(o.seed, project);
  return project;
}

Expected<AttentionProject> make_attention_project(const Options& o, const ParamFile& file) {
  AttentionProject project;
  project.model = file.model;
  project.layer = o.layer;
  HCCS_ASSIGN_OR_RETURN(project.heads, exported_heads(o, file));
  project.head_dimension = file.head_dimension;
  project.length = o.length;
  project.rows = o.rows;
  project.device = *aie_export::parse_device(o.device);
  project.vitis = *aie_export::parse_vitis(o.vitis);
  if (all_heads(o)) HCCS_RETURN_IF_ERROR(split_heads(o.tile_heads, project));
  HCCS_RETURN_IF_ERROR(check(project));
  if (!o.logits.empty()) {
    HCCS_RETURN_IF_ERROR(aie_export::read_attention_logits(o.logits, o.attention.v, o.seed, project));
  } else if (o.attention.q.empty()) {
    aie_export::draw_attention(o.blocks, o.seed, project);
  } else {
    HCCS_RETURN_IF_ERROR(aie_export::read_attention(o.attention, o.seed, project));
  }
  return project;
}

// All layers and heads that the options do not narrow down.
Expected<Aie4mlDirectives> make_directives(const Options& o, const CLI::App& app, const ParamFile& file) {
  Aie4mlDirectives directives{.model = file.model, .length = o.length, .nodes = o.nodes, .tiled = o.layout == "tiled"};
  if (app.count("--normalisation") > 0) directives.normalisation = *parse_normalisation(o.normalisation);
  directives.output = *parse_output_type(o.output_type);
  const auto add = [&](int64_t layer, int64_t head) {
    const HeadEntry& entry = file.at(layer, head);
    directives.heads.push_back({layer, head, entry.params, entry.step});
  };
  for (const int64_t head : o.heads) {
    HCCS_RETURN_IF_ERROR(check_head(o, file, head));
    add(o.layer, head);
  }
  if (o.heads.empty()) HCCS_RETURN_IF_ERROR(check_head(o, file, 0));
  for (int64_t layer = 0; o.heads.empty() && layer < file.layers; ++layer) {
    for (int64_t head = 0; (o.layer < 0 || o.layer == layer) && head < file.heads; ++head) add(layer, head);
  }
  return directives;
}

Status write(std::span<const ProjectFile> files, const fs::path& output) {
  return aie_export::write_project(files, output, [](int64_t, int64_t) { return !interrupted(); });
}

Status run_aie4ml(const Options& o, const CLI::App& app, const ParamFile& params, const fs::path& output) {
  HCCS_ASSIGN_OR_RETURN(const Aie4mlDirectives directives, make_directives(o, app, params));
  std::vector<std::string> others;
  if (!o.onnx.empty()) {
    HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> nodes, aie_export::read_softmax_nodes(o.onnx));
    HCCS_ASSIGN_OR_RETURN(others, check_nodes(directives, nodes, o.onnx.string()));
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<ProjectFile> files, directive_files(directives));
  HCCS_RETURN_IF_ERROR(write(files, output));
  if (!others.empty()) {
    message("{} other Softmax node(s) of {} stay exponentials, such as \"{}\"\n", others.size(), o.onnx.string(),
            aie_export::plain(others.front()));
  }
  message("wrote {}: directives and scales of {} Softmax nodes of rows of {}\n", output.string(),
          directives.heads.size(), o.length);
  return o.json.write({{"output", output.string()},
                       {"target", o.target},
                       {"files", files.size()},
                       {"nodes", directives.heads.size()},
                       {"length", o.length}});
}

struct Contents {
  std::vector<ProjectFile> files;
  int64_t blocks = 0;
  int64_t heads = 1;
  int64_t tiles = 1;
};

Expected<Contents> make_contents(const Options& o, const ParamFile& params) {
  Contents contents;
  if (o.kernel == "attention") {
    HCCS_ASSIGN_OR_RETURN(const AttentionProject project, make_attention_project(o, params));
    HCCS_ASSIGN_OR_RETURN(contents.files, project_files(project));
    contents.blocks = project.blocks;
    contents.heads = std::ssize(project.heads);
    contents.tiles = project.tiles;
  } else {
    HCCS_ASSIGN_OR_RETURN(const SoftmaxProject project, make_project(o, params));
    HCCS_ASSIGN_OR_RETURN(contents.files, project_files(project));
    contents.blocks = project.blocks;
    contents.heads = std::ssize(project.heads);
    contents.tiles = project.tiles;
  }
  return contents;
}

Status run_header(const Options& o) {
  ParamHeaderOptions header = o.header;
  if (o.layer >= 0) header.layer = o.layer;
  header.heads = o.heads;
  return export_header(o.params, header, o.output, o.json);
}

Status run(const Options& o, const CLI::App& app) {
  if (o.target == "header") return run_header(o);
  // "project/" names the same folder as "project".
  const fs::path output = o.output.has_filename() ? o.output : o.output.parent_path();
  HCCS_RETURN_IF_ERROR(check_absent(output));
  HCCS_RETURN_IF_ERROR(
      o.json.check({.files = {o.params, o.logits, o.attention.q, o.attention.k, o.attention.v, o.onnx}}));
  HCCS_ASSIGN_OR_RETURN(const ParamFile params, read_param_file(o.params));
  if (o.target == "aie4ml") return run_aie4ml(o, app, params, output);
  HCCS_ASSIGN_OR_RETURN(const Contents contents, make_contents(o, params));
  HCCS_RETURN_IF_ERROR(write(contents.files, output));
  message("wrote {}: {} files, {} blocks of {} rows of {} for {} {} on {} {}; next: make -C {} host\n", output.string(),
          contents.files.size(), contents.blocks, o.rows, o.length, contents.heads,
          contents.heads == 1 ? "head" : "heads", contents.tiles, contents.tiles == 1 ? "tile" : "tiles",
          output.string());
  return o.json.write({{"output", output.string()},
                       {"target", o.target},
                       {"files", contents.files.size()},
                       {"kernel", o.kernel},
                       {"device", o.device},
                       {"blocks", contents.blocks},
                       {"rows", o.rows},
                       {"length", o.length},
                       {"heads", contents.heads},
                       {"tiles", contents.tiles}});
}

}  // namespace

Command add_export(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand(
      "export",
      "Write a project for Vitis or IRON: row softmax, or attention, on AI Engines; directives for aie4ml; or "
      "parameters as a C header");
  app->add_option(
         "--target", o->target,
         "aie: a Vitis project. iron: one for IRON (mlir-aie) and Ryzen AI. aie4ml: directives and scales for the "
         "Softmax nodes of an ONNX model. header: the parameters as tables for C and C++")
      ->check(CLI::IsMember({"aie", "iron", "aie4ml", "header"}))
      ->required();
  app->add_option("--params", o->params, "parameter file")->required();
  app->add_option("--layer", o->layer, "whose heads (aie4ml, header: default all)")
      ->check(CLI::Range(int64_t{0}, kMaxHeads - 1));
  app->add_option("--head", o->head_texts,
                  "one or more, served by each tile; all: the layer's, dealt to as many tiles as they need (aie4ml, "
                  "header: default all)")
      ->check(CLI::Validator(head_text_error, ""));
  app->add_option("--heads-per-tile", o->tile_heads, "with --head all: default as many as have room on a tile")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}));
  app->add_option("--length", o->length, "row length n (needed by all but header)")
      ->check(CLI::Range(int64_t{1}, kMaxRowLength));
  app->add_option("--rows", o->rows, "rows of a head in a block, on all tiles together; queries of attention")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}));
  app->add_option("--normalisation", o->normalisation, "how scores become probabilities (aie4ml: default clb)")
      ->check(CLI::IsMember({"div", "clb", "scaled"}))
      ->capture_default_str();
  app->add_option("--output,--output-type", o->output_type, "the probabilities' type")
      ->check(CLI::IsMember({"uint8", "int16"}))
      ->capture_default_str();
  app->add_option("--device", o->device,
                  "board, and with it the tiles: AIE-ML or AIE-ML v2; iron: npu1 (Phoenix) or npu2 (Strix)")
      ->check(CLI::IsMember({"vek280", "vek385", "npu1", "npu2"}))
      ->capture_default_str();
  app->add_option("--vitis", o->vitis, "release, which decides the platform's name")
      ->check(CLI::IsMember({"2025.2", "2026.1"}))
      ->capture_default_str();
  app->add_option("--kernel", o->kernel, "docs/ai-engine.md says which for what")
      ->transform(earlier_kernel_names())
      ->check(CLI::IsMember({"rows", "tiles", "paper_rows", "attention"}))
      ->capture_default_str();
  app->add_option("--tiles", o->tiles, "tiles that share the rows")
      ->check(CLI::Range(int64_t{1}, most_tiles(aie_export::Device::kNpu2)))
      ->capture_default_str();
  app->add_flag("--memory-tile", o->memory_tile, "one input and one output for all tiles, through a memory tile");
  app->add_option("--masks", o->masks, "length: a valid length and a causal offset as run-time parameters, on one tile")
      ->transform(earlier_mask_names())
      ->check(CLI::IsMember({"none", "length"}))
      ->capture_default_str();
  app->add_option("--logits", o->logits,
                  "inputs of the test: int8 .npy [heads, rows of all blocks, n]; attention: q and k that make them");
  app->add_option("--query", o->attention.q,
                  "attention: q of the test, int8 .npy [heads, rows of all blocks, head dimension]");
  app->add_option("--key", o->attention.k, "attention: k, int8 .npy [heads, n of all blocks, head dimension]");
  app->add_option("--value", o->attention.v, "attention: v, likewise; also with --logits (else drawn)");
  app->add_option("--product-scale", o->attention.scales, "attention: q's scale times k's, of all heads or of each");
  app->add_option("--blocks", o->blocks, "without --logits or --query: blocks of random inputs")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}))
      ->capture_default_str();
  app->add_option("--seed", o->seed, "of the random inputs")->check(unsigned_number())->capture_default_str();
  app->add_option("--nodes", o->nodes,
                  "aie4ml: name of each head's Softmax node, such as layer{layer}_head{head}_softmax");
  app->add_option("--onnx", o->onnx, "aie4ml: the ONNX model, which must have each of these nodes once");
  app->add_option("--layout", o->layout, "aie4ml: of logits and probabilities")
      ->check(CLI::IsMember({"tiled", "linear"}))
      ->capture_default_str();
  app->add_option("--name", o->header.name, "header: what every name in it begins with")->capture_default_str();
  app->add_option("-o,--out", o->output, "folder to write; must not exist. header: a file, or a folder for NAME.h")
      ->required();
  o->json.add_to(*app, "what was written");
  app->footer(
      "Example:\n  hccs export --target aie --params params.json --layer 0 --head 3 --length 128 --rows 16 -o "
      "project\n  "
      "hccs export --target iron --device npu2 --params params.json --layer 0 --head all --length 128 --rows 16 -o "
      "design\n  "
      "hccs export --target aie4ml --params params.json --length 64 --nodes 'layer{layer}_head{head}_softmax' -o out\n"
      "  hccs export --target header --params params.json -o hccs_params.h");
  return {
      .app = app, .usage_error = [o, app] { return usage_error(*o, *app); }, .run = [o, app] { return run(*o, *app); }};
}

}  // namespace hccs::tool
