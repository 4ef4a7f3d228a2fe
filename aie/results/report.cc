// SPDX-License-Identifier: Apache-2.0
#include "aie/results/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "aie/results/plot.h"

namespace aie_results {
namespace {

using aie_cycles::Array;
using aie_cycles::Device;
using aie_traces::Call;
using aie_traces::DrawnMask;
using aie_traces::kBitMask;
using aie_traces::kCausalMask;
using aie_traces::Kernel;
using aie_traces::kLengthMask;
using aie_traces::kNoMask;
using aie_traces::Mode;
using aie_traces::Output;

constexpr Device kDevices[] = {Device::kAieMl, Device::kAieMlV2};
constexpr unsigned kGoalLengths[] = {32, 64, 128, 512};

std::string_view title(Device device) { return device == Device::kAieMl ? "AIE-ML" : "AIE-ML v2"; }

using Table = std::vector<std::vector<std::string>>;  // the first line is the header

// Columns padded, so that an editor and a Markdown renderer both show a table.
std::string render(const Table& lines) {
  std::vector<std::size_t> width(lines.front().size());
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) width[i] = std::max(width[i], line[i].size());
  }
  std::string text;
  const auto add = [&](const std::vector<std::string>& line) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      text += i == 0 ? fmt::format("| {:<{}} |", line[i], width[i]) : fmt::format(" {:>{}} |", line[i], width[i]);
    }
    text += "\n";
  };
  add(lines.front());
  for (std::size_t i = 0; i < width.size(); ++i) {
    text += i == 0 ? "|" + std::string(width[i] + 2, '-') + "|" : std::string(width[i] + 1, '-') + ":|";
  }
  text += "\n";
  for (std::size_t i = 1; i < lines.size(); ++i) add(lines[i]);
  return text;
}

std::string number(std::optional<double> x, int digits = 2) { return x ? fmt::format("{:.{}f}", *x, digits) : "-"; }

std::optional<double> per_64(const std::vector<Row>& rows, const Call& call) {
  const Row* row = find(rows, call);
  return row == nullptr ? std::nullopt : std::optional<double>(row->cycles_per_64);
}

Call exponential(Device device, unsigned n, bool native) {
  const Mode mode = !native ? Mode::kBits : device == Device::kAieMl ? Mode::kTables : Mode::kExp2;
  return {.kernel = Kernel::kExpBf16, .device = device, .mode = mode, .output = Output::kBf16, .knees = 0, .n = n};
}

// ---- Sections ------------------------------------------------------------------------------------------------------

std::string validation(const Results& results) {
  Table table{{"kernel", "n", "published G/s", "cycles per 64", "model", "error"}};
  double worst_clb = 0;
  double worst_div = 0;
  for (const Device device : kDevices) {
    for (const bool clb : {true, false}) {
      for (const PublishedCell& cell : published()) {
        if (cell.device != device) continue;
        const Row* row = find(results.rows, {.kernel = Kernel::kPaperRows,
                                             .device = device,
                                             .mode = clb ? Mode::kClb : Mode::kDiv,
                                             .output = clb ? Output::kUint8 : Output::kInt16,
                                             .n = cell.n});
        if (row == nullptr) continue;
        double& worst = clb ? worst_clb : worst_div;
        worst = std::max(worst, std::abs(row->error_percent().value_or(0)));
        table.push_back({fmt::format("{} {}", title(device), clb ? "clb, uint8" : "div, int16"), std::to_string(cell.n),
                         number(clb ? cell.clb : cell.div), number(row->published_cycles_per_64),
                         number(row->cycles_per_64), fmt::format("{:+.1f} %", row->error_percent().value_or(0))});
      }
    }
  }
  return fmt::format(
             "## Does the model reproduce what is published?\n\n"
             "`paper_rows` is the paper's kernel, written from its public source. Published: 10^9 elements a second of "
             "one tile, from AMD's\n"
             "simulator, read as cycles at 1.25 GHz (the paper states no clock). The farthest of the six clb cells is "
             "off by {:.1f} % (tolerance of the\n"
             "tests: 10 %), of the six div cells by {:.1f} % (15 %). Two choices were fitted to this table: the cost "
             "of a divide, and from which size on\n"
             "a compiler no longer overlaps rows ([cycle-model.md](../cycle-model.md)). So the table confirms slots "
             "and latencies; it does not test\n"
             "these two.\n\n",
             worst_clb, worst_div) +
         render(table) + "\n";
}

std::string goals(const Results& results) {
  struct Goal {
    Device device;
    Kernel kernel;
    double cycles[4];
  };
  constexpr Goal kGoals[] = {{Device::kAieMl, Kernel::kRows, {14, 11, 8, 6.5}},
                             {Device::kAieMl, Kernel::kTiles, {8, 8, 8, 8}},
                             {Device::kAieMlV2, Kernel::kRows, {12, 9, 6.5, 5}},
                             {Device::kAieMlV2, Kernel::kTiles, {5, 5, 5, 5}}};
  Table table{{"clb, uint8, K = 1"}};
  for (const unsigned n : kGoalLengths) {
    table[0].push_back(fmt::format("goal n = {}", n));
    table[0].push_back("model");
  }
  table[0].push_back("reached");
  for (const Goal& goal : kGoals) {
    std::vector<std::string> line{fmt::format("{} `{}`", title(goal.device), name(goal.kernel))};
    unsigned reached = 0;
    for (unsigned i = 0; i < 4; ++i) {
      const auto cycles = per_64(results.rows, {.kernel = goal.kernel, .device = goal.device, .n = kGoalLengths[i]});
      line.push_back(number(goal.cycles[i], 1));
      line.push_back(number(cycles));
      if (cycles && *cycles <= goal.cycles[i]) ++reached;
    }
    line.push_back(fmt::format("{} of 4", reached));
    table.push_back(std::move(line));
    std::vector<std::string> waiting{"... if two loads never share a bundle"};
    for (const unsigned n : kGoalLengths) {
      const Row* row = find(results.rows, {.kernel = goal.kernel, .device = goal.device, .n = n});
      waiting.push_back("");
      waiting.push_back(row == nullptr ? "-" : "<= " + number(row->cycles_per_64 + row->paired_loads_per_64));
    }
    waiting.push_back("");
    table.push_back(std::move(waiting));
  }
  return "## Against the goals\n\nCycles per 64 elements, everything counted but the feed; below is better. Published "
         "`clb` for scale: AIE-ML 58.8 / 36.5 / 36.7, v2\n"
         "54.8 / 32.5 / 36.2 at n = 32 / 64 / 128. Two loads of a bundle from one buffer meet in one bank and cost a "
         "cycle "
         "more, unless the buffer is\nspread over banks; the goals and the model grant them, the second lines do not. "
         "Where a goal is missed, `hccs cycles --schedule` prints the\nbundles and what binds each loop.\n\n" +
         render(table) + "\n";
}

std::string features(const Results& results) {
  std::string text =
      "## What modes, knees and masks cost\n\nCycles per 64 elements, uint8. Goals: `scaled` within 1.25 of `clb`; "
      "each further knee at most +1.5; causal and length masks at most\n"
      "+1. A masked head has B >= 256 (the kernels' rule), at n >= 256 more than the paper's limit gives it: there a "
      "mask's cost is that beside the same\nhead without one.\n\n";
  for (const Device device : kDevices) {
    for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles}) {
      Table table{{fmt::format("{} `{}`", title(device), name(kernel)), "n = 32", "64", "128", "256", "512"}};
      const auto line = [&](std::string label, auto value, int digits = 2) {
        std::vector<std::string> cells{std::move(label)};
        for (const unsigned n : kRowLengths) cells.push_back(number(value(n), digits));
        table.push_back(std::move(cells));
      };
      const auto of = [&](unsigned n, Mode mode, unsigned knees = 1, DrawnMask mask = kNoMask,
                          Output output = Output::kUint8) {
        return per_64(
            results.rows,
            {.kernel = kernel, .device = device, .mode = mode, .output = output, .knees = knees, .mask = mask, .n = n});
      };
      const auto difference = [](std::optional<double> a, std::optional<double> b) {
        return a && b ? std::optional<double>(*a - *b) : std::nullopt;
      };
      const auto ratio = [](std::optional<double> a, std::optional<double> b) {
        return a && b ? std::optional<double>(*a / *b) : std::nullopt;
      };
      line("clb", [&](unsigned n) { return of(n, Mode::kClb); });
      line("scaled", [&](unsigned n) { return of(n, Mode::kScaled); });
      line("... times clb (goal 1.25)", [&](unsigned n) { return ratio(of(n, Mode::kScaled), of(n, Mode::kClb)); });
      line("div", [&](unsigned n) { return of(n, Mode::kDiv); });
      line("clb, int16", [&](unsigned n) { return of(n, Mode::kClb, 1, kNoMask, Output::kInt16); });
      line("scaled, int16", [&](unsigned n) { return of(n, Mode::kScaled, 1, kNoMask, Output::kInt16); });
      for (const Mode mode : {Mode::kClb, Mode::kScaled}) {
        for (unsigned knees = 2; knees <= 4; ++knees) {
          line(fmt::format("{}: knee {} adds (goal 1.5)", name(mode), knees),
               [&](unsigned n) { return difference(of(n, mode, knees), of(n, mode, knees - 1)); });
        }
        for (const DrawnMask mask : {kLengthMask, kCausalMask, kBitMask}) {
          line(fmt::format("{}: mask {} adds{}", name(mode), name(mask), mask == kBitMask ? "" : " (goal 1)"),
               [&](unsigned n) {
                 const auto same_head = per_64(
                     results.masked_heads,
                     {.kernel = kernel, .device = device, .mode = mode, .n = n, .heads = aie_traces::Heads::kMasked});
                 return difference(of(n, mode, 1, mask), same_head ? same_head : of(n, mode));
               });
        }
      }
      text += render(table) + "\n";
    }
  }
  text +=
      "What these instructions are, a register of 64 elements of `rows`. A mask: a selection for the maximum "
      "and "
      "one for the sums, both in the slot mv, which\nthe passes of v2 wait for; on AIE-ML one of them hides behind "
      "stores. A knee: one maxdiff (mv) and one product in the sums, and in the results one more\nproduct on v2, two "
      "on "
      "AIE-ML, whose products have 32 lanes. `scaled`: a second product, of scores that go through registers as int16 "
      "(VSRS, twice), and the reciprocals'\nlatency. `tiles` meets its masks in the boundary's tiles alone, "
      "several of a row where n "
      "is short, and its knees in every pass.\n\n"
      "A causal block has 64 rows (32 at n = 512) of which the last sees all; what is masked counts as an element. A "
      "length is n - 3.\n\n";
  Table native{{"native heads, B = 4690, uint8", "n = 32", "64", "128", "256", "512"}};
  for (const Device device : kDevices) {
    for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles}) {
      for (const Mode mode : {Mode::kClb, Mode::kScaled}) {
        for (const unsigned knees : {1u, 3u}) {
          std::vector<std::string> line{
              fmt::format("{} `{}` {}, K = {}", title(device), name(kernel), name(mode), knees)};
          for (const unsigned n : kRowLengths) {
            line.push_back(number(per_64(results.native, {.kernel = kernel,
                                                          .device = device,
                                                          .mode = mode,
                                                          .knees = knees,
                                                          .n = n,
                                                          .heads = aie_traces::Heads::kNative})));
          }
          native.push_back(std::move(line));
        }
      }
    }
  }
  return text + "Other tables have heads within the paper's limit, n*B <= 32767. Without it:\n\n" + render(native) +
         "\n";
}

// Whether a goal is missed or not: what the slots alone need, and where the rest is.
std::string bounds(const Results& results) {
  struct Variant {
    std::string_view title;
    Call call;
  };
  const Variant kVariants[] = {{"clb", {}},
                               {"scaled", {.mode = Mode::kScaled}},
                               {"clb, K = 2", {.knees = 2}},
                               {"clb, K = 3", {.knees = 3}},
                               {"clb, length", {.mask = kLengthMask}},
                               {"clb, causal", {.mask = kCausalMask}}};
  Table table{{"cycles per 64, uint8", "n", "model", "one slot", "", "other slots", "beyond clb", "intervals",
               "latency", "call"}};
  // What its slots need.
  const auto slots = [](const Row& row) {
    return static_cast<double>(row.breakdown.one_slot + row.breakdown.other_slots) * row.cycles_per_64 /
           static_cast<double>(row.cycles);
  };
  for (const Device device : kDevices) {
    for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles}) {
      for (const Variant& variant : kVariants) {
        for (const unsigned n : kGoalLengths) {
          Call call = variant.call;
          call.kernel = kernel;
          call.device = device;
          call.n = n;
          const Row* row = find(results.rows, call);
          if (row == nullptr) continue;
          // A mask's beside the same head without one, as above.
          const Call same_head{.kernel = kernel, .device = device, .n = n, .heads = aie_traces::Heads::kMasked};
          const Row* clb = call.mask == kNoMask ? nullptr : find(results.masked_heads, same_head);
          if (clb == nullptr) clb = find(results.rows, {.kernel = kernel, .device = device, .n = n});
          const auto beyond = clb == nullptr ? std::nullopt : std::optional<double>(slots(*row) - slots(*clb));
          const aie_cycles::Breakdown& b = row->breakdown;
          const auto share = [&](long cycles) {
            return number(static_cast<double>(cycles) * row->cycles_per_64 / static_cast<double>(row->cycles));
          };
          const std::string_view busiest = b.busiest == aie_cycles::Slot::kLoadA ? "loads" : name(b.busiest);
          table.push_back({fmt::format("{} `{}` {}", title(device), name(kernel), variant.title), std::to_string(n),
                           number(row->cycles_per_64), share(b.one_slot), std::string(busiest), share(b.other_slots),
                           number(beyond), share(b.intervals), share(b.latency),
                           share(row->cycles - b.one_slot - b.other_slots - b.intervals - b.latency)});
        }
      }
    }
  }
  return "### What stands between\n\nWhere the cycles are. *One slot*: the instructions of the busiest slot, one a "
         "cycle: a bound for any schedule of these\n"
         "instructions. *Other slots*: more, as passes do not overlap with each other and another slot is the busiest "
         "in some of them. *Beyond clb*: how many more the two are than\nthose of clb with the same head: what no "
         "schedule of "
         "these instructions saves. *Intervals*: loops whose\n"
         "initiation interval is above what their slots need. *Latency*: straight code that waits for results, the "
         "loops' first and last passes, their\n"
         "set-up. *Call*: locks and pointers.\n\n" +
         render(table) + "\n";
}

std::string comparison(const Results& results) {
  Table table{{"times as fast as our exp_bf16", "n = 32", "64", "128", "256", "512"}};
  Table bf16{{"exp_bf16, cycles per 64", "n = 32", "64", "128", "256", "512", "published n = 32", "64", "128"}};
  for (const Device device : kDevices) {
    for (const bool native : {true, false}) {
      const Call first = exponential(device, 32, native);
      std::vector<std::string> line{fmt::format("{} {}", title(device), name(first.mode))};
      for (const unsigned n : kRowLengths)
        line.push_back(number(per_64(results.rows, exponential(device, n, native)), 1));
      for (const PublishedCell& cell : published()) {
        if (cell.device == device) line.push_back(native ? number(64 * aie_cycles::kClockGhz / cell.bf16, 1) : "-");
      }
      bf16.push_back(std::move(line));
    }
    for (const Kernel kernel : {Kernel::kPaperRows, Kernel::kRows, Kernel::kTiles}) {
      for (const Mode mode : {Mode::kClb, Mode::kScaled}) {
        if (kernel == Kernel::kPaperRows && mode == Mode::kScaled) continue;
        std::vector<std::string> line{fmt::format("{} `{}` {}", title(device), name(kernel), name(mode))};
        for (const unsigned n : kRowLengths) {
          const auto slow = per_64(results.rows, exponential(device, n, true));
          const auto fast = per_64(results.rows, {.kernel = kernel, .device = device, .mode = mode, .n = n});
          line.push_back(slow && fast ? fmt::format("{:.1f}", *slow / *fast) : "-");
        }
        table.push_back(std::move(line));
      }
    }
  }
  std::string text =
      "## Beside a bf16 softmax\n\nOn the same model, both with 64 rows a call (32 at n = 512), uint8 and bf16 "
      "results: cycles of `exp_bf16` (AIE-ML: tables, v2: exp2) over\n"
      "cycles of the kernel. The paper's ratios on its simulator are up to 15.1 (AIE-ML) and 6.1 (v2), of its clb "
      "kernel over AMD's bf16 kernel; ours\n"
      "are of other kernels on another machine's model, and are not the paper's claim repeated. `exp_bf16` is a plain "
      "kernel which nobody tuned\n"
      "against the model; a tuned one, with several rows in flight, would narrow the ratio at short rows.\n\n" +
      render(table) + "\n" + render(bf16) +
      "\nThe published bf16 cells are of AMD's kernel, whose source the paper does not print, so no tolerance applies: "
      "where "
      "ours is faster in the\nmodel, it may be the better kernel or show what the model grants. On v2 the loops of "
      "exp2 "
      "vanish at n = 32, where a row is one register; its\nrows then overlap, which those of the published kernel "
      "evidently "
      "do not.\n\n";
  if (results.tutorial) {
    text += fmt::format(
        "AMD's tutorial for AIE-ML (bf16, 2,048 classes, streams) needs 8,083 cycles a row; `bits`, its trick on "
        "buffers, {} in the model ({:.0f} %).\n"
        "The tutorial has more passes, stores between them and moves its data by streams at 4 bytes a cycle each way "
        "(1,024 cycles for 2,048 bf16),\n"
        "and rounds symmetrically; the model grants our kernel a perfect schedule.\n",
        results.tutorial->cycles, 100.0 * static_cast<double>(results.tutorial->cycles) / 8083 - 100);
  }
  return text + "\n";
}

std::string feed(const Results& results) {
  Table table{
      {"clb, uint8, K = 1", "n", "core", "with feed", "binds", "two-load bundles per 64", "program bytes", "spills"}};
  for (const Device device : kDevices) {
    for (const Kernel kernel : {Kernel::kPaperRows, Kernel::kRows, Kernel::kTiles}) {
      for (const unsigned n : kGoalLengths) {
        const Row* row = find(results.rows, {.kernel = kernel, .device = device, .n = n});
        if (row == nullptr) continue;
        table.push_back({fmt::format("{} `{}`", title(device), name(kernel)), std::to_string(n),
                         number(row->gelem_per_s), number(row->fed_gelem_per_s), std::string(name(row->fed_binding)),
                         number(row->paired_loads_per_64), std::to_string(row->program_bytes),
                         std::to_string(row->spills)});
      }
    }
  }
  std::string text =
      "## One tile with its feed\n\n10^9 elements a second at 1.25 GHz. A graph here brings logits through one DMA "
      "channel and takes results through another: 4 bytes a cycle on\n"
      "AIE-ML (5 Gelem/s of int8), 8 on v2 (10 Gelem/s). A second channel each way, which needs blocks in two halves, "
      "would double that; a\n"
      "producer and a consumer on neighbouring tiles need no channel at all, and get the core's figure. Bundles with "
      "two loads wait for a cycle where both\n"
      "loads meet one bank, as those from one buffer do: the most by which the core's cycles per 64 can be short.\n\n" +
      render(table) + "\n";
  text += "## Many tiles\n\n![Throughput by tiles](aie-throughput-tiles.svg)\n\n";
  for (const Device device : kDevices) {
    const Array& array = Array::of(device);
    const Row* row = find(results.rows, {.device = device, .n = kScaledLength});
    if (row == nullptr) continue;
    const unsigned from = aie_cycles::saturation(array, row->traffic, row->fed);
    const long elements = static_cast<long>(row->call.rows) * row->call.n;
    const aie_cycles::Scaling whole = aie_cycles::scale(array, array.tiles, elements, row->traffic, row->fed);
    text += fmt::format("- {} ({}, {} tiles, {:.0f} GB/s in, {:.0f} out): ", title(device), array.part, array.tiles,
                        array.in_gb(), array.out_gb());
    text += from == 0   ? "the interface does not bind; "
            : from == 1 ? "one PLIO already limits a single tile; "
                        : fmt::format("the interface binds from {} tiles on; ", from);
    text += fmt::format("{:.0f} Gelem/s with all tiles ({}).\n", whole.gelem_per_s, name(whole.binding));
  }
  text +=
      "\n`rows`, clb, uint8, n = 128, all data from and to the programmable logic through PLIOs of 128 bits at "
      "a quarter of the array's clock.\n"
      "The paper has 259 and 407 Gelem/s (div, clb) of 184 v2 tiles, which is 184 times its one tile: its interface "
      "never binds.\n\n";
  return text;
}

std::string attention(const Results& results) {
  Table table{{"attention, head dimension 32", "n = 32", "64", "128", "256", "512"}};
  for (const Device device : kDevices) {
    const auto line = [&](std::string label, const std::vector<Row>& rows, Call call) {
      std::vector<std::string> cells{fmt::format("{} K = {}{}", title(device), call.knees, label)};
      call.kernel = Kernel::kAttention;
      call.device = device;
      call.mode = Mode::kDeferred;
      call.output = Output::kInt8;
      for (const unsigned n : kRowLengths) {
        call.n = n;
        cells.push_back(number(per_64(rows, call)));
      }
      table.push_back(std::move(cells));
    };
    for (unsigned knees = 1; knees <= 4; ++knees) {
      line("", results.rows, {.knees = knees});
      if (knees == 1) line(", causal", results.rows, {.knees = knees, .mask = kCausalMask});
    }
    line(", native head", results.native, {.knees = 4, .heads = aie_traces::Heads::kNative});
  }
  return "## Attention on one tile\n\nCycles for 64 (query, key) pairs: both products, the weights, and the division "
         "at the end.\n\n" +
         render(table) +
         "\nA head's S_k and D_k wait in registers through the loop of the weights. The model keeps one register for "
         "those that are equal, which a\n"
         "compiler cannot do, as heads come at run time. Within the paper's limit a head of a long row is small: at n "
         "= 256 and 512 two pairs of the eight of\n"
         "K = 4 are equal. On v2 the others then fit, and the passes overlap; with seven or eight different ones the "
         "search finds no overlap. So the lines of the\n"
         "native head, whose eight differ, are the ones to trust for K = 4.\n\n";
}

// ---- Plots ---------------------------------------------------------------------------------------------------------

std::vector<std::pair<double, double>> by_length(const Results& results,
                                                 const std::function<std::optional<double>(unsigned)>& value) {
  static_cast<void>(results);
  std::vector<std::pair<double, double>> points;
  for (const unsigned n : kRowLengths) {
    if (const auto y = value(n)) points.emplace_back(n, *y);
  }
  return points;
}

}  // namespace

std::string throughput_svg(const Results& results) {
  std::vector<Plot> plots;
  for (const Device device : kDevices) {
    Plot plot{std::string(title(device)), {"n", true}, {"Gelem/s a tile at 1.25 GHz", true}, {}};
    const auto add = [&](std::string label, Call call) {
      plot.lines.push_back({std::move(label), by_length(results, [&](unsigned n) -> std::optional<double> {
                              call.n = n;
                              call.device = device;
                              const Row* row = find(results.rows, call);
                              return row == nullptr ? std::nullopt : std::optional<double>(row->gelem_per_s);
                            })});
    };
    add("tiles clb", {.kernel = Kernel::kTiles});
    add("tiles scaled", {.kernel = Kernel::kTiles, .mode = Mode::kScaled});
    add("rows clb", {.kernel = Kernel::kRows});
    add("rows scaled", {.kernel = Kernel::kRows, .mode = Mode::kScaled});
    add("paper_rows clb (model)", {.kernel = Kernel::kPaperRows});
    add("exp_bf16 (model)", exponential(device, 0, true));
    Line clb{"paper: clb", {}, true, true};
    Line bf16{"paper: bf16", {}, true, true};
    for (const PublishedCell& cell : published()) {
      if (cell.device != device) continue;
      clb.points.emplace_back(cell.n, cell.clb);
      bf16.points.emplace_back(cell.n, cell.bf16);
    }
    plot.lines.push_back(std::move(clb));
    plot.lines.push_back(std::move(bf16));
    plots.push_back(std::move(plot));
  }
  return svg(plots);
}

std::string speedup_svg(const Results& results) {
  std::vector<Plot> plots;
  for (const Device device : kDevices) {
    Plot plot{std::string(title(device)), {"n", true}, {"times as fast as a bf16 softmax", true}, {}};
    const auto add = [&](std::string label, Call call) {
      plot.lines.push_back({std::move(label), by_length(results, [&](unsigned n) -> std::optional<double> {
                              call.n = n;
                              call.device = device;
                              const auto fast = per_64(results.rows, call);
                              const auto slow = per_64(results.rows, exponential(device, n, true));
                              return fast && slow ? std::optional<double>(*slow / *fast) : std::nullopt;
                            })});
    };
    add("tiles clb", {.kernel = Kernel::kTiles});
    add("tiles scaled", {.kernel = Kernel::kTiles, .mode = Mode::kScaled});
    add("rows clb", {.kernel = Kernel::kRows});
    add("rows scaled", {.kernel = Kernel::kRows, .mode = Mode::kScaled});
    add("paper_rows clb", {.kernel = Kernel::kPaperRows});
    Line paper{"paper: clb over its bf16", {}, true, true};
    for (const PublishedCell& cell : published()) {
      if (cell.device == device) paper.points.emplace_back(cell.n, cell.clb / cell.bf16);
    }
    plot.lines.push_back(std::move(paper));
    plots.push_back(std::move(plot));
  }
  return svg(plots);
}

std::string scaling_svg(const Results& results) {
  Plot plot{"rows, clb, uint8, n = 128", {"tiles", false}, {"Gelem/s", false}, {}};
  for (const Device device : kDevices) {
    Line line{fmt::format("{} ({})", title(device), Array::of(device).part), {}, false, false};
    for (const ScalingRow& row : results.scaling) {
      if (row.device == device) line.points.emplace_back(row.scaling.tiles, row.scaling.gelem_per_s);
    }
    plot.lines.push_back(std::move(line));
  }
  return svg({plot});
}

std::string markdown(const Results& results) {
  return "# What the kernels cost on an AI Engine, by a model\n\n"
         "`make bench-aie` wrote this file and `build/results/aie-cycles.json`, which has every row.\n\n"
         "**No AMD tool and no device ran.** The numbers are of our own model of the cores "
         "([cycle-model.md](../cycle-model.md)): public instruction tables, operations\n"
         "recorded while each kernel runs on the host, a list and a modulo scheduler. Before a call is timed its "
         "results are compared with the\n"
         "definition, bit for bit. The model is optimistic where a compiler is not: it finds the best schedule that "
         "its search knows, knows that\n"
         "buffers do not overlap, and does not see plain C++ that the kernels do between vector operations.\n\n"
         "A call has 64 rows, 32 at n = 512; its overhead is included. Elements that a mask hides count.\n\n"
         "![Throughput by row length](aie-throughput.svg)\n\n" +
         validation(results) + goals(results) + features(results) + bounds(results) + comparison(results) +
         "![Speed-up over bf16](aie-speedup.svg)\n\n" + feed(results) + attention(results);
}

}  // namespace aie_results
