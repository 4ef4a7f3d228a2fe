// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/lower/peephole.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace aie_cycles {
namespace {

// The instructions that read each value, each once; and -1 for a pass that reads an earlier pass's value, which stays
// in its register.
using Users = std::vector<std::vector<int>>;

Users find_users(const NativeCode& code) {
  Users users(code.values.size());
  for (std::size_t i = 0; i < code.instructions.size(); ++i) {
    for (const NativeUse& use : code.instructions[i].uses) {
      std::vector<int>& list = users[static_cast<std::size_t>(use.value)];
      if (list.empty() || list.back() != static_cast<int>(i)) list.push_back(static_cast<int>(i));
      if (use.passes_ago > 0) list.push_back(-1);
    }
  }
  return users;
}

std::optional<Opcode> load_with(Opcode conversion) {
  switch (conversion) {
    case Opcode::kUnpack:
      return Opcode::kLoadUnpack;
    case Opcode::kUpshift:
      return Opcode::kLoadUpshift;
    case Opcode::kConvertUp:
      return Opcode::kLoadConvert;
    case Opcode::kMoveToAccum:
      return Opcode::kLoadAccum;
    default:
      return std::nullopt;
  }
}

std::optional<Opcode> store_with(Opcode conversion) {
  switch (conversion) {
    case Opcode::kShift:
      return Opcode::kStoreShift;
    case Opcode::kPack:
      return Opcode::kStorePack;
    case Opcode::kConvertDown:
      return Opcode::kStoreConvert;
    case Opcode::kMoveAccum:
      return Opcode::kStoreAccum;
    default:
      return std::nullopt;
  }
}

// Does nothing but such a store read the value? `fused`: what stores of it become, as some of them may be already.
bool is_only_stored(const NativeCode& code, const Users& users, int value, Opcode fused) {
  if (code.live_out[static_cast<std::size_t>(value)]) return false;
  const std::vector<int>& list = users[static_cast<std::size_t>(value)];
  return std::all_of(list.begin(), list.end(), [&](int user) {
    if (user < 0) return false;
    const NativeInstruction& reader = code.instructions[static_cast<std::size_t>(user)];
    if (reader.uses.empty()) return false;
    return reader.opcode == fused || (reader.opcode == Opcode::kStore && reader.uses[0].value == value);
  });
}

}  // namespace

std::set<int> fuse_with_memory(NativeCode& code) {
  std::set<int> dead;
  const Users users = find_users(code);
  for (std::size_t i = 0; i < code.instructions.size(); ++i) {
    NativeInstruction& second = code.instructions[i];
    if (second.uses.size() != 1 || second.uses[0].passes_ago > 0) continue;
    const int value = second.uses[0].value;
    const int producer = code.values[static_cast<std::size_t>(value)].producer;
    if (producer < 0) continue;
    const NativeInstruction& first = code.instructions[static_cast<std::size_t>(producer)];
    if (first.opcode == Opcode::kLoad) {
      const std::optional<Opcode> fused = load_with(second.opcode);
      const bool is_only_reader = users[static_cast<std::size_t>(value)] == std::vector<int>{static_cast<int>(i)};
      if (!fused || !is_only_reader || code.live_out[static_cast<std::size_t>(value)]) continue;
      second.opcode = *fused;
      second.uses.clear();
      second.source = first.source;
      dead.insert(producer);
    } else if (second.opcode == Opcode::kStore) {
      // Each store takes its part of the accumulator.
      const std::optional<Opcode> fused = store_with(first.opcode);
      if (!fused || !is_only_stored(code, users, value, *fused)) continue;
      second.opcode = *fused;
      second.uses = first.uses;
      dead.insert(producer);
    }
  }
  return dead;
}

void drop_unread(NativeCode& code, std::set<int> dead, const std::set<int>& keep) {
  auto& all = code.instructions;
  for (bool changed = true; changed;) {
    changed = false;
    std::vector<bool> read(code.values.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (dead.contains(static_cast<int>(i))) continue;
      for (const NativeUse& use : all[i].uses) read[static_cast<std::size_t>(use.value)] = true;
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      const int result = all[i].result;
      if (result < 0 || dead.contains(static_cast<int>(i))) continue;
      const auto r = static_cast<std::size_t>(result);
      // A scalar may be read by plain C++.
      const bool scalar = code.values[r].file == RegisterFile::kScalar && all[i].opcode != Opcode::kCompare &&
                          all[i].opcode != Opcode::kMoveScalar && all[i].opcode != Opcode::kLoadScalar;
      if (read[r] || code.live_out[r] || scalar || keep.contains(static_cast<int>(i))) continue;
      dead.insert(static_cast<int>(i));
      changed = true;
    }
  }
  std::vector<int> place(all.size(), -1);
  std::vector<NativeInstruction> kept;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (dead.contains(static_cast<int>(i))) continue;
    place[i] = static_cast<int>(kept.size());
    kept.push_back(std::move(all[i]));
  }
  all = std::move(kept);
  for (NativeValue& v : code.values) {
    if (v.producer >= 0) v.producer = place[static_cast<std::size_t>(v.producer)];
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].result >= 0) code.values[static_cast<std::size_t>(all[i].result)].producer = static_cast<int>(i);
  }
}

}  // namespace aie_cycles
