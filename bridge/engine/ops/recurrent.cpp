#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/precision.h"
#include "ops/registry.h"
#include "run/compute.h"

namespace tintype {

namespace {

array activated(Call& call, const std::string& name, const array& x) {
  if (name == "sigmoid") return kernels::sigmoid(x);
  if (name == "tanh") return mx::tanh(x);
  if (name == "relu") return mx::maximum(x, scalar_like(0, x));
  if (name == "linear") return x;
  if (name == "sigmoid_hard" || name == "hard_sigmoid") {  // spelt by opsets in both ways
    array line = mx::add(mx::multiply(x, scalar_like(0.2, x)), scalar_like(0.5, x));
    return mx::minimum(mx::maximum(line, scalar_like(0, x)), scalar_like(1, x));
  }
  call.fail("unknown activation", name, "sigmoid, tanh, relu, linear, sigmoid_hard or hard_sigmoid");
}

/** The weights of one direction and what passes from step to step. */
struct Direction {
  array weight_ih, weight_hh;  // [gates * h, in], [gates * h, h]
  std::optional<array> bias, peephole;
  array hidden;  // [b, h]
  bool backwards;
};

void check_sequence(Call& call, const array& x) {
  constexpr int kMostSteps = 1 << 20;
  if (x.ndim() != 3 || x.shape(0) < 1 || x.shape(0) > kMostSteps) {
    call.fail("x has a wrong shape", describe_shape(x.shape()),
              "[s, b, in] with s of 1 to " + std::to_string(kMostSteps));
  }
}

// Every step is a part of the graph, and a long sequence's would fill the memory: it is computed in pieces.
void settle(Call& call, int done, std::vector<array> values) {
  constexpr int kPiece = 256;
  if (done % kPiece != kPiece - 1) return;
  compute(std::move(values));
  call.poll();
}

array step(const array& x, int t) {
  return mx::squeeze(mx::slice(x, {t, 0, 0}, {t + 1, x.shape(1), x.shape(2)}), 0);
}

// Products of all steps with the input weights: one matrix product instead of one a step.
array input_products(const array& x, const Direction& d) {
  return kernels::matmul(x, mx::transpose(d.weight_ih), d.bias);
}

void check_sizes(Call& call, const array& x, const Direction& d, int gates) {
  int64_t hidden = d.hidden.ndim() == 2 ? d.hidden.shape(-1) : -1;
  bool fits = x.ndim() == 3 && hidden >= 0 && d.weight_ih.ndim() == 2 && d.weight_hh.ndim() == 2 &&
              d.weight_ih.shape(0) == gates * hidden && d.weight_ih.shape(1) == x.shape(2) &&
              d.weight_hh.shape(0) == gates * hidden && d.weight_hh.shape(1) == hidden &&
              d.hidden.shape(0) == x.shape(1);
  if (!fits)
    call.fail(
        "x, the state and the weights do not fit",
        describe_shape(x.shape()) + ", " + describe_shape(d.hidden.shape()) + ", " +
            describe_shape(d.weight_ih.shape()) + " and " + describe_shape(d.weight_hh.shape()),
        "[s, b, in], [b, h], [" + std::to_string(gates) + " h, in] and [" + std::to_string(gates) + " h, h]");
}

/** All hidden states [s, b, h] and the last cell state of one direction of an LSTM; gates i, f, o, z. */
std::pair<array, array> run_lstm(Call& call, const array& x, const Direction& d, array cell) {
  check_sizes(call, x, d, 4);
  std::string recurrent = call.text_or("recurrent_activation", "sigmoid");
  std::string cell_activation = call.text_or("cell_activation", "tanh"),
              output = call.text_or("activation", "tanh");
  int steps = x.shape(0), h = d.hidden.shape(-1);
  array products = input_products(x, d), hidden = d.hidden, turned = mx::transpose(d.weight_hh);
  std::vector<array> all(static_cast<size_t>(steps), hidden);
  auto peep = [&](const array& gate, int i, const array& state) {
    if (!d.peephole) return gate;
    return mx::add(gate, mx::multiply(state, mx::slice(*d.peephole, {i * h}, {(i + 1) * h})));
  };
  for (int k = 0; k < steps; ++k) {
    int t = d.backwards ? steps - 1 - k : k;
    auto gates = mx::split(mx::add(step(products, t), kernels::matmul(hidden, turned)), 4, -1);
    array in = activated(call, recurrent, peep(gates[0], 0, cell)),
          forget = activated(call, recurrent, peep(gates[1], 1, cell));
    array candidate = activated(call, cell_activation, gates[3]);
    if (call.has("clip")) {
      array limit = scalar_like(call.number("clip"), candidate);
      candidate = mx::minimum(mx::maximum(candidate, mx::negative(limit)), limit);
    }
    cell = mx::add(mx::multiply(forget, cell), mx::multiply(in, candidate));
    array out = activated(call, recurrent, peep(gates[2], 2, cell));
    hidden = mx::multiply(out, activated(call, output, cell));
    all[static_cast<size_t>(k)] = hidden;
    settle(call, k, {hidden, cell});
  }
  return {mx::stack(all, 0), cell};
}

Direction direction(Call& call, const char* suffix, const array& hidden, bool backwards) {
  auto name = [&](const char* base) { return std::string(base) + suffix; };
  return {call.wide(name("weight_ih")),
          call.wide(name("weight_hh")),
          call.wide_or_none(name("bias")),
          call.wide_or_none(name("peephole")),
          hidden,
          backwards};
}

/*
 * All states are in the order of the steps: against time where a direction is "reverse", as Core ML returns
 * them (coremltools' tests hold it to PyTorch on a turned sequence). Only the backward half of
 * "bidirectional" is turned to go along with the forward half.
 */
array in_time(const array& all) {
  return mx::flip(all, std::vector<int>{0});
}

array last_state(const array& all) {
  return step(all, all.shape(0) - 1);
}

// The whole sequence, or its last state.
array sequence(Call& call, const array& all) {
  return call.flag_or("output_sequence", false) ? all : mx::expand_dims(last_state(all), 0);
}

// x [s, b, in]; outputs: the sequence or last output, the last hidden state, the last cell state.
std::vector<array> lstm(Call& call) {
  array x = call.wide("x"), initial = call.wide("initial_h"), cell = call.wide("initial_c");
  std::string order = call.text_or("direction", "forward");
  check_sequence(call, x);
  if (order != "bidirectional") {
    bool backwards = order == "reverse";
    auto [all, last_cell] = run_lstm(call, x, direction(call, "", initial, backwards), cell);
    return {sequence(call, all), last_state(all), last_cell};
  }
  auto hidden = mx::split(initial, 2, -1), cells = mx::split(cell, 2, -1);
  auto [forth, forth_cell] = run_lstm(call, x, direction(call, "", hidden[0], false), cells[0]);
  auto [back, back_cell] = run_lstm(call, x, direction(call, "_back", hidden[1], true), cells[1]);
  array backward = call.flag_or("output_sequence", false) ? in_time(back) : sequence(call, back);
  return {mx::concatenate({sequence(call, forth), backward}, -1),
          mx::concatenate({last_state(forth), last_state(back)}, -1),
          mx::concatenate({forth_cell, back_cell}, -1)};
}

// h = act(x W + h R + b)
std::vector<array> rnn(Call& call) {
  array x = call.wide("x");
  bool backwards = call.text_or("direction", "forward") == "reverse";
  Direction d = direction(call, "", call.wide("initial_h"), backwards);
  check_sequence(call, x);
  check_sizes(call, x, d, 1);
  array products = input_products(x, d), hidden = d.hidden, turned = mx::transpose(d.weight_hh);
  std::string name = call.text_or("activation", "tanh");
  std::vector<array> all(static_cast<size_t>(x.shape(0)), hidden);
  for (int k = 0; k < x.shape(0); ++k) {
    int t = backwards ? x.shape(0) - 1 - k : k;
    hidden = activated(call, name, mx::add(step(products, t), kernels::matmul(hidden, turned)));
    all[static_cast<size_t>(k)] = hidden;
    settle(call, k, {hidden});
  }
  array stacked = mx::stack(all, 0);
  return {sequence(call, stacked), last_state(stacked)};
}

/**
 * One direction of a GRU; gates r, o, z. The reset gate acts on the hidden state before the product, or, with
 * reset_after (iOS18, PyTorch's form), on the product and its bias.
 */
array run_gru(Call& call, const array& x, const Direction& d, const std::optional<array>& input_bias) {
  check_sizes(call, x, d, 3);
  std::string recurrent = call.text_or("recurrent_activation", "sigmoid"),
              output = call.text_or("activation", "tanh");
  bool after = call.flag_or("reset_after", false);
  array products = kernels::matmul(x, mx::transpose(d.weight_ih), input_bias), hidden = d.hidden;
  std::vector<array> weights = mx::split(mx::transpose(d.weight_hh), 3, -1), biases;
  if (d.bias) biases = mx::split(*d.bias, 3, 0);
  auto product = [&](const array& state, size_t i) {
    array y = kernels::matmul(state, weights[i]);
    return d.bias ? mx::add(y, biases[i]) : y;
  };
  std::vector<array> all(static_cast<size_t>(x.shape(0)), hidden);
  for (int k = 0; k < x.shape(0); ++k) {
    int t = d.backwards ? x.shape(0) - 1 - k : k;
    auto from_x = mx::split(step(products, t), 3, -1);
    array reset = activated(call, recurrent, mx::add(from_x[0], product(hidden, 0)));
    array from_h = after ? mx::multiply(reset, product(hidden, 1)) : product(mx::multiply(reset, hidden), 1);
    array candidate = activated(call, output, mx::add(from_x[1], from_h));
    array update = activated(call, recurrent, mx::add(from_x[2], product(hidden, 2)));
    hidden = mx::add(candidate, mx::multiply(update, mx::subtract(hidden, candidate)));
    all[static_cast<size_t>(k)] = hidden;
    settle(call, k, {hidden});
  }
  return mx::stack(all, 0);
}

std::vector<array> gru(Call& call) {
  array x = call.wide("x");
  check_sequence(call, x);
  bool backwards = call.text_or("direction", "forward") == "reverse";
  Direction d = direction(call, "", call.wide("initial_h"), backwards);
  array all = run_gru(call, x, d, call.wide_or_none("input_bias"));
  return {sequence(call, all), last_state(all)};
}

}  // namespace

OpTable recurrent_ops() {
  return {
      {"gru", gru,
       "x initial_h weight_ih weight_hh bias? direction? output_sequence? recurrent_activation? activation? "
       "reset_after? input_bias?"},
      {"lstm", lstm,
       "x initial_h initial_c weight_ih weight_hh bias? peephole? weight_ih_back? weight_hh_back? bias_back? "
       "peephole_back? direction? output_sequence? recurrent_activation? cell_activation? activation? clip?"},
      {"rnn", rnn, "x initial_h weight_ih weight_hh bias? direction? output_sequence? activation?"},
  };
}

}  // namespace tintype
