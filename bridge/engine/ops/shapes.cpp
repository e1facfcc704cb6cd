#include "ops/shapes.h"

#include <algorithm>
#include <optional>

#include "support/error.h"

namespace tintype {

namespace {

constexpr const char* kBroadcast = "equal lengths, or 1, counted from the last axis";

std::optional<mx::Shape> broadcast(const mx::Shape& a, const mx::Shape& b) {
  const mx::Shape &longer = a.size() < b.size() ? b : a, &shorter = a.size() < b.size() ? a : b;
  mx::Shape shape = longer;
  size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int x = longer[offset + i], y = shorter[i];
    if (x != y && x != 1 && y != 1) return std::nullopt;
    shape[offset + i] = x == 1 ? y : x;
  }
  return shape;
}

}  // namespace

void check_broadcast(const Call& call, std::initializer_list<std::string_view> names) {
  std::optional<mx::Shape> shape = mx::Shape{};
  for (std::string_view name : names)
    if (shape) shape = broadcast(*shape, call.tensor(name).shape());
  if (shape) return;
  std::string which, got;
  for (std::string_view name : names) {
    bool last = name == *(names.end() - 1);
    std::string between = which.empty() ? "" : last ? " and " : ", ";
    which += between + std::string(name);
    got += between + describe_shape(call.tensor(name).shape());
  }
  call.fail(which + " do not broadcast", got, kBroadcast);
}

void check_broadcast(const Call& call, const std::string& what, const mx::Shape& a, const mx::Shape& b) {
  if (broadcast(a, b)) return;
  call.fail(what + " do not broadcast", describe_shape(a) + " and " + describe_shape(b), kBroadcast);
}

void check_broadcast_to(const Call& call, std::string_view name, const mx::Shape& from, const mx::Shape& to) {
  if (broadcast(from, to) == to) return;
  call.fail("parameter " + quoted(name) + " does not fit", describe_shape(from), describe_shape(to));
}

std::vector<int> checked_axes(const Call& call, std::string_view name, std::vector<int> axes, size_t rank) {
  std::vector<bool> seen(rank);
  for (int& axis : axes) {
    axis = call.checked_axis(name, axis, rank);
    if (seen[static_cast<size_t>(axis)])
      call.fail("parameter " + quoted(name) + " names an axis twice", std::to_string(axis), "each once");
    seen[static_cast<size_t>(axis)] = true;
  }
  return axes;
}

void check_count(const Call& call, std::string_view name, int64_t count, const std::string& what) {
  if (!call.has(name) || static_cast<int64_t>(call.tensor(name).size()) == count) return;
  call.fail(std::string(name) + " has a wrong count of values", describe_shape(call.tensor(name).shape()),
            "[" + std::to_string(count) + "], one for each " + what);
}

}  // namespace tintype
