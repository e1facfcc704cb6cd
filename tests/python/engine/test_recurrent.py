"""recurrent ops against numpy, step by step."""

import numpy as np
import pytest

from .programs import Case, check, ct, mb

RNG = np.random.RandomState(9)
S, B, WIDTH, H = 5, 2, 3, 4


def randn(*shape):
    return (RNG.randn(*shape) * 0.5).astype(np.float32)


X = randn(S, B, WIDTH)
FORTH = {"w": randn(4 * H, WIDTH), "r": randn(4 * H, H), "b": randn(4 * H), "p": randn(3 * H)}
BACK = {"w": randn(4 * H, WIDTH), "r": randn(4 * H, H), "b": randn(4 * H), "p": randn(3 * H)}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, hidden, cell, weights, peephole=False, gate=sigmoid, candidate=np.tanh, output=np.tanh):
    """All hidden states, the last hidden state and the last cell state; gates i, f, o, z."""
    p = np.split(weights["p"] * peephole, 3)
    states = []
    for step in x:
        i, f, o, z = np.split(step @ weights["w"].T + hidden @ weights["r"].T + weights["b"], 4, -1)
        i, f = gate(i + p[0] * cell), gate(f + p[1] * cell)
        cell = f * cell + i * candidate(z)
        hidden = gate(o + p[2] * cell) * output(cell)
        states.append(hidden)
    return np.stack(states), hidden, cell


def call(x, h, c, **extra):
    return mb.lstm(
        x=x, initial_h=h, initial_c=c, weight_ih=FORTH["w"], weight_hh=FORTH["r"], bias=FORTH["b"], **extra
    )


@pytest.mark.parametrize("peephole", [False, True])
@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_lstm(direction, sequence, peephole):
    extra = {"peephole": FORTH["p"]} if peephole else {}

    def reference(x, h, c):
        turn = slice(None, None, -1 if direction == "reverse" else 1)
        states, hidden, cell = lstm(x[turn], h, c, FORTH, peephole)
        return (states if sequence else hidden[None]), hidden, cell

    def op(x, h, c):
        return call(x, h, c, direction=direction, output_sequence=sequence, **extra)

    check(Case("lstm", op, {"x": X, "h": randn(B, H), "c": randn(B, H)}, reference))


def test_bidirectional_lstm():
    def op(x, h, c):
        back = {"weight_ih_back": BACK["w"], "weight_hh_back": BACK["r"], "bias_back": BACK["b"]}
        return call(x, h, c, direction="bidirectional", output_sequence=True, **back)

    def reference(x, h, c):
        forth = lstm(x, h[:, :H], c[:, :H], FORTH)
        back = lstm(x[::-1], h[:, H:], c[:, H:], BACK)
        states = np.concatenate([forth[0], back[0][::-1]], -1)
        return states, np.concatenate([forth[1], back[1]], -1), np.concatenate([forth[2], back[2]], -1)

    check(Case("bidirectional", op, {"x": X, "h": randn(B, 2 * H), "c": randn(B, 2 * H)}, reference))


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


@pytest.mark.parametrize("sequence", [False, True])
def test_lstm_with_every_parameter(sequence):
    """Both directions with peepholes and other activations, and the cell gate held to ±0.3."""
    parameters = {
        "recurrent_activation": "hard_sigmoid",
        "cell_activation": "linear",
        "activation": "relu",
        "clip": 0.3,
    }

    def op(x, h, c):
        back = {f"{name}_back": BACK[key] for name, key in
                (("weight_ih", "w"), ("weight_hh", "r"), ("bias", "b"), ("peephole", "p"))}  # fmt: skip
        return call(x, h, c, direction="bidirectional", output_sequence=sequence, peephole=FORTH["p"], **back,
                    **parameters)  # fmt: skip

    def reference(x, h, c):
        functions = (True, hard_sigmoid, lambda z: np.clip(z, -0.3, 0.3), lambda z: np.maximum(z, 0))
        forth = lstm(x, h[:, :H], c[:, :H], FORTH, *functions)
        back = lstm(x[::-1], h[:, H:], c[:, H:], BACK, *functions)
        states = np.concatenate([forth[0], back[0][::-1]], -1)
        last = np.concatenate([forth[1], back[1]], -1)
        return states if sequence else last[None], last, np.concatenate([forth[2], back[2]], -1)

    check(Case("lstm", op, {"x": X, "h": randn(B, 2 * H), "c": randn(B, 2 * H)}, reference))


@pytest.mark.parametrize("activation", ["tanh", "hard_sigmoid", "sigmoid_hard"])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_rnn(direction, activation):
    weight, recurrent, bias = randn(H, WIDTH), randn(H, H), randn(H)

    def op(x, h):
        return mb.rnn(
            x=x, initial_h=h, weight_ih=weight, weight_hh=recurrent, bias=bias,
            direction=direction, output_sequence=True, activation=activation,
        )  # fmt: skip

    def reference(x, h):
        turn = slice(None, None, -1 if direction == "reverse" else 1)
        states, function = [], np.tanh if activation == "tanh" else hard_sigmoid
        for step in x[turn]:
            h = function(step @ weight.T + h @ recurrent.T + bias)
            states.append(h)
        return np.stack(states), h

    check(Case("rnn", op, {"x": X, "h": randn(B, H)}, reference))


@pytest.mark.parametrize("form", ["before", "after", "after_two_biases"])
@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_gru(direction, sequence, form):
    """The reset gate acts on the state before its product, or (PyTorch's form) on the product and its bias."""
    w, r, b, input_bias = FORTH["w"][: 3 * H], FORTH["r"][: 3 * H], FORTH["b"][: 3 * H], BACK["b"][: 3 * H]
    extra = {} if form == "before" else {"reset_after": True}
    if form == "after_two_biases":
        extra["input_bias"] = input_bias
    turn = slice(None, None, -1 if direction == "reverse" else 1)

    def op(x, h):
        return mb.gru(
            x=x, initial_h=h, weight_ih=w, weight_hh=r, bias=b, direction=direction, output_sequence=sequence, **extra
        )  # fmt: skip

    def reference(x, h):
        states = []
        for step in x[turn]:
            from_x = np.split(step @ w.T + extra.get("input_bias", 0), 3, -1)
            weights, biases = np.split(r, 3), np.split(b, 3)
            reset = sigmoid(from_x[0] + h @ weights[0].T + biases[0])
            update = sigmoid(from_x[2] + h @ weights[2].T + biases[2])
            if form == "before":
                from_h = (reset * h) @ weights[1].T + biases[1]
            else:
                from_h = reset * (h @ weights[1].T + biases[1])
            h = (1 - update) * np.tanh(from_x[1] + from_h) + update * h
            states.append(h)
        return np.stack(states) if sequence else h[None], h

    opset = ct.target.iOS17 if form == "before" else ct.target.iOS18
    check(Case("gru", op, {"x": X, "h": randn(B, H)}, reference, opset=opset))


def test_gru_with_other_activations():
    w, r, b = FORTH["w"][: 3 * H], FORTH["r"][: 3 * H], FORTH["b"][: 3 * H]

    def op(x, h):
        return mb.gru(x=x, initial_h=h, weight_ih=w, weight_hh=r, bias=b, output_sequence=True,
                      recurrent_activation="sigmoid_hard", activation="relu")  # fmt: skip

    def reference(x, h):
        states, weights, biases = [], np.split(r, 3), np.split(b, 3)
        for step in x:
            from_x = np.split(step @ w.T, 3, -1)
            reset = hard_sigmoid(from_x[0] + h @ weights[0].T + biases[0])
            update = hard_sigmoid(from_x[2] + h @ weights[2].T + biases[2])
            candidate = np.maximum(from_x[1] + (reset * h) @ weights[1].T + biases[1], 0)
            h = (1 - update) * candidate + update * h
            states.append(h)
        return np.stack(states), h

    check(Case("gru", op, {"x": X, "h": randn(B, H)}, reference))
