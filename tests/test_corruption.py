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
from torch import nn
from zoo import CORRUPTIONS

from sklearn_ae import DenoisingAutoencoder
from sklearn_ae import corruption as corruptions
from sklearn_ae.corruption import (
    Downscale,
    GaussianNoise,
    Grayscale,
    Masking,
    SaltAndPepper,
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
LEVELS = {
    "gaussian": "standard deviation, at least 0",
    "masking": "share, 0 to 1",
    "salt_and_pepper": "share, 0 to 1",
}
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
    kind=st.sampled_from([*CORRUPTIONS, torch.negative]),
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

    for kind in (*CORRUPTIONS, in_place):
        first = corrupt(X, kind, 0.5, random_state=3)
        np.testing.assert_array_equal(corrupt(X, kind, 0.5, random_state=3), first)
        assert not np.array_equal(first, X)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


class Listener(nn.Linear):
    """An encoder that keeps what it is given."""

    given = []  # one list for all copies of the network

    def forward(self, rows):
        self.given.append(rows.detach().clone())
        return super().forward(rows)


def list_rows_in_training(X, corruption, **params):
    """Return what a network sees of the rows in its only batch, in units of X."""
    Listener.given.clear()
    how = {"encoder": Listener, "init": "random", "early_stopping": False, "max_epochs": 1}
    autoencoder = DenoisingAutoencoder(
        2, corruption=corruption, batch_size=len(X), random_state=0, **how, **params
    ).fit(X)
    rows = next(rows for rows in Listener.given if len(rows) == len(X))
    return rows.numpy() * autoencoder.scale_ + autoencoder.mean_


@pytest.mark.parametrize("corruption_range", [None, (0.2, 0.6)])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_name_does_to_standardised_rows_what_its_object_does_to_rows(
    name, scale, corruption_range
):
    X = scale * np.random.RandomState(0).uniform(size=(40, 24))
    alike = {
        "gaussian": GaussianNoise(0.4),
        "masking": Masking(0.4, fill=X.mean(axis=0)),
        "salt_and_pepper": SaltAndPepper(0.4, X.min(), X.max()),
    }
    how = {"corruption_level": 0.4, "corruption_range": corruption_range}
    by_name = list_rows_in_training(X, name, **how)
    by_object = list_rows_in_training(X, alike[name], **how)
    np.testing.assert_allclose(by_name, by_object, atol=1e-5 * max(1, scale))
    is_changed = np.abs(by_name[:, None] - X).max(axis=2).min(axis=1) > 1e-4 * scale
    assert is_changed.sum() == 36  # a tenth of the batch stays clean


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_images_in_training_are_those_of_corrupt(scale):
    X, downscale = scale * np.random.RandomState(0).uniform(size=(40, 24)), Downscale((6, 2, 2), 2)
    seen = list_rows_in_training(X, downscale)
    expected = np.concatenate([corrupt(X, downscale), X])
    distances = np.abs(seen[:, None] - expected).max(axis=2)  # (40, 80)
    assert distances.min(axis=1).max() < 1e-6 * scale
    assert (distances.argmin(axis=1) < 40).sum() == 36  # a tenth of the batch stays clean


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
        ({"corruption": "gausian"}, re.escape(f"one of {CORRUPTIONS} or a callable")),
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
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_levels_out_of_range(name, level):
    expected = f"corruption_level must be a {LEVELS[name]}, for corruption={name!r}; got {level!r}."
    with pytest.raises(ValueError, match=re.escape(expected)):
        corrupt(np.ones((5, 4)), name, level)


@pytest.mark.parametrize("name", [name for name in LEVELS if "share" in LEVELS[name]])
def test_shares_are_at_most_1(name):
    corrupt(np.ones((5, 4)), name, 1)
    with pytest.raises(ValueError, match=r"got 1\.1"):
        corrupt(np.ones((5, 4)), name, 1.1)


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
