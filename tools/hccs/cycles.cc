// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "aie/cycles/feed.h"
#include "aie/cycles/print.h"
#include "aie/traces/traces.h"
#include "command.h"
#include "console.h"
#include "hccs/file.h"
#include "hccs/param_file.h"
#include "json_option.h"

namespace hccs::tool {
namespace {

using aie_cycles::Device;
using aie_cycles::Piece;
using aie_cycles::Slot;

struct Options {
  std::string kernel = "rows", device, arch, mode, output, mask = "none", heads = "paper";
  std::filesystem::path params;
  int64_t n = 0, rows = 0, knees = -1, head_dimension = 0, layer = -1, head = -1;
  bool schedule = false;
  JsonOption json;
  std::filesystem::path svg;
};

Status wrong(std::string_view option, const std::string& value, std::string_view rule) {
  return {StatusCode::kInvalidArgument, fmt::format("--{} '{}': {}", option, value, rule)};
}

std::string usage_error(const Options& o) {
  if (o.json.on_stdout() && o.schedule) return "--schedule prints text: not with --json";
  if (o.device.empty() == o.arch.empty()) return "exactly one of --device and --arch is needed";
  if (o.params.empty() && (o.layer >= 0 || o.head >= 0)) return "--layer and --head go with --params";
  if (!o.params.empty() && (o.layer < 0 || o.head < 0)) return "--params needs --layer and --head";
  if (!o.params.empty() && o.knees >= 0) return "--knees goes without --params: the head has its own";
  return {};
}

Expected<Device> device_of(const Options& o) {
  if (o.device == "vek280" || o.device == "npu1") return Device::kAieMl;
  if (o.device == "vek385") return Device::kAieMlV2;
  if (o.device == "npu2") return Device::kXdna2;
  if (o.arch == "20" || o.arch == name(Device::kAieMl)) return Device::kAieMl;
  if (o.arch == "22" || o.arch == name(Device::kAieMlV2)) return Device::kAieMlV2;
  if (o.arch == "21" || o.arch == name(Device::kXdna2)) return Device::kXdna2;
  return wrong("arch", o.arch, "20 or aie-ml, 21 or xdna2, 22 or aie-ml-v2");
}

// The head of --params, if that is given.
Status set_head(const Options& o, aie_traces::Call& call) {
  if (o.params.empty()) return {};
  HCCS_ASSIGN_OR_RETURN(const ParamFile file, read_param_file(o.params));
  if (o.layer >= file.layers || o.head >= file.heads) {
    return {StatusCode::kInvalidArgument,
            fmt::format("{}, but {} has {} layers of {} heads", head_name(o.layer, o.head), o.params.string(),
                        file.layers, file.heads)};
  }
  call.head = file.at(o.layer, o.head).params;
  call.knees = static_cast<unsigned>(call.head->knee_count);
  if (file.head_dimension > 0 && o.head_dimension == 0)
    call.head_dimension = static_cast<unsigned>(file.head_dimension);
  return {};
}

// What --normalisation names, or the kernel's usual one: for a head of a parameter file that of `hccs export`.
Expected<aie_traces::Mode> mode_of(const Options& o, const aie_traces::Call& call) {
  using aie_traces::Mode;
  if (!o.mode.empty()) {
    const auto mode = aie_traces::parse_mode(o.mode);
    if (!mode) return wrong("normalisation", o.mode, "div, clb or scaled; deferred; tables, exp2 or bits");
    return *mode;
  }
  if (call.kernel == aie_traces::Kernel::kAttention) return Mode::kDeferred;
  if (call.kernel == aie_traces::Kernel::kExpBf16) {
    return call.device == Device::kAieMl ? Mode::kTables : Mode::kExp2;
  }
  return call.head && call.kernel != aie_traces::Kernel::kPaperRows ? Mode::kScaled : Mode::kClb;
}

// Options that are not given take what the kernel has, or its usual choice.
Expected<aie_traces::Call> call_of(const Options& o) {
  using aie_traces::Kernel;
  aie_traces::Call call;
  const auto kernel = aie_traces::parse_kernel(o.kernel);
  if (!kernel) return wrong("kernel", o.kernel, "paper_rows, rows, tiles, attention or exp_bf16");
  call.kernel = *kernel;
  HCCS_ASSIGN_OR_RETURN(call.device, device_of(o));
  const bool exponential = call.kernel == Kernel::kExpBf16;
  call.knees = static_cast<unsigned>(o.knees >= 0 ? o.knees : exponential ? 0 : 1);
  if (o.head_dimension > 0) call.head_dimension = static_cast<unsigned>(o.head_dimension);
  HCCS_RETURN_IF_ERROR(set_head(o, call));
  HCCS_ASSIGN_OR_RETURN(call.mode, mode_of(o, call));
  call.output = exponential                         ? aie_traces::Output::kBf16
                : call.kernel == Kernel::kAttention ? aie_traces::Output::kInt8
                                                    : aie_traces::Output::kUint8;
  if (!o.output.empty()) {
    const auto output = aie_traces::parse_output(o.output);
    if (!output) return wrong("output", o.output, "uint8 or int16; int8 (attention); bf16 (exp_bf16)");
    call.output = *output;
  }
  const auto mask = aie_traces::parse_mask(o.mask);
  if (!mask) return wrong("mask", o.mask, "none, length, causal or bits");
  call.mask = *mask;
  const auto heads = aie_traces::parse_heads(o.heads);
  if (!heads) return wrong("heads", o.heads, "paper, masked or native");
  call.heads = *heads;
  call.n = static_cast<unsigned>(o.n);
  call.rows = o.rows > 0 ? static_cast<unsigned>(o.rows) : aie_traces::usual_rows(call.n);
  HCCS_RETURN_IF_ERROR(aie_traces::validate(call));
  return call;
}

// Instructions of a pass, by slot.
std::string slots_text(const Piece& piece) {
  std::string text;
  std::array<long, aie_cycles::kSlotCount> count{};
  for (const aie_cycles::Placement& placement : piece.schedule.placements)
    ++count[static_cast<unsigned>(placement.slot)];
  for (unsigned s = 0; s < aie_cycles::kSlotCount; ++s) text += fmt::format("{:>5}", count[s]);
  return text;
}

double occupancy(const aie_cycles::CallCost& cost, unsigned slot) {
  return 100.0 * static_cast<double>(cost.slot_use[slot]) / static_cast<double>(cost.cycles);
}

void print_text(const aie_traces::Call& call, const aie_traces::Cost& cost, bool schedule) {
  const aie_cycles::CallCost& core = cost.core;
  const HeadParams head = aie_traces::head_of(call);
  print("{} {} {}, {} rows of n = {}, mask {}, {}: results verified\n", name(call.kernel), name(call.mode),
        name(call.output), call.rows, call.n, name(call.mask), name(call.device));
  if (call.knees > 0) {
    print("head               B = {}", head.offset);
    for (const Knee& knee : head.active_knees()) print(", {}@{}", knee.slope, knee.position);
    print("\n");
  }
  print("cycles             {} a call, {:.1f} a row, {:.2f} per 64 elements\n", core.cycles, cost.cycles_per_row,
        cost.cycles_per_64);
  print("throughput         {:.2f} Gelem/s a tile at 1.25 GHz, {:.2f} with its feed ({})\n", cost.gelem_per_s,
        cost.fed_gelem_per_s, name(cost.fed.binding));
  print("occupancy         ");
  for (unsigned s = 0; s < aie_cycles::kSlotCount; ++s) {
    print(" {} {:.0f} %", aie_cycles::name(static_cast<Slot>(s)), occupancy(core, s));
  }
  print("\nprogram            {} bytes of {}\n", core.program_bytes, aie_cycles::Machine::kProgramBytes);
  print("spills             {}\n", core.spills);
  const double shared = aie_cycles::expected_conflicts(cost.accesses, cost.traffic, static_cast<double>(core.cycles),
                                                       {{0, 0}, {0, 0}, 0}, call.device);
  print(
      "bank conflicts     0 as the graphs place buffers, {:.0f} cycles if all shared a bank; bundles with two loads "
      "{}\n\n",
      shared, aie_cycles::paired_loads(core));
  print("{:<42} {:>6} {:>7} {:>8} {:>4} {:>6} {:>6} {:<17} {:>4} {:>4} {:>4} ", "piece", "times", "passes", "cycles",
        "II", "length", "stages", "binding", "vec", "acc", "scl");
  for (unsigned s = 0; s < aie_cycles::kSlotCount; ++s) print("{:>5}", aie_cycles::name(static_cast<Slot>(s)));
  print("\n");
  for (const Piece& p : core.pieces) {
    const aie_cycles::Schedule& s = p.schedule;
    print("{:<42} {:>6} {:>7} {:>8} {:>4} {:>6} {:>6} {:<17} {:>4} {:>4} {:>4} {}\n", p.name, p.times, p.passes,
          p.cycles, s.interval == 0 ? "-" : std::to_string(s.interval), s.length, s.stages,
          p.is_loop ? s.bounds.binding : "", s.live[0], s.live[1], s.live[2], slots_text(p));
  }
  print(
      "\nbinding: what bounds II from below; in brackets why it is above that, see docs/cycle-model.md.\n"
      "vec, acc, scl: registers live at once, of 256, 512 and 32 bits. Slots: instructions of a pass.\n");
  if (!schedule) return;
  for (const Piece& p : core.pieces) print("\n{}\n{}", p.name, aie_cycles::bundle_table(p, call.device));
}

nlohmann::ordered_json to_json(const aie_traces::Call& call, const aie_traces::Cost& cost) {
  const aie_cycles::CallCost& core = cost.core;
  const Piece* hottest = core.hottest();
  nlohmann::ordered_json out = {{"kernel", name(call.kernel)},
                                {"arch", name(call.device)},
                                {"mode", name(call.mode)},
                                {"output", name(call.output)},
                                {"knees", call.knees},
                                {"mask", name(call.mask)},
                                {"n", call.n},
                                {"rows", call.rows},
                                {"heads", call.head ? "of a parameter file" : name(call.heads)},
                                {"cycles", core.cycles},
                                {"cycles_per_row", cost.cycles_per_row},
                                {"cycles_per_64", cost.cycles_per_64},
                                {"hottest", hottest == nullptr ? "" : hottest->name},
                                {"gelem_per_s_per_tile_at_1250mhz", cost.gelem_per_s},
                                {"fed_gelem_per_s_per_tile", cost.fed_gelem_per_s},
                                {"fed_binding", name(cost.fed.binding)},
                                {"program_bytes", core.program_bytes},
                                {"spills", core.spills},
                                {"paired_loads", aie_cycles::paired_loads(core)}};
  for (unsigned s = 0; s < aie_cycles::kSlotCount; ++s) {
    out["occupancy_percent"][std::string(aie_cycles::name(static_cast<Slot>(s)))] = occupancy(core, s);
  }
  for (const Piece& p : core.pieces) {
    const aie_cycles::Schedule& s = p.schedule;
    nlohmann::ordered_json slots;
    for (unsigned i = 0; i < aie_cycles::kSlotCount; ++i)
      slots[std::string(aie_cycles::name(static_cast<Slot>(i)))] = 0;
    for (const aie_cycles::Placement& placement : s.placements) {
      auto& count = slots[std::string(aie_cycles::name(placement.slot))];
      count = count.get<int>() + 1;
    }
    out["pieces"].push_back({{"name", p.name},
                             {"loop", p.is_loop},
                             {"times", p.times},
                             {"passes", p.passes},
                             {"cycles", p.cycles},
                             {"ii", s.interval},
                             {"length", s.length},
                             {"stages", s.stages},
                             {"resource_bound", s.bounds.resource},
                             {"recurrence_bound", s.bounds.recurrence},
                             {"binding", p.is_loop ? s.bounds.binding : ""},
                             {"live", {{"vector", s.live[0]}, {"accumulator", s.live[1]}, {"scalar", s.live[2]}}},
                             {"spills", s.spills},
                             {"slots", slots}});
  }
  return out;
}

// The loop that takes most of the time.
const Piece* hottest_loop(const aie_cycles::CallCost& cost) {
  const Piece* hottest = nullptr;
  for (const Piece& p : cost.pieces) {
    if (p.is_loop && (hottest == nullptr || p.cycles > hottest->cycles)) hottest = &p;
  }
  return hottest;
}

Status write_svg(const aie_cycles::CallCost& cost, Device device, const std::filesystem::path& path) {
  const Piece* loop = hottest_loop(cost);
  if (loop == nullptr) return {StatusCode::kUnsupported, "--svg: the call has no loop that a compiler could pipeline"};
  HCCS_RETURN_IF_ERROR(write_file_atomically(path, {aie_cycles::loop_svg(*loop, device)}));
  message("{}: {}\n", path.string(), loop->name);
  return {};
}

Status run(const Options& o) {
  const Inputs inputs{.files = {o.params}};
  if (!o.svg.empty()) HCCS_RETURN_IF_ERROR(check_output(o.svg, inputs));
  HCCS_RETURN_IF_ERROR(o.json.check(inputs, o.svg));
  HCCS_ASSIGN_OR_RETURN(const aie_traces::Call call, call_of(o));
  HCCS_ASSIGN_OR_RETURN(const aie_traces::Cost cost, aie_traces::cost(call));
  if (!o.svg.empty()) HCCS_RETURN_IF_ERROR(write_svg(cost.core, call.device, o.svg));
  if (!o.json.on_stdout()) print_text(call, cost, o.schedule);
  return o.json.write(to_json(call, cost));
}

}  // namespace

Command add_cycles(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app =
      root.add_subcommand("cycles", "Model what an AI Engine kernel costs (no AMD tool; see docs/cycle-model.md)");
  app->add_option("--kernel", o->kernel, "paper_rows, rows, tiles, attention or exp_bf16")
      ->transform(earlier_kernel_names())
      ->capture_default_str();
  app->add_option("--n,--length", o->n, "row length; keys of attention")
      ->required()
      ->check(CLI::Range(int64_t{1}, int64_t{8192}));
  app->add_option("--device", o->device, "board or NPU: vek280 and npu1 have AIE-ML, vek385 AIE-ML v2, npu2 XDNA 2")
      ->check(CLI::IsMember({"vek280", "vek385", "npu1", "npu2"}));
  app->add_option("--arch", o->arch, "in place of --device: 20 (aie-ml), 21 (xdna2) or 22 (aie-ml-v2)");
  app->add_option("--params", o->params,
                  "parameter file whose head the kernel serves, with the defaults of hccs export");
  app->add_option("--layer", o->layer, "of that head")->check(CLI::Range(int64_t{0}, kMaxHeads - 1));
  app->add_option("--head", o->head, "its number in the layer")->check(CLI::Range(int64_t{0}, kMaxHeads - 1));
  app->add_option("--rows", o->rows, "rows of a call (default: 64, from n = 512 on 32)")->check(CLI::Range(1, 1024));
  app->add_option("--normalisation", o->mode,
                  "div, clb or scaled (default: clb, with --params scaled); exp_bf16: tables, exp2 or bits");
  app->add_option("--output,--output-type", o->output, "uint8 or int16 (default: uint8)");
  app->add_option("--knees", o->knees, "K, 1..4 (default: 1)")->check(CLI::Range(0, 4));
  app->add_option("--mask,--masks", o->mask, "none, length, causal or bits")
      ->transform(earlier_mask_names())
      ->capture_default_str();
  app->add_option(
         "--heads", o->heads,
         "without --params: paper (n*B <= 32767), masked (also B >= 256, as under a mask) or native (B = 4690)")
      ->capture_default_str();
  app->add_option("--head-dimension", o->head_dimension,
                  "of attention: 32 or 64 (default: 32, with --params the file's)");
  app->add_flag("--schedule", o->schedule, "print the bundles of every piece");
  app->add_option("--svg", o->svg, "draw the loop that takes most of the time into this file");
  o->json.add_to(*app, "the same");
  app->footer(
      "Example:\n  hccs cycles --params params.json --layer 0 --head 3 --length 128 --device vek280\n  hccs cycles "
      "--kernel rows --n "
      "128 --arch 20 --schedule");
  return {.app = app, .usage_error = [o] { return usage_error(*o); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
