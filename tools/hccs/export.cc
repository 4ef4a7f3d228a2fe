// SPDX-License-Identifier: Apache-2.0
//
// hccs export: a Vitis project of a row softmax graph, or of a head's attention. What the project's files say is in
// aie_project.cc and aie_attention_project.cc.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <system_error>
#include <utility>

#include "aie_project.h"
#include "command.h"
#include "console.h"
#include "hccs/deployability.h"
#include "hccs/file.h"
#include "hccs/npy.h"
#include "hccs/param_file.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string target;
  fs::path params;
  int64_t layer = -1;
  std::vector<int64_t> heads;
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
  int64_t blocks = 4;
  uint64_t seed = 1;
  fs::path output;
};

std::string usage_error(const Options& o, const CLI::App& app) {
  if (o.kernel == "attention") {
    for (const char* option : {"--normalisation", "--output", "--tiles", "--memory-tile", "--logits", "--masks"}) {
      if (app.count(option) > 0) return fmt::format("{} does not go with --kernel attention", option);
    }
    if (o.heads.size() != 1) return "--kernel attention serves one --head";
    return {};
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

AieDevice device(const Options& o) { return o.device == "vek385" ? AieDevice::kVek385 : AieDevice::kVek280; }

// Masks of each block: the first shows all, the others are drawn.
std::vector<BlockMask> draw_masks(const Options& o, int64_t blocks, std::mt19937_64& random) {
  const auto n = static_cast<int32_t>(o.length);
  std::vector<BlockMask> masks(blocks, {.valid_length = n, .causal_offset = n});
  for (size_t block = 1; block < masks.size(); ++block) {
    masks[block].valid_length = static_cast<int32_t>(random() % (n + 1));
    masks[block].causal_offset = static_cast<int32_t>(random() % (n + 1)) - 1;
  }
  return masks;
}

Expected<AieProject> make_project(const Options& o, const ParamFile& file) {
  AieProject project;
  project.model = file.model;
  project.layer = o.layer;
  project.length = o.length;
  project.tile_rows = o.rows / o.tiles;
  project.tiles = o.tiles;
  project.memory_tile = o.memory_tile;
  project.normalisation = *parse_normalisation(o.normalisation);
  project.output = *parse_output_type(o.output_type);
  project.device = device(o);
  project.kernel = *parse_aie_kernel(o.kernel);
  project.masked = o.masks == "length";
  for (const int64_t head : o.heads) {
    HCCS_RETURN_IF_ERROR(check_head(o, file, head));
    const HeadParams& params = file.at(o.layer, head).params;
    const AieRows rows = project.masked ? AieRows::kMasked : AieRows::kFull;
    HCCS_RETURN_IF_ERROR(check_aie(params, o.length, rows, head_name(o.layer, head)));
    project.heads.push_back({head, params});
  }
  HCCS_RETURN_IF_ERROR(check(project));
  return project;
}

// int8 [heads, rows of all blocks, n].
Status set_logits(const Options& o, AieProject& project) {
  const auto heads = static_cast<int64_t>(project.heads.size());
  if (o.logits.empty()) {
    project.blocks = o.blocks;
    project.logits_origin = fmt::format("random, seed {}", o.seed);
    std::mt19937_64 random(o.seed);
    project.logits.resize(static_cast<size_t>(heads * o.blocks * o.rows * o.length));
    // Logits of several widths around several centres, so that every part of the heads' curves is met.
    for (size_t row = 0; row < project.logits.size() / o.length; ++row) {
      const int centre = static_cast<int>(random() % 256) - 128;
      const int width = 1 + static_cast<int>(random() % 128);
      for (int64_t i = 0; i < o.length; ++i) {
        const int x = centre + static_cast<int>(random() % (2 * width + 1)) - width;
        project.logits[row * o.length + i] = static_cast<int8_t>(std::clamp(x, -128, 127));
      }
    }
    return {};
  }
  HCCS_ASSIGN_OR_RETURN(const NpyArray array, read_npy(o.logits));
  const std::vector<int64_t>& shape = array.shape;
  const bool one_head = heads == 1 && shape.size() == 2;
  const int64_t rows = shape.size() >= 2 ? shape[shape.size() - 2] : 0;
  if (array.type != NpyType::kInt8 || !(one_head || (shape.size() == 3 && shape[0] == heads)) ||
      shape.back() != o.length || rows == 0 || rows % o.rows != 0) {
    std::string text;
    for (const int64_t extent : shape) text += fmt::format("{}{}", text.empty() ? "" : ", ", extent);
    return {StatusCode::kMismatch,
            fmt::format("{}: {} [{}], but logits are int8 [{}, rows, {}] with rows a multiple of --rows {}",
                        o.logits.string(), name(array.type), text, heads, o.length, o.rows)};
  }
  project.blocks = rows / o.rows;
  project.logits_origin = o.logits.filename().string();
  const auto values = array.as<int8_t>();
  project.logits.assign(values.begin(), values.end());
  return {};
}

Expected<AieAttentionProject> make_attention_project(const Options& o, const ParamFile& file) {
  const int64_t head = o.heads.front();
  HCCS_RETURN_IF_ERROR(check_head(o, file, head));
  const HeadEntry& entry = file.at(o.layer, head);
  HCCS_RETURN_IF_ERROR(validate(entry.params, head_name(o.layer, head)));
  AieAttentionProject project{.model = file.model,
                              .layer = o.layer,
                              .head = {head, entry.params},
                              .step = entry.step,
                              .head_dimension = file.head_dimension,
                              .length = o.length,
                              .rows = o.rows,
                              .device = device(o),
                              .blocks = o.blocks};
  HCCS_RETURN_IF_ERROR(check(project));
  return project;
}

// Random q, k and v, and rescales that spread the products of a row over what the knees tell apart.
void set_matrices(const Options& o, AieAttentionProject& project) {
  project.origin = fmt::format("random, seed {}", o.seed);
  std::mt19937_64 random(o.seed);
  const auto between = [&](int64_t least, int64_t most) {
    return least + static_cast<int64_t>(random() % static_cast<uint64_t>(most - least + 1));
  };
  const auto draw = [&](int64_t rows) {
    std::vector<int8_t> matrix(rows * project.head_dimension);
    for (int8_t& x : matrix) x = static_cast<int8_t>(between(-128, 127));
    return matrix;
  };
  project.q = draw(project.blocks * project.rows);
  project.k = draw(project.blocks * project.length);
  project.v = draw(project.blocks * project.length);
  // Products of such vectors have a standard deviation of 5461 * sqrt(head dimension).
  const double spread = 4 * 5461.0 * std::sqrt(static_cast<double>(project.head_dimension));
  for (int64_t i = 0; i < project.blocks * project.rows; ++i) {
    Rescale rescale{static_cast<int32_t>(between(1 << 14, (1 << 15) - 1)), 0};
    const auto units = static_cast<double>(between(30, 400));  // that the spread is to be
    while (spread * rescale.multiplier > std::ldexp(units, rescale.shift)) ++rescale.shift;
    project.rescales.push_back(rescale);
  }
  project.masks = draw_masks(o, project.blocks, random);
}

// A folder that goes with its files unless it took its final name.
class TemporaryFolder {
 public:
  static Expected<TemporaryFolder> create(const fs::path& final_path) {
    const fs::path parent = final_path.has_parent_path() ? final_path.parent_path() : fs::path(".");
    std::string pattern = (parent / ".hccs-export-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      return Status(StatusCode::kIo, fmt::format("{}: cannot make a folder beside it: {}", final_path.string(),
                                                 std::generic_category().message(errno)));
    }
    std::error_code error;
    fs::permissions(pattern,
                    fs::perms::others_read | fs::perms::others_exec | fs::perms::group_read | fs::perms::group_exec,
                    fs::perm_options::add, error);
    return TemporaryFolder(pattern);
  }
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code error;
    if (!path_.empty()) fs::remove_all(path_, error);
  }

  const fs::path& path() const { return path_; }
  Status rename_to(const fs::path& final_path) {
    std::error_code error;
    fs::rename(path_, final_path, error);
    if (error) return {StatusCode::kIo, fmt::format("{}: cannot write: {}", final_path.string(), error.message())};
    path_.clear();
    return {};
  }

 private:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

Status refuse_existing(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) return {};
  return {StatusCode::kInvalidArgument, fmt::format("{}: exists already; export writes a new folder", path.string())};
}

// The project's files, and its blocks.
Expected<std::pair<std::vector<ProjectFile>, int64_t>> make_files(const Options& o, const ParamFile& params) {
  if (o.kernel == "attention") {
    HCCS_ASSIGN_OR_RETURN(AieAttentionProject project, make_attention_project(o, params));
    set_matrices(o, project);
    HCCS_ASSIGN_OR_RETURN(std::vector<ProjectFile> files, project_files(project));
    return std::pair(std::move(files), project.blocks);
  }
  HCCS_ASSIGN_OR_RETURN(AieProject project, make_project(o, params));
  HCCS_RETURN_IF_ERROR(set_logits(o, project));
  if (project.masked) {
    std::mt19937_64 random(o.seed + 1);
    project.masks = draw_masks(o, project.blocks, random);
  }
  HCCS_ASSIGN_OR_RETURN(std::vector<ProjectFile> files, project_files(project));
  return std::pair(std::move(files), project.blocks);
}

Status run(const Options& o) {
  // "project/" names the same folder as "project".
  const fs::path output = o.output.has_filename() ? o.output : o.output.parent_path();
  HCCS_RETURN_IF_ERROR(refuse_existing(output));
  HCCS_ASSIGN_OR_RETURN(const ParamFile params, read_param_file(o.params));
  HCCS_ASSIGN_OR_RETURN(const auto contents, make_files(o, params));
  const auto& [files, blocks] = contents;
  HCCS_ASSIGN_OR_RETURN(TemporaryFolder folder, TemporaryFolder::create(output));
  for (const ProjectFile& file : files) {
    if (interrupted()) return {StatusCode::kCancelled, "interrupted"};
    const fs::path path = folder.path() / file.path;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) return {StatusCode::kIo, fmt::format("{}: {}", path.parent_path().string(), error.message())};
    HCCS_RETURN_IF_ERROR(write_file_atomically(path, {file.text}));
  }
  HCCS_RETURN_IF_ERROR(refuse_existing(output));
  HCCS_RETURN_IF_ERROR(folder.rename_to(output));
  fmt::print(stderr, "wrote {}: {} files, {} blocks of {} rows of {} for {} {}; next: make -C {} host\n",
             output.string(), files.size(), blocks, o.rows, o.length, o.heads.size(),
             o.heads.size() == 1 ? "head" : "heads", output.string());
  return {};
}

}  // namespace

Command add_export(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("export", "Write a Vitis project: row softmax, or attention, on AI Engines");
  app->add_option("--target", o->target, "what to export for")->check(CLI::IsMember({"aie"}))->required();
  app->add_option("--params", o->params, "parameter file")->required();
  app->add_option("--layer", o->layer, "whose heads")->check(CLI::NonNegativeNumber)->required();
  app->add_option("--head", o->heads, "one or more, served by each tile")->check(CLI::NonNegativeNumber)->required();
  app->add_option("--length", o->length, "row length n")->check(CLI::Range(int64_t{1}, kMaxRowLength))->required();
  app->add_option("--rows", o->rows, "rows of a head in a block, on all tiles together; queries of attention")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}))
      ->required();
  app->add_option("--normalisation", o->normalisation, "how scores become probabilities")
      ->check(CLI::IsMember({"div", "clb", "scaled"}))
      ->capture_default_str();
  app->add_option("--output,--output-type", o->output_type, "the probabilities' type")
      ->check(CLI::IsMember({"uint8", "int16"}))
      ->capture_default_str();
  app->add_option("--device", o->device, "board, and with it the tiles: AIE-ML or AIE-ML v2")
      ->check(CLI::IsMember({"vek280", "vek385"}))
      ->capture_default_str();
  app->add_option("--kernel", o->kernel, "docs/ai-engine.md says which for what")
      ->transform(earlier_kernel_names())
      ->check(CLI::IsMember({"rows", "tiles", "paper_rows", "attention"}))
      ->capture_default_str();
  app->add_option("--tiles", o->tiles, "tiles that share the rows")
      ->check(CLI::Range(int64_t{1}, int64_t{16}))
      ->capture_default_str();
  app->add_flag("--memory-tile", o->memory_tile, "one input and one output for all tiles, through a memory tile");
  app->add_option("--masks", o->masks, "length: a valid length and a causal offset as run-time parameters, on one tile")
      ->transform(CLI::Transformer(std::map<std::string, std::string>{{"limits", "length"}}))  // its earlier name
      ->check(CLI::IsMember({"none", "length"}))
      ->capture_default_str();
  app->add_option("--logits", o->logits, "inputs of the test: int8 .npy [heads, rows of all blocks, n]");
  app->add_option("--blocks", o->blocks, "without --logits: blocks of random inputs")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}))
      ->capture_default_str();
  app->add_option("--seed", o->seed, "of the random inputs")->capture_default_str();
  app->add_option("-o,--out", o->output, "folder to write; must not exist")->required();
  app->footer(
      "Example:\n  hccs export --target aie --params params.json --layer 0 --head 3 --length 128 --rows 16 -o project");
  return {.app = app, .usage_error = [o, app] { return usage_error(*o, *app); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
