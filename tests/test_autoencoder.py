"""What `AutoencoderTransformer` promises, with its defaults."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer

pytestmark = pytest.mark.slow  # fits at full size


@pytest.mark.parametrize("n_components", [2, 8, 32])
def test_default_beats_pca_on_digits(digits, n_components):
    X_train, X_test = digits
    pca = PCA(n_components).fit(X_train)
    error = np.square(X_test - pca.inverse_transform(pca.transform(X_test))).mean()
    autoencoder = AutoencoderTransformer(n_components, random_state=0).fit(X_train)
    assert -autoencoder.score_samples(X_test).mean() < 0.75 * error


def test_default_is_never_worse_than_pca_on_a_small_table():
    X = StandardScaler().fit_transform(load_iris().data)
    for seed in range(5):
        order = np.random.RandomState(seed).permutation(150)
        X_train, X_test = X[order[:110]], X[order[110:]]
        start = AutoencoderTransformer(2, max_epochs=0).fit(X_train).score(X_test)
        score = AutoencoderTransformer(2, random_state=seed).fit(X_train).score(X_test)
        assert score >= start - 0.001


def test_wider_code_reconstructs_no_worse():
    X = load_digits().data[:600]
    scores = [
        AutoencoderTransformer(size, random_state=0).fit(X[:450]).score(X[450:])
        for size in (1, 4, 16)
    ]
    assert np.all(np.diff(scores) > 0)
