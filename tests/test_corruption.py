"""Corruptions on their own, as callables and through `corrupt`."""

import functools
import pickle
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_sample_image

from sklearn_ae import corruption as corruptions
from sklearn_ae._units import Units
from sklearn_ae.corruption import (
    _CORRUPTIONS,
    Downscale,
    GaussianNoise,
    Grayscale,
    Masking,
    SaltAndPepper,
    _make_corruption,
    corrupt,
)

OBJECTS = [
    GaussianNoise(0.5),
    Masking(0.3),
    Masking(0.3, fill=2.0),
    SaltAndPepper(0.3),
    SaltAndPepper(0.3, low=-1.0, high=3.0),
    Grayscale((3, 2, 4)),
    Downscale((6, 2, 2), 2),
]
RANDOM = [corruption for corruption in OBJECTS if not isinstance(corruption, Grayscale | Downscale)]

unit_rows = st.builds(
    lambda n_rows, seed: np.random.RandomState(seed).uniform(size=(n_rows, 24)),
    st.integers(1, 40),
    st.integers(0, 100),
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch_of(X):
    return torch.as_tensor(X, dtype=torch.float32)


def patches(size):
    """Patches of a picture in [0, 1], rows in (channel, height, width) order."""
    picture = load_sample_image("china.jpg")[: 8 * size, : 8 * size] / 255
    blocks = picture.reshape(8, size, 8, size, 3).transpose(0, 2, 4, 1, 3)
    return blocks.reshape(64, -1)


# --------------------------------------------------------------------------- the contract


def test_every_class_has_an_object():
    assert {type(corruption).__name__ for corruption in OBJECTS} == {
        name for name in corruptions.__all__ if isinstance(getattr(corruptions, name), type)
    }


@pytest.mark.parametrize("corruption", OBJECTS, ids=repr)
@given(X=unit_rows)
def test_objects_keep_the_contract(corruption, X):
    batch = batch_of(X)
    before = batch.clone()
    corrupted = corruption(batch, generator())
    assert corrupted.shape == batch.shape
    assert corrupted.dtype == batch.dtype
    assert torch.isfinite(corrupted).all()
    assert torch.equal(batch, before)
    assert torch.equal(corruption(batch, generator()), corrupted)
    again = pickle.loads(pickle.dumps(corruption))
    assert again == corruption
    assert torch.equal(again(batch, generator()), corrupted)


@pytest.mark.parametrize("corruption", RANDOM, ids=repr)
def test_what_is_random_is_fresh_and_comes_from_the_generator(corruption):
    batch = batch_of(np.random.RandomState(0).uniform(size=(20, 24)))
    state = torch.random.get_rng_state()
    same = generator()
    assert not torch.equal(corruption(batch, same), corruption(batch, same))
    assert torch.equal(torch.random.get_rng_state(), state)


# ---------------------------------------------------------------------------- the noises


def test_gaussian_noise_is_normal():
    X = np.full((400, 500), 3.0)
    noise = corrupt(X, "gaussian", 0.7, random_state=0) - X
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(0.7, rel=0.01)
    assert np.mean(np.abs(noise) < 0.7) == pytest.approx(0.6827, abs=0.005)
    assert np.abs(np.corrcoef(noise[:, :50].T) - np.eye(50)).max() < 0.25


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_masking_fills_in_the_mean(share):
    X = np.random.RandomState(0).normal(size=(500, 40)) * np.arange(1, 41)
    corrupted = corrupt(X, "masking", share, random_state=0)
    masked = corrupted != X
    assert masked.mean() == pytest.approx(share, abs=0.01)
    np.testing.assert_allclose(corrupted[masked], np.broadcast_to(X.mean(axis=0), X.shape)[masked])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_salt_and_pepper_are_even(share):
    X = np.random.RandomState(0).normal(size=(500, 40))
    corrupted = corrupt(X, "salt_and_pepper", share, random_state=0)
    for value in (X.min(), X.max()):
        assert np.mean(corrupted == value) == pytest.approx(share / 2, abs=0.01)
    kept = (corrupted != X.min()) & (corrupted != X.max())
    np.testing.assert_array_equal(corrupted[kept], X[kept])


@given(
    X=unit_rows,
    kind=st.sampled_from([*_CORRUPTIONS, torch.negative]),
    level=st.floats(0, 1),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_range_holds(X, kind, level, dtype):
    kind = (lambda batch, _generator: -3 * batch) if callable(kind) else kind
    corrupted = corrupt(X.astype(dtype), kind, level, (0.1, 0.7), random_state=0)
    assert corrupted.dtype == dtype
    assert dtype(0.1) <= corrupted.min() <= corrupted.max() <= dtype(0.7)


def test_corrupt_leaves_X_and_the_global_generators_alone():
    X = np.random.RandomState(0).uniform(size=(20, 24))
    before, numpy_state, torch_state = X.copy(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    X.flags.writeable = False

    def in_place(batch, generator):
        return batch.mul_(2)

    for kind in (*_CORRUPTIONS, in_place):
        first = corrupt(X, kind, 0.5, random_state=3)
        np.testing.assert_array_equal(corrupt(X, kind, 0.5, random_state=3), first)
        assert not np.array_equal(first, X)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


@given(
    X=unit_rows,
    kind=st.sampled_from([*_CORRUPTIONS, Downscale((6, 2, 2), 2)]),
    scale=st.sampled_from([0.01, 1.0, 30.0]),
    corruption_range=st.sampled_from([None, (0.2, 0.6)]),
)
def test_on_standardised_rows_it_does_the_same(X, kind, scale, corruption_range):
    found = (torch.as_tensor(values) for values in (X.mean(axis=0), X.min(axis=0), X.max(axis=0)))
    units = Units(*found, scale)
    plain = Units(units.feature_mean, units.low, units.high, 1.0, standardizes=False)

    def corrupt_in(units):
        corruption = _make_corruption(kind, 0.4, corruption_range, units)
        return units.restore(corruption(units.standardize(torch.as_tensor(X)), generator()))

    torch.testing.assert_close(corrupt_in(units), corrupt_in(plain), atol=1e-5, rtol=0)


# ------------------------------------------------------------------------------ pictures


def test_grayscale():
    X = patches(8)
    gray = corrupt(X, Grayscale((3, 8, 8))).reshape(64, 3, 64)
    red, green, blue = X.reshape(64, 3, 64).transpose(1, 0, 2)
    for channel in range(3):
        np.testing.assert_allclose(
            gray[:, channel], 0.299 * red + 0.587 * green + 0.114 * blue, atol=1e-6
        )
    np.testing.assert_allclose(
        corrupt(gray.reshape(64, -1), Grayscale((3, 8, 8))), gray.reshape(64, -1), atol=1e-6
    )


@pytest.mark.parametrize(("factor", "channels"), [(1, 3), (2, 3), (4, 1), (8, 3)])
def test_downscale_is_the_mean_of_blocks(factor, channels):
    X = patches(8)[:, : channels * 64]
    small = 8 // factor
    blocks = X.reshape(64, channels, small, factor, small, factor).mean(axis=(3, 5))
    expected = blocks.repeat(factor, axis=2).repeat(factor, axis=3).reshape(64, -1)
    corrupted = corrupt(X, Downscale((channels, 8, 8), factor))
    np.testing.assert_allclose(corrupted, expected, atol=1e-6)
    twice = corrupt(corrupted, Downscale((channels, 8, 8), factor))
    np.testing.assert_allclose(twice, corrupted, atol=1e-6)


@pytest.mark.parametrize("factor", [3, 41, 47])  # 1 / 41 and 1 / 47 are too small in float32
def test_every_pixel_of_a_block_is_its_mean(factor):
    blocks = np.arange(4.0).reshape(1, 2, 1, 2, 1)
    X = np.broadcast_to(blocks, (1, 2, factor, 2, factor)).reshape(1, -1)
    np.testing.assert_array_equal(corrupt(X, Downscale((1, 2 * factor, 2 * factor), factor)), X)


def test_image_shape_may_be_a_list():
    assert Grayscale([3, 2, 4]) == Grayscale((3, 2, 4))
    assert hash(Downscale([1, 4, 4], 2)) == hash(Downscale((1, 4, 4), 2))


def test_pictures_need_not_be_square():
    X = np.arange(2.0 * 24).reshape(2, 24)
    corrupted = corrupt(X, Downscale((1, 4, 6), 2)).reshape(2, 4, 6)
    assert corrupted[0, 0, 0] == corrupted[0, 1, 1] == (0 + 1 + 6 + 7) / 4


# -------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Grayscale((1, 8, 8)), r"3 channels.*\(channels, height, width\)"),
        (lambda: Grayscale((8, 8, 3)), "Channels come first"),
        (lambda: Downscale((8, 8, 3), 2), "Channels come first"),
        (lambda: Grayscale(64), "image_shape must be three ints"),
        (lambda: Grayscale((3, 8)), "image_shape must be three ints"),
        (lambda: Downscale((3, 8, 0), 2), "image_shape must be three ints"),
        (lambda: Downscale((3, 8, 8.5), 2), "image_shape must be three ints"),
        (lambda: Downscale((3, 8, 12), 3), r"factor=3 does not divide .*; \[1, 2, 4\] do"),
        (lambda: Downscale((3, 8, 8), 0), "factor must be an int of at least 1"),
        (lambda: Downscale((3, 8, 8), 2.0), "factor must be an int of at least 1"),
        (lambda: GaussianNoise(-1.0), "std must be a standard deviation, at least 0"),
        (lambda: Masking(1.5), "share must be a share, 0 to 1"),
        (lambda: SaltAndPepper(-0.1), "share must be a share, 0 to 1"),
    ],
)
def test_impossible_pictures(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("corruption", [Grayscale((3, 8, 8)), Downscale((3, 8, 8), 2)], ids=repr)
def test_pictures_of_another_size(corruption):
    with pytest.raises(ValueError, match=r"3 x 8 x 8 = 192 features, but X has 100"):
        corrupt(np.ones((5, 100)), corruption)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"corruption": "gausian"}, re.escape(f"one of {tuple(_CORRUPTIONS)} or a callable")),
        ({"corruption": None}, "corruption must be one of"),
        ({"corruption_range": (1, 0)}, r"low < high.*got \(1, 0\)"),
        ({"corruption_range": (1, 1)}, "low < high"),
        ({"corruption_range": (0, np.nan)}, "low < high"),
        ({"corruption_range": (0, 1, 2)}, "pair"),
        ({"corruption_range": "01"}, "pair"),
        ({"corruption_range": ("0", "1")}, "pair"),
        ({"corruption_range": [0, [1, 2]]}, "pair"),
    ],
)
def test_parameters_out_of_range(how, message):
    with pytest.raises(ValueError, match=message):
        corrupt(np.ones((5, 4)), **how)


@pytest.mark.parametrize("level", [-0.1, np.inf, np.nan, "high"])
@pytest.mark.parametrize("name", _CORRUPTIONS)
def test_levels_out_of_range(name, level):
    meaning = _CORRUPTIONS[name].level_meaning
    expected = f"corruption_level must be a {meaning}, for corruption={name!r}; got {level!r}."
    with pytest.raises(ValueError, match=re.escape(expected)):
        corrupt(np.ones((5, 4)), name, level)


@pytest.mark.parametrize(
    "name", [x for x in _CORRUPTIONS if _CORRUPTIONS[x].highest_level < np.inf]
)
def test_highest_level(name):
    highest = _CORRUPTIONS[name].highest_level
    corrupt(np.ones((5, 4)), name, highest)
    with pytest.raises(ValueError, match=f"got {highest + 0.1}"):
        corrupt(np.ones((5, 4)), name, highest + 0.1)


def narrower(batch, generator):
    return batch[:, 1:]


def in_double(batch, generator):
    return batch.double()


def elsewhere(batch, generator):
    return batch.to("meta")


def never_finite(batch, generator):
    return batch / 0


def in_numpy(batch, generator):
    return batch.numpy()


@pytest.mark.parametrize(
    ("corruption", "message"),
    [
        (
            narrower,
            r"narrower must return a batch with the shape of its input, \(5, 4\); got \(5, 3\)",
        ),
        (in_double, r"in_double .* the dtype of its input, torch.float32; got torch.float64"),
        (elsewhere, r"elsewhere .* the device of its input, cpu; got meta"),
        (never_finite, "never_finite returned values that are not finite"),
        (in_numpy, "in_numpy must return a torch tensor; got a ndarray"),
        (functools.partial(narrower), r"functools.partial\(<function narrower"),
    ],
)
def test_a_callable_that_breaks_the_contract_is_named(corruption, message):
    with pytest.raises(ValueError, match=message):
        corrupt(np.ones((5, 4)), corruption)


def test_large_finite_values_are_finite():
    huge = np.full((5, 4), 3e38)
    np.testing.assert_allclose(corrupt(huge, lambda batch, _generator: batch), huge, rtol=1e-6)


def test_the_error_of_a_callable_is_its_own():
    def failing(batch, generator):
        raise RuntimeError("my own")

    with pytest.raises(RuntimeError, match="my own"):
        corrupt(np.ones((5, 4)), failing)


@pytest.mark.parametrize(
    ("X", "how"),
    [
        (np.full((40, 2), 1.7e308), {"corruption": "masking"}),
        (np.zeros((4, 2), np.float32), {"corruption": "gaussian", "corruption_level": 1e39}),
        (np.zeros((4, 2), np.float32), {"corruption": lambda batch, _: batch + 3e38 + 3e38}),
    ],
)
def test_too_large_for_the_dtype(X, how):
    with pytest.raises(ValueError, match=r"too large for|not finite"):
        corrupt(X, **how, random_state=0)


def test_mean_of_the_largest_numbers():
    X = np.full((4, 2), 3e38, np.float32)
    np.testing.assert_array_equal(corrupt(X, "masking", random_state=0), X)


@pytest.mark.parametrize("act", [Masking(0.5, [1, 2, 3]), SaltAndPepper(0.5, high=np.ones(3))])
def test_values_for_other_features(act):
    with pytest.raises(ValueError, match=r"each of 6 features; got values of shape \(3,\)"):
        corrupt(np.zeros((5, 6)), act)


@pytest.mark.parametrize("corruption_range", [(1e100, 1e300), (-1e300, -1e100)])
def test_range_that_float32_has_nothing_of(corruption_range):
    with pytest.raises(ValueError, match="with float32 numbers between"):
        corrupt(np.zeros((5, 6)), corruption_range=corruption_range)
