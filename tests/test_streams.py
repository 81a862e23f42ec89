"""What is a statistic of rows is that of all chunks, not of the last one."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from zoo import make_estimator

from sklearn_ae import AutoencoderTransformer, VariationalAutoencoder

SMALL = {"hidden_layer_sizes": (8,), "random_state": 0}
rng = np.random.default_rng(0)
W = rng.normal(size=(2, 8))


def draw(n_rows, share=0.1):
    X = rng.normal(size=(n_rows, 2)) @ W + 0.3 * rng.normal(size=(n_rows, 8))
    return np.where(rng.random(X.shape) < share, np.nan, X)


def train(estimator, share=0.1):
    for _ in range(4):
        estimator.partial_fit(draw(200, share))
    return estimator


MAKERS = {
    "plain": lambda: AutoencoderTransformer(2, **SMALL),
    "ordered": lambda: AutoencoderTransformer(2, ordered=True, **SMALL),
    "variational": lambda: VariationalAutoencoder(2, **SMALL),
    "denoising": lambda: make_estimator("denoising", n_components=2, **SMALL),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_chunk_without_any_value_changes_nothing(name):
    autoencoder = train(MAKERS[name]())
    before = pickle.dumps(autoencoder)
    autoencoder.partial_fit(np.full((10, 8), np.nan))
    assert pickle.dumps(autoencoder) == before


@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.parametrize("is_saved", [False, True])
def test_the_last_row_counts_as_one_row(is_saved, share):
    variational, ordered = (train(MAKERS[name](), share) for name in ("variational", "ordered"))
    noise, shares = variational.noise_variance_, ordered.explained_variance_ratio_
    X = draw(100, 0.0)
    if is_saved:
        variational, ordered = pickle.loads(pickle.dumps((variational, ordered)))
    variational.partial_fit(5 * draw(1, 0.0))
    ordered.partial_fit(draw(1, 0.0))
    assert_allclose(variational.noise_variance_, noise, rtol=0.1)
    assert_allclose(ordered.explained_variance_ratio_, shares, atol=0.05)
    assert abs(np.corrcoef(ordered.transform(X).T)[0, 1]) < 0.3


def test_a_chunk_after_a_fit_counts_as_its_rows():
    variational = VariationalAutoencoder(2, **SMALL).fit(draw(300, 0.0))
    noise = variational.noise_variance_
    assert_allclose(variational.partial_fit(draw(1, 0.0)).noise_variance_, noise, rtol=0.1)


def test_a_truncated_code_goes_on():
    ordered = train(AutoencoderTransformer(4, ordered=True, **SMALL))
    shorter = ordered.truncated(2)
    shorter.partial_fit(draw(1, 0.0))
    expected = ordered.explained_variance_ratio_[:2]
    assert_allclose(shorter.explained_variance_ratio_, expected, atol=0.05)
