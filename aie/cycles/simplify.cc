// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "aie/cycles/trace.h"

namespace aie_cycles {
namespace {

bool has_effect(const Step& step) {
  const OperationKind kind = aie_host::kind(step.operation);
  return kind == OperationKind::kStore || kind == OperationKind::kStream || kind == OperationKind::kMode;
}

bool yields_scalar(const Step& step) {
  return std::any_of(step.results.begin(), step.results.end(),
                     [](const Value& v) { return v.kind == ValueKind::kScalar; });
}

// May it be left out, shared or moved?
bool is_pure(const Step& step) { return !has_effect(step) && !step.is_memory(); }

class Aliases {
 public:
  ValueId of(ValueId id) const {
    for (auto it = alias_.find(id); it != alias_.end(); it = alias_.find(id)) id = it->second;
    return id;
  }
  void add(ValueId id, ValueId same) {
    if (id != same) alias_[id] = same;
  }

 private:
  std::unordered_map<ValueId, ValueId> alias_;
};

Block flatten(Block block) {
  Block flat;
  for (Item& item : block) {
    if (item.loop == nullptr) {
      flat.push_back(std::move(item));
      continue;
    }
    for (Block& pass : item.loop->passes) pass = flatten(std::move(pass));
    if (item.loop->passes.size() == 1) {
      for (Item& inner : item.loop->passes[0]) flat.push_back(std::move(inner));
    } else if (item.loop->passes.size() > 1) {
      flat.push_back(std::move(item));
    }
  }
  return flat;
}

bool same_shape(const Step& a, const Step& b) {
  if (a.operation != b.operation || a.inputs.size() != b.inputs.size() || a.results.size() != b.results.size() ||
      a.immediates != b.immediates || a.bytes != b.bytes) {
    return false;
  }
  const auto same = [](const Value& x, const Value& y) {
    return x.kind == y.kind && x.element == y.element && x.lanes == y.lanes;
  };
  return std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), same) &&
         std::equal(a.results.begin(), a.results.end(), b.results.begin(), same);
}

// Do all passes have the same operations, and loops at the same places?
bool same_shape(const Block& a, const Block& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Item& x, const Item& y) {
    if ((x.loop == nullptr) != (y.loop == nullptr)) return false;
    return x.loop == nullptr ? same_shape(x.step, y.step) : x.loop->site == y.loop->site;
  });
}

void collect_results(const Block& block, std::unordered_set<ValueId>& ids) {
  for (const Item& item : block) {
    if (item.loop == nullptr) {
      for (const Value& result : item.step.results) ids.insert(result.id);
    } else {
      for (const Block& pass : item.loop->passes) collect_results(pass, ids);
    }
  }
}

class Simplifier {
 public:
  Block run(Block block) {
    block = flatten(std::move(block));
    hoist(block);
    Scopes scopes(1);
    share(block, scopes);
    resolve(block);
    // Backwards, so that one sweep finds what only dead operations read; loops can carry a value into an earlier place.
    for (bool changed = true; changed;) {
      readers_.clear();
      count_readers(block);
      changed = drop_unread(std::span(&block, 1));
    }
    return block;
  }

 private:
  using Key = std::tuple<Operation, std::vector<std::tuple<int, int, int, std::int64_t, std::int64_t>>,
                         std::vector<std::int64_t>>;
  using Scopes = std::vector<std::map<Key, std::vector<ValueId>>>;

  Key key_of(const Step& step) const {
    Key key;
    std::get<0>(key) = step.operation;
    const auto add = [&](const Value& v, bool result) {
      std::get<1>(key).emplace_back(static_cast<int>(v.kind), static_cast<int>(v.element), v.lanes,
                                    result ? 0 : static_cast<std::int64_t>(aliases_.of(v.id)), result ? 0 : v.bits);
    };
    for (const Value& v : step.inputs) add(v, false);
    for (const Value& v : step.results) add(v, true);
    std::get<2>(key) = step.immediates;
    return key;
  }

  // Moves what does not change out of the loops of a block, inner loops first.
  void hoist(Block& block) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      if (block[i].loop == nullptr) continue;
      Loop& loop = *block[i].loop;
      for (Block& pass : loop.passes) hoist(pass);
      Block moved = hoist_loop(loop);
      const auto count = moved.size();
      block.insert(block.begin() + static_cast<std::ptrdiff_t>(i), std::make_move_iterator(moved.begin()),
                   std::make_move_iterator(moved.end()));
      i += count;
    }
  }

  Block hoist_loop(Loop& loop) {
    Block moved;
    for (const Block& pass : loop.passes) {
      if (!same_shape(loop.passes[0], pass)) return moved;
    }
    // What the passes make, and by which pass.
    std::vector<std::unordered_set<ValueId>> made(loop.passes.size());
    for (std::size_t p = 0; p < loop.passes.size(); ++p) collect_results(loop.passes[p], made[p]);
    std::unordered_map<ValueId, std::size_t> maker;
    for (std::size_t p = 0; p < made.size(); ++p) {
      for (const ValueId id : made[p]) maker.emplace(id, p);
    }

    std::vector<bool> leaves(loop.passes[0].size());
    for (std::size_t at = 0; at < loop.passes[0].size(); ++at) {
      if (loop.passes[0][at].loop != nullptr) continue;
      bool invariant = is_pure(loop.passes[0][at].step);
      const std::size_t inputs = loop.passes[0][at].step.inputs.size();
      for (std::size_t k = 0; k < inputs; ++k) {
        const auto input = [&](std::size_t p) -> Value& { return loop.passes[p][at].step.inputs[k]; };
        if (input(0).kind == ValueKind::kScalar) {
          bool constant = true;
          bool always_made = true;
          for (std::size_t p = 0; p < loop.passes.size(); ++p) {
            constant = constant && input(p).bits == input(0).bits;
            always_made = always_made && made[p].contains(aliases_.of(input(p).id));
          }
          if (always_made) {
            invariant = false;
          } else if (constant) {
            for (std::size_t p = 0; p < loop.passes.size(); ++p) input(p).id = 0;
          } else {
            invariant = false;
            for (std::size_t p = 0; p < loop.passes.size(); ++p) {
              if (made[p].contains(aliases_.of(input(p).id))) continue;
              input(p).id = kFromMemory;
            }
          }
        } else {
          for (std::size_t p = 0; p < loop.passes.size() && invariant; ++p) {
            const ValueId id = aliases_.of(input(p).id);
            // The bits of a lane operand say which lane.
            invariant = !maker.contains(id) && id == aliases_.of(input(0).id) && input(p).bits == input(0).bits;
          }
        }
      }
      if (!invariant) continue;
      leaves[at] = true;
      for (std::size_t p = 0; p < loop.passes.size(); ++p) {
        const Step& step = loop.passes[p][at].step;
        for (std::size_t r = 0; r < step.results.size(); ++r) {
          aliases_.add(step.results[r].id, loop.passes[0][at].step.results[r].id);
          made[p].erase(step.results[r].id);
          maker.erase(step.results[r].id);
        }
      }
    }
    for (std::size_t p = 0; p < loop.passes.size(); ++p) {
      Block kept;
      for (std::size_t at = 0; at < leaves.size(); ++at) {
        if (!leaves[at]) {
          kept.push_back(std::move(loop.passes[p][at]));
        } else if (p == 0) {
          moved.push_back(std::move(loop.passes[p][at]));
        }
      }
      loop.passes[p] = std::move(kept);
    }
    return moved;
  }

  // Common subexpressions, and the loads of scalars that hoist_loop found.
  void share(Block& block, Scopes& scopes) {
    Block kept;
    for (Item& item : block) {
      if (item.loop != nullptr) {
        for (Block& pass : item.loop->passes) {
          scopes.emplace_back();
          share(pass, scopes);
          scopes.pop_back();
        }
        kept.push_back(std::move(item));
        continue;
      }
      Step& step = item.step;
      for (Value& input : step.inputs) {
        if (input.id != kFromMemory) continue;
        Step load;
        load.operation = Operation::kLoadScalar;
        load.results = {input};
        load.results[0].id = input.id = next_id_++;
        kept.push_back({std::move(load), nullptr});
      }
      if (is_pure(step)) {
        const Key key = key_of(step);
        const std::vector<ValueId>* found = nullptr;
        for (const auto& scope : scopes) {
          if (const auto it = scope.find(key); it != scope.end()) found = &it->second;
        }
        if (found != nullptr) {
          for (std::size_t r = 0; r < step.results.size(); ++r) aliases_.add(step.results[r].id, (*found)[r]);
          continue;
        }
        std::vector<ValueId> results;
        for (const Value& result : step.results) results.push_back(result.id);
        scopes.back().emplace(key, std::move(results));
      }
      kept.push_back(std::move(item));
    }
    block = std::move(kept);
  }

  void resolve(Block& block) {
    for (Item& item : block) {
      if (item.loop != nullptr) {
        for (Block& pass : item.loop->passes) resolve(pass);
      } else {
        for (Value& input : item.step.inputs) input.id = aliases_.of(input.id);
      }
    }
  }

  void count_readers(const Block& block) {
    for (const Item& item : block) {
      if (item.loop != nullptr) {
        for (const Block& pass : item.loop->passes) count_readers(pass);
      } else {
        for (const Value& input : item.step.inputs) ++readers_[input.id];
      }
    }
  }

  bool is_unread(const Item& item) const {
    if (item.loop != nullptr) return item.loop->passes.empty();
    const Step& step = item.step;
    if (has_effect(step) || yields_scalar(step)) return false;
    return std::none_of(step.results.begin(), step.results.end(),
                        [&](const Value& v) { return readers_.contains(v.id); });
  }

  // From blocks of the same shape (the passes of a loop, or one block alone) drops what none of them reads.
  bool drop_unread(std::span<Block> blocks) {
    bool changed = false;
    for (Block& block : blocks) {
      for (Item& item : block) {
        if (item.loop == nullptr) continue;
        std::vector<Block>& passes = item.loop->passes;
        const bool same =
            std::all_of(passes.begin(), passes.end(), [&](const Block& pass) { return same_shape(passes[0], pass); });
        if (same) {
          changed |= drop_unread(std::span(passes));
        } else {
          for (Block& pass : passes) changed |= drop_unread(std::span(&pass, 1));
        }
      }
    }
    for (std::size_t at = blocks[0].size(); at-- > 0;) {
      if (!std::all_of(blocks.begin(), blocks.end(), [&](const Block& block) { return is_unread(block[at]); }))
        continue;
      for (Block& block : blocks) block.erase(block.begin() + static_cast<std::ptrdiff_t>(at));
      changed = true;
    }
    for (std::size_t at = 0; at < blocks[0].size(); ++at) {
      for (std::size_t r = 0; r < blocks[0][at].step.results.size(); ++r) {
        const auto unread = [&](const Block& block) {
          const Value& result = block[at].step.results[r];
          return result.kind != ValueKind::kScalar && !readers_.contains(result.id);
        };
        if (!std::all_of(blocks.begin(), blocks.end(), unread)) continue;
        for (Block& block : blocks) block[at].step.results[r].id = 0;
      }
    }
    return changed;
  }

  static constexpr ValueId kFromMemory = ~ValueId{0};
  Aliases aliases_;
  std::unordered_map<ValueId, unsigned> readers_;
  ValueId next_id_ = ValueId{1} << 31;
};

}  // namespace

Block simplify(Block block) { return Simplifier().run(std::move(block)); }

}  // namespace aie_cycles
