#include "run/own_graph.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "mlx/primitives.h"
#include "ops/call.h"

namespace tintype {

namespace {

using mlx::core::array;
using Ids = std::unordered_set<std::uintptr_t>;

bool is_waiting(const array& x) {
  return !x.is_available() && x.has_primitive();
}

// The array whose memory `x` describes; what the op was given stands for itself.
const array& owner(const array& x, const Ids& given) {
  const array* y = &x;
  while (is_waiting(*y) && !given.count(y->id()) && is_view(*y)) y = &y->inputs()[0];
  return *y;
}

std::vector<array> ordered(const std::vector<array>& results, const Ids& given) {
  std::vector<array> order;
  std::vector<std::pair<array, size_t>> open;  // and how many of its inputs have been seen
  Ids seen = given;
  auto visit = [&](const array& x) {
    const array& y = owner(x, given);
    if (is_waiting(y) && seen.insert(y.id()).second) open.emplace_back(y, 0);
  };
  for (const array& result : results) {
    visit(result);
    while (!open.empty()) {
      auto& [x, next] = open.back();
      if (next < x.inputs().size()) {
        array input = x.inputs()[next++];
        visit(input);  // may move `open`
      } else {
        order.push_back(std::move(x));
        open.pop_back();
      }
    }
  }
  return order;
}

}  // namespace

bool is_countable(const array& x) {
  size_t limit = static_cast<size_t>(kMostElements), elements = 1;
  for (int dimension : x.shape()) {
    if (dimension < 0 || (dimension > 0 && elements > limit / static_cast<size_t>(dimension))) return false;
    elements *= static_cast<size_t>(std::max(dimension, 1));  // axes beside an empty one count, too
  }
  return true;
}

bool is_view(const array& x) {
  constexpr std::string_view kAlways[] = {"Broadcast", "ExpandDims", "Squeeze",
                                          "Transpose", "Slice",      "AsStrided"};
  constexpr std::string_view kOfWhole[] = {"Reshape", "Flatten", "Unflatten"};
  std::string_view name = x.primitive().name();
  if (std::find(std::begin(kAlways), std::end(kAlways), name) != std::end(kAlways)) return true;
  if (std::find(std::begin(kOfWhole), std::end(kOfWhole), name) == std::end(kOfWhole)) return false;
  const array& input = x.inputs()[0];
  return input.is_available() ? input.flags().row_contiguous : !is_waiting(input) || !is_view(input);
}

OwnGraph own_graph(const std::vector<array>& results, const Ids& given) {
  OwnGraph graph{ordered(results, given)};
  if (graph.order.size() == 1 && is_countable(graph.order[0])) {
    graph.peak_bytes = graph.order[0].nbytes();
    return graph;
  }
  std::unordered_map<std::uintptr_t, size_t> readers;
  for (const array& x : graph.order) {
    for (const array& input : x.inputs()) ++readers[owner(input, given).id()];
  }
  for (const array& result : results) ++readers[owner(result, given).id()];  // the frame, for good
  std::unordered_map<std::uintptr_t, uint64_t> alive;
  uint64_t bytes = 0;
  for (const array& x : graph.order) {
    if (!is_countable(x) || bytes > std::numeric_limits<uint64_t>::max() / 2) {
      graph.peak_bytes = std::numeric_limits<uint64_t>::max();
      return graph;
    }
    bytes += alive[x.id()] = x.nbytes();
    graph.peak_bytes = std::max(graph.peak_bytes, bytes);
    for (const array& input : x.inputs()) {
      auto found = alive.find(owner(input, given).id());
      if (found == alive.end() || --readers[found->first] > 0) continue;
      bytes -= found->second;
      alive.erase(found);
    }
  }
  return graph;
}

}  // namespace tintype
