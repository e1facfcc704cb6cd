#include "fusion/fuse.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>

#include "fusion/tails.h"

namespace tintype {

namespace {

using Places = std::vector<size_t>;  // ascending; the last op makes the group's value

// True if nothing outside the group reads what its ops but the last make.
bool is_closed(const Graph& graph, const Places& places) {
  std::map<int, int> inner;
  for (size_t place : places) {
    for (const Argument& argument : graph.at(place).arguments) {
      for (const Binding& binding : argument.bindings) ++inner[binding.slot];
    }
  }
  for (size_t place : places) {
    if (place == places.back()) continue;
    for (const Definition& output : graph.at(place).outputs) {
      if (inner[output.slot] != graph.uses(output.slot)) return false;
    }
  }
  return true;
}

// What the parts read and none of them makes, each once.
std::vector<Argument> arguments_of(const std::vector<Operation>& parts) {
  std::set<int> known;
  Argument inputs{"inputs", {}};
  for (const Operation& part : parts) {
    for (const Argument& argument : part.arguments) {
      for (const Binding& binding : argument.bindings) {
        if (known.insert(binding.slot).second) inputs.bindings.push_back(binding);
      }
    }
    for (const Definition& output : part.outputs) known.insert(output.slot);
  }
  return {std::move(inputs)};
}

std::string joined_name(const std::vector<Operation>& parts) {
  std::string name;
  for (const Operation& part : parts) name += (name.empty() ? "" : " + ") + part.type;
  return name;
}

/** Groups of one block, and the block once they are joined. */
class Joiner {
 public:
  explicit Joiner(Block& block) : block_(block), group_of_(block.operations.size(), -1) {}

  bool is_free(const Places& places) const {
    return std::all_of(places.begin(), places.end(), [&](size_t place) { return group_of_[place] < 0; });
  }

  void add(Places places, const Fusion* fusion) {
    for (size_t place : places) group_of_[place] = static_cast<int>(groups_.size());
    groups_.push_back({std::move(places), fusion});
  }

  void join() {
    for (const Group& group : groups_) keep_alive(group.places);
    std::vector<Operation> operations;
    for (size_t place = 0; place < block_.operations.size(); ++place) {
      int index = group_of_[place];
      if (index < 0)
        operations.push_back(std::move(block_.operations[place]));
      else if (place == groups_[static_cast<size_t>(index)].places.back())
        operations.push_back(joined(groups_[static_cast<size_t>(index)]));
    }
    block_.operations = std::move(operations);
  }

 private:
  struct Group {
    Places places;
    const Fusion* fusion;
  };

  // The group runs where its last op was: what its ops read lives until then.
  void keep_alive(const Places& places) {
    std::set<int> read;
    for (size_t place : places) {
      for (const Argument& argument : block_.operations[place].arguments) {
        for (const Binding& binding : argument.bindings) read.insert(binding.slot);
      }
    }
    std::vector<int>& late = block_.operations[places.back()].releases;
    for (size_t place = places.front(); place < places.back(); ++place) {
      std::vector<int>& early = block_.operations[place].releases;
      auto kept =
          std::stable_partition(early.begin(), early.end(), [&](int slot) { return !read.count(slot); });
      late.insert(late.end(), kept, early.end());
      early.erase(kept, early.end());
    }
  }

  Operation joined(const Group& group) {
    Operation whole;
    for (size_t place : group.places) whole.parts.push_back(std::move(block_.operations[place]));
    const Operation& last = whole.parts.back();
    whole.type = group.fusion ? group.fusion->name : joined_name(whole.parts);
    whole.name = last.name;
    whole.outputs = last.outputs;
    whole.index = last.index;
    whole.releases = last.releases;
    whole.fusion = group.fusion;
    whole.arguments = arguments_of(whole.parts);
    return whole;
  }

  Block& block_;
  std::vector<int> group_of_;
  std::vector<Group> groups_;
};

/** Marks bindings that are a value's only use, the groups being ops; those that run in turn are their parts.
 */
class OnlyUses {
 public:
  void mark(Function& function) {
    uses_.assign(static_cast<size_t>(function.slot_count), 0);
    count(function.block);
    mark(function.block);
  }

 private:
  template <typename Operations, typename Visit>
  static void each(Operations& operations, const Visit& visit) {
    for (auto& operation : operations) {
      if (operation.parts.empty() || operation.fusion)
        visit(operation);
      else
        each(operation.parts, visit);
    }
  }

  void count(const Block& block) {
    each(block.operations, [&](const Operation& operation) {
      for (const Argument& argument : operation.arguments) {
        for (const Binding& binding : argument.bindings) ++uses_[static_cast<size_t>(binding.slot)];
      }
      for (const Block& inner : operation.blocks) count(inner);
    });
    for (const Binding& output : block.outputs) ++uses_[static_cast<size_t>(output.slot)];
  }

  void mark(Block& block) {
    std::set<int> made;
    each(block.operations, [&](Operation& operation) {
      for (Argument& argument : operation.arguments) {
        for (Binding& binding : argument.bindings)
          binding.is_only_use = made.count(binding.slot) && uses_[static_cast<size_t>(binding.slot)] == 1;
      }
      for (Block& inner : operation.blocks) mark(inner);
      for (const Definition& output : operation.outputs) made.insert(output.slot);
    });
  }

  std::vector<int> uses_;
};

void each_block(Block& block, const std::function<void(Block&)>& visit) {
  visit(block);
  for (Operation& operation : block.operations) {
    for (Block& inner : operation.blocks) each_block(inner, visit);
  }
}

void join_patterns(Block& block, const ValueTable& values, const std::vector<Value>& constants) {
  Graph graph(block, values, constants);
  Joiner joiner(block);
  for (const FusionTable* table : {&norm_fusions(), &activation_fusions()}) {
    for (const Fusion& fusion : *table) {
      for (size_t place = 0; place < graph.size(); ++place) {
        if (graph.at(place).type != fusion.root) continue;
        Places places = fusion.match(graph, graph.at(place));
        std::sort(places.begin(), places.end());
        places.erase(std::unique(places.begin(), places.end()), places.end());
        bool found = places.size() > 1 && places.back() == place && joiner.is_free(places);
        if (found && is_closed(graph, places)) joiner.add(std::move(places), &fusion);
      }
    }
  }
  joiner.join();
}

void join_tails(Block& block, const ValueTable& values, const std::vector<Value>& constants) {
  Graph graph(block, values, constants);
  Joiner joiner(block);
  for (size_t place = 0; place < graph.size(); ++place) {
    if (!takes_tail(graph, graph.at(place))) continue;
    Places places = {place};
    while (const Operation* next = next_step(graph, graph.at(places.back()))) {
      if (places.size() > kLongestTail || !joiner.is_free({graph.place(*next)})) break;
      places.push_back(graph.place(*next));
    }
    if (places.size() > 1) joiner.add(std::move(places), nullptr);
  }
  joiner.join();
}

bool is_switched_off() {
  const char* value = std::getenv("TINTYPE_FUSION");
  return value && std::string_view(value) == "0";
}

}  // namespace

void fuse(Function& function, const std::vector<Value>& constants) {
  if (is_switched_off() || !computes_on_cpu()) return;
  for (auto join : {join_patterns, join_tails}) {
    ValueTable values = value_table(function);
    each_block(function.block, [&](Block& block) { join(block, values, constants); });
  }
  OnlyUses().mark(function);
}

}  // namespace tintype
