#include <algorithm>
#include <map>
#include <stdexcept>

#include "kernels/elements.h"
#include "ops/call.h"
#include "ops/registry.h"
#include "ops/shapes.h"
#include "run/compute.h"

namespace tintype {

namespace {

array select(Call& call) {
  check_broadcast(call, {"cond", "a", "b"});
  return kernels::select(mx::astype(call.tensor("cond"), mx::bool_), call.tensor("a"), call.tensor("b"));
}

bool is_true(Call& call, array predicate) {
  if (predicate.size() != 1)
    call.fail("the condition is no single value", describe_shape(predicate.shape()), "[]");
  predicate = mx::astype(predicate, mx::bool_);
  compute({predicate});
  return predicate.item<bool>();
}

std::vector<array> cond(Call& call) {
  return call.run_block(is_true(call, call.tensor("pred")) ? 0 : 1, {});
}

// Block 0 is the condition, block 1 the body; the values are evaluated every round so that no graph piles up.
std::vector<array> while_loop(Call& call) {
  constexpr int kMostRounds = 1 << 24;
  std::vector<array> values = call.tensors("loop_vars");
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<array> condition = call.run_block(0, values);
    if (condition.empty()) call.fail("the condition's block returns nothing", "0 values", "1");
    if (!is_true(call, condition[0])) return values;
    values = call.run_block(1, values);
    compute(values);
    call.poll();
  }
  call.fail("the loop does not end", std::to_string(kMostRounds) + " rounds", "fewer");
}

/*
 * A list is one tensor, its elements along axis 0. Lengths of an element that are known only once one is
 * written are 0 until then; elements that nobody wrote are 0. Writing beyond the end makes the list longer.
 */
array make_list(Call& call) {
  std::vector<int> shape = call.lengths("elem_shape");
  shape.insert(shape.begin(), call.integer_or("init_length", 1));
  for (int& length : shape) {
    if (length < -1 || (length == -1 && &length == &shape[0]))
      call.fail("a length of the list is negative", std::to_string(length), "0 or more");
    length = std::max(length, 0);
  }
  std::string name = call.text_or("dtype", "fp32");
  const std::map<std::string, mx::Dtype> dtypes = {
      {"fp32", mx::float32}, {"fp16", mx::float16},  {"int32", mx::int32}, {"bool", mx::bool_},
      {"int16", mx::int16},  {"uint16", mx::uint16}, {"int8", mx::int8},   {"uint8", mx::uint8}};
  auto dtype = dtypes.find(name);
  if (dtype == dtypes.end())
    call.fail("unknown dtype", name, "fp32, fp16, int32, int16, uint16, int8, uint8 or bool");
  return mx::zeros(to_shape(shape), dtype->second);
}

const array& list_of(Call& call) {
  const array& list = call.tensor("ls");
  if (list.ndim() == 0) call.fail("ls is no list", "a number", "a list");
  return list;
}

// The list with room for `count` elements like `element`; checked_indices bounds the count.
array grown(Call& call, array list, int count, const mx::Shape& element) {
  mx::Shape inner(list.shape().begin() + 1, list.shape().end()), whole = list.shape();
  bool unwritten = list.size() == 0 && inner.size() == element.size();
  for (size_t i = 0; unwritten && i < inner.size(); ++i) unwritten = inner[i] == element[i] || inner[i] == 0;
  if (inner != element && !unwritten)
    call.fail("the value is no element of the list", describe_shape(element), describe_shape(inner));
  std::copy(element.begin(), element.end(), whole.begin() + 1);
  if (inner != element) list = mx::zeros(whole, list.dtype());
  if (count <= whole[0]) return list;
  whole[0] = count - whole[0];
  return mx::concatenate({list, mx::zeros(whole, list.dtype())}, 0);
}

std::vector<int> checked_indices(Call& call, std::vector<int> indices, int limit) {
  for (int index : indices) {
    if (index < 0 || index >= limit)
      call.fail("an index lies outside the list", std::to_string(index), "0 to " + std::to_string(limit - 1));
  }
  return indices;
}

int checked_index(Call& call, int limit) {
  return checked_indices(call, {call.integer("index")}, limit)[0];
}

array list_scatter(Call& call) {
  const array &list = list_of(call), &values = call.tensor("value");
  std::vector<int> indices = checked_indices(call, call.integers("indices"), 1 << 24);
  if (values.ndim() == 0 || static_cast<size_t>(values.shape(0)) != indices.size())
    call.fail("value and indices have another count", describe_shape(values.shape()),
              std::to_string(indices.size()));
  int longest = indices.empty() ? 0 : *std::max_element(indices.begin(), indices.end()) + 1;
  array target = grown(call, list, longest, mx::Shape(values.shape().begin() + 1, values.shape().end()));
  if (values.size() == 0) return target;
  array index = array(indices.begin(), {static_cast<int>(indices.size())});
  return mx::scatter(target, index, mx::expand_dims(mx::astype(values, target.dtype()), 1), 0);
}

array list_write(Call& call) {
  const array& value = call.tensor("value");
  int index = checked_index(call, 1 << 24);
  array target = grown(call, list_of(call), index + 1, value.shape());
  mx::Shape start(target.ndim(), 0), stop = target.shape();
  start[0] = index, stop[0] = index + 1;
  return mx::slice_update(target, mx::expand_dims(mx::astype(value, target.dtype()), 0), start, stop);
}

array list_read(Call& call) {
  const array& list = list_of(call);
  int index = checked_index(call, list.shape(0));
  mx::Shape start(list.ndim(), 0), stop = list.shape();
  start[0] = index, stop[0] = index + 1;
  return mx::squeeze(mx::slice(list, start, stop), 0);
}

array list_gather(Call& call) {
  const array& list = list_of(call);
  std::vector<int> indices = checked_indices(call, call.integers("indices"), list.shape(0));
  return mx::take(list, array(indices.begin(), {static_cast<int>(indices.size())}), 0);
}

array list_length(Call& call) {
  return array(list_of(call).shape(0));
}

// The checker sees to it that every constant has a value, and the loader takes it.
std::vector<array> constant(Call&) {
  throw std::logic_error("a constant was computed");
}

}  // namespace

OpTable control_flow_ops() {
  return {
      {"cond", cond, "pred", 2, 0},
      {"const", constant, ""},
      {"list_gather", list_gather, "ls indices"},
      {"list_length", list_length, "ls"},
      {"list_read", list_read, "ls index"},
      {"list_scatter", list_scatter, "ls indices value"},
      {"list_write", list_write, "ls index value"},
      {"make_list", make_list, "init_length? dynamic_length? elem_shape*? dtype?"},
      {"select", select, "cond a b"},
      {"while_loop", while_loop, "loop_vars*", 2, 0},
  };
}

}  // namespace tintype
