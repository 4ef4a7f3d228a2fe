// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/print.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

namespace aie_cycles {
namespace {

// An instruction in a bundle.
struct Cell {
  std::string name, call;
  int stage = 0;
  bool used = false;
};
using Bundle = std::array<Cell, kSlotCount>;

std::string call_of(const NativeInstruction& instruction) {
  return instruction.operation ? name(*instruction.operation) : "reload";
}

std::string_view elementwise_mnemonic(std::optional<Operation> operation) {
  if (!operation) return "VADD";
  switch (*operation) {
    case Operation::kSub:
      return "VSUB";
    case Operation::kMax:
    case Operation::kReduceMax:
      return "VMAX_LT";
    case Operation::kMin:
    case Operation::kReduceMin:
      return "VMIN_GE";
    case Operation::kMaxdiff:
      return "VMAXDIFF_LT";
    case Operation::kBitAnd:
      return "VBAND";
    case Operation::kBitOr:
      return "VBOR";
    case Operation::kAbs:
      return "VABS";
    default:
      return "VADD";
  }
}

// The rows of the machine that stand for several instructions, by the operation.
std::string_view mnemonic(const Instruction& row, std::optional<Operation> operation) {
  if (row.opcode == Opcode::kElementwise) return elementwise_mnemonic(operation);
  if (row.opcode == Opcode::kCompare) {
    return operation == Operation::kLt || operation == Operation::kGt ? "VLT" : "VGE";
  }
  if (row.opcode == Opcode::kShuffle) {
    const std::string_view call = operation ? name(*operation) : "";
    return call.starts_with("shuffle") || call.starts_with("reduce") ? "VSHIFT" : "VSHUFFLE";
  }
  if (row.opcode == Opcode::kScalar) return operation == Operation::kClb ? "CLB" : "scalar";
  return row.name;
}

std::vector<Bundle> flat_bundles(const Piece& piece, Device device) {
  const Machine& machine = Machine::of(device);
  const Schedule& schedule = piece.schedule;
  std::vector<Bundle> bundles(static_cast<std::size_t>(schedule.length));
  for (std::size_t i = 0; i < schedule.placements.size(); ++i) {
    const NativeInstruction& instruction = piece.code.instructions[i];
    const Instruction& row = machine[instruction.opcode];
    const Placement& at = schedule.placements[i];
    Bundle& bundle = bundles[static_cast<std::size_t>(at.cycle)];
    const int stage = schedule.interval == 0 ? 0 : at.cycle / schedule.interval;
    bundle[static_cast<unsigned>(at.slot)] = {std::string(mnemonic(row, instruction.operation)), call_of(instruction),
                                              stage, true};
    for (unsigned s = 0; s < kSlotCount; ++s) {
      if ((row.blocks & (1u << s)) != 0 && s != static_cast<unsigned>(at.slot)) bundle[s] = {"|", "", stage, true};
    }
  }
  return bundles;
}

// The steady part of a loop whose passes overlap.
std::vector<Bundle> steady_bundles(const std::vector<Bundle>& flat, int interval) {
  std::vector<Bundle> steady(static_cast<std::size_t>(interval));
  for (std::size_t cycle = 0; cycle < flat.size(); ++cycle) {
    for (unsigned s = 0; s < kSlotCount; ++s) {
      if (flat[cycle][s].used) steady[cycle % static_cast<std::size_t>(interval)][s] = flat[cycle][s];
    }
  }
  return steady;
}

bool is_empty(const Bundle& bundle) {
  return std::none_of(bundle.begin(), bundle.end(), [](const Cell& cell) { return cell.used; });
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

std::string text_of(const Cell& cell, bool staged) {
  if (!cell.used) return ".";
  std::string text = cell.name;
  if (!cell.call.empty() && cell.call != cell.name) text += " " + cell.call;
  if (staged && !cell.call.empty()) text += " [" + std::to_string(cell.stage) + "]";
  return text;
}

std::string headline(const Piece& piece) {
  const Schedule& s = piece.schedule;
  std::string line = piece.name + ": ";
  if (s.interval == 0) return line + std::to_string(s.length) + (piece.is_loop ? " bundles a pass" : " bundles");
  line += "a pass each " + std::to_string(s.interval) + " cycles, " + std::to_string(s.stages) + " stages, " +
          std::to_string(s.length) + " bundles from first to last";
  const std::string around = std::to_string((s.stages - 1) * s.interval);
  return line + "; prologue and epilogue " + around + " bundles each";
}

std::string needs(const Piece& piece, Device device) {
  const Machine& machine = Machine::of(device);
  const Schedule& s = piece.schedule;
  std::string text = "bound: " + s.bounds.binding + "; cycles that each needs alone:";
  for (unsigned slot = 1; slot < kSlotCount; ++slot) {
    text += (slot == 1 ? " loads" : ", " + std::string(name(static_cast<Slot>(slot)))) + " " +
            std::to_string(s.bounds.slot[slot]);
  }
  text += ", recurrence " + std::to_string(s.bounds.recurrence) + "\n";
  const auto of = [](unsigned live, unsigned all) { return std::to_string(live) + " of " + std::to_string(all); };
  text += "registers: " + of(s.live[0], machine.vector_registers()) + " vectors of 256 bits, " +
          of(s.live[1], machine.accumulator_registers()) + " accumulators of 512, " +
          of(s.live[2], machine.scalar_registers()) + " scalars";
  if (s.spills > 0) text += "; " + std::to_string(s.spills) + " spilled";
  if (s.copies > 1) text += "; steady part written " + std::to_string(s.copies) + " times";
  return text + "\n";
}

// --- The picture ---

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

constexpr std::array<std::string_view, 8> kStageColours{"#9ecae1", "#fdae6b", "#a1d99b", "#fb9a99",
                                                        "#cab2d6", "#ffe08a", "#d9b38c", "#b3b3b3"};
constexpr int kCellWidth = 18, kCellHeight = 128, kLeft = 40, kTop = 44, kGap = 48;

std::string attribute(std::string_view name, int value) {
  return " " + std::string(name) + "=\"" + std::to_string(value) + "\"";
}

// Bundles from `left` on, under a caption.
std::string panel(const std::vector<Bundle>& bundles, int left, const std::string& caption, int interval) {
  const int width = static_cast<int>(bundles.size()) * kCellWidth;
  const int height = static_cast<int>(kSlotCount) * kCellHeight;
  std::string svg = "<text" + attribute("x", left) + attribute("y", kTop - 26) + ">" + escaped(caption) + "</text>\n";
  svg += "<rect" + attribute("x", left) + attribute("y", kTop) + attribute("width", width) +
         attribute("height", height) + " fill=\"#f7f7f7\"/>\n";
  for (std::size_t cycle = 0; cycle < bundles.size(); ++cycle) {
    const int x = left + static_cast<int>(cycle) * kCellWidth;
    // Three digits do not fit each of them.
    if (cycle < 100 || cycle % 2 == 0)
      svg += "<text" + attribute("x", x + kCellWidth / 2) + attribute("y", kTop - 6) + " text-anchor=\"middle\">" +
             std::to_string(cycle) + "</text>\n";
    for (unsigned s = 0; s < kSlotCount; ++s) {
      const Cell& cell = bundles[cycle][s];
      if (!cell.used) continue;
      const int y = kTop + static_cast<int>(s) * kCellHeight;
      const std::string_view colour = kStageColours[static_cast<std::size_t>(cell.stage) % kStageColours.size()];
      const std::string text = escaped(text_of(cell, false));
      svg += "<g><title>" + text + ", stage " + std::to_string(cell.stage) + "</title><rect" + attribute("x", x + 1) +
             attribute("y", y + 1) + attribute("width", kCellWidth - 2) + attribute("height", kCellHeight - 2) +
             " rx=\"2\" fill=\"" + std::string(colour) + "\"/>";
      svg += "<text transform=\"translate(" + std::to_string(x + kCellWidth / 2 + 3) + " " +
             std::to_string(y + kCellHeight - 5) + ") rotate(-90)\">" + text + "</text></g>\n";
    }
  }
  for (unsigned s = 0; s <= kSlotCount; ++s) {
    const int y = kTop + static_cast<int>(s) * kCellHeight;
    svg += "<path d=\"M" + std::to_string(left) + " " + std::to_string(y) + "h" + std::to_string(width) + "\"/>\n";
  }
  for (int x = 0; interval > 0 && x * kCellWidth <= width; x += interval) {
    svg += "<path d=\"M" + std::to_string(left + x * kCellWidth) + " " + std::to_string(kTop) + "v" +
           std::to_string(height) + "\"/>\n";
  }
  return svg;
}

}  // namespace

std::string bundle_table(const Piece& piece, Device device) {
  const bool staged = piece.schedule.interval > 0;
  std::vector<Bundle> bundles = flat_bundles(piece, device);
  if (staged) bundles = steady_bundles(bundles, piece.schedule.interval);

  std::array<std::size_t, kSlotCount> width{};
  for (unsigned s = 0; s < kSlotCount; ++s) {
    width[s] = name(static_cast<Slot>(s)).size();
    for (const Bundle& bundle : bundles) width[s] = std::max(width[s], text_of(bundle[s], staged).size());
  }
  std::string table = headline(piece) + "\n";
  const auto line = [&](std::string text, const auto& column) {
    for (unsigned s = 0; s < kSlotCount; ++s) text += "  " + padded(column(s), width[s]);
    table += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  };
  line("bundle", [](unsigned s) { return std::string(name(static_cast<Slot>(s))); });
  for (std::size_t cycle = 0; cycle < bundles.size(); ++cycle) {
    std::size_t end = cycle;
    while (end < bundles.size() && is_empty(bundles[end])) ++end;
    if (end - cycle > 1) {
      table += padded("", 6 - std::min<std::size_t>(6, std::to_string(cycle).size())) + std::to_string(cycle) +
               "  to " + std::to_string(end - 1) + ": wait\n";
      cycle = end - 1;
      continue;
    }
    const std::string number = std::to_string(cycle);
    line(padded("", 6 - std::min<std::size_t>(6, number.size())) + number,
         [&](unsigned s) { return text_of(bundles[cycle][s], staged); });
  }
  return table + needs(piece, device);
}

std::string loop_svg(const Piece& piece, Device device) {
  const std::vector<Bundle> flat = flat_bundles(piece, device);
  const int interval = piece.schedule.interval;
  std::string body = panel(flat, kLeft, "one pass, cycle by cycle", interval);
  int right = kLeft + static_cast<int>(flat.size()) * kCellWidth;
  if (interval > 0) {
    body += panel(steady_bundles(flat, interval), right + kGap, "steady part", 0);
    right += kGap + std::max(interval * kCellWidth, 80);
  }
  for (unsigned s = 0; s < kSlotCount; ++s) {
    body += "<text" + attribute("x", 6) + attribute("y", kTop + static_cast<int>(s) * kCellHeight + kCellHeight / 2) +
            ">" + std::string(name(static_cast<Slot>(s))) + "</text>\n";
  }
  const std::string title = headline(piece) + " (" + std::string(name(device)) + ")";
  // As wide as the title at least: about 6 units a letter.
  right = std::max(right, kLeft + static_cast<int>(title.size()) * 6);
  const int width = right + 16;
  const int height = kTop + static_cast<int>(kSlotCount) * kCellHeight + 28;
  body += "<text" + attribute("x", kLeft) + attribute("y", height - 10) + ">" + escaped(title) + "</text>\n";
  const std::string size = std::to_string(width) + " " + std::to_string(height);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\"" + attribute("width", width) + attribute("height", height) +
         " viewBox=\"0 0 " + size + "\" font-family=\"sans-serif\" font-size=\"10\" fill=\"#222\">\n<title>" +
         escaped(title) +
         "</title>\n<style>path{stroke:#888;fill:none}</style>\n<rect width=\"100%\" height=\"100%\" " +
         "fill=\"#fff\"/>\n" + body + "</svg>\n";
}

}  // namespace aie_cycles
