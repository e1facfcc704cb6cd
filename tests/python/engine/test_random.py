"""Random ops: the right distribution, and the same values for the same seed."""

import numpy as np

from .programs import Case, mb, run

COUNT = 40000


def drawn(op):
    """What the op draws, twice; a zero tensor goes in, because a program needs an input."""
    case = Case("random", lambda x: mb.add(x=op(), y=x), {"x": np.zeros(COUNT, np.float32)})
    first, second = run(case)[0], run(case)[0]
    np.testing.assert_array_equal(first, second)
    return first


def test_normal():
    y = drawn(lambda: mb.random_normal(shape=[COUNT], mean=2.0, stddev=0.5, seed=3))
    assert abs(y.mean() - 2) < 0.02
    assert abs(y.std() - 0.5) < 0.02


def test_uniform():
    y = drawn(lambda: mb.random_uniform(shape=[COUNT], low=-1.0, high=3.0, seed=4))
    assert y.min() >= -1
    assert y.max() < 3
    assert abs(y.mean() - 1) < 0.03


def test_bernoulli():
    y = drawn(lambda: mb.random_bernoulli(shape=[COUNT], prob=0.3, seed=5))
    assert set(np.unique(y)) == {0.0, 1.0}
    assert abs(y.mean() - 0.3) < 0.02


def test_categorical():
    x = np.tile(np.array([[0.2, 0.0, 0.8]], np.float32), (2, 1))
    case = Case(
        "categorical", lambda x: mb.random_categorical(x=x, mode="probs", size=4000, seed=6), {"x": x}
    )
    (y,) = run(case)
    assert y.shape == (2, 4000)
    assert set(np.unique(y)) == {0, 2}
    assert abs((y == 2).mean() - 0.8) < 0.03


def test_no_seed_draws_anew():
    case = Case(
        "random",
        lambda x: mb.add(x=mb.random_normal(shape=[8], seed=-1), y=x),
        {"x": np.zeros(8, np.float32)},
    )
    assert not np.array_equal(run(case)[0], run(case)[0])
