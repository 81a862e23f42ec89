"""Training masks entries of its rows; whatever judges the network sees whole rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from test_folds import draw_curved_rows
from torch import nn
from zoo import get_weights, quick

from sklearn_ae import AutoencoderTransformer

RATE = 0.3


class Recorder(nn.Linear):
    """Keeps copies of what it is given in training, and in evaluation."""

    seen = {True: [], False: []}

    def forward(self, rows):
        self.seen[self.training].append(rows.detach().clone())
        return super().forward(rows)


@pytest.fixture
def seen():
    for rows in Recorder.seen.values():
        rows.clear()
    return Recorder.seen


def fit_recorded(X, **params):
    params = {"max_epochs": 2, "batch_size": len(X), "early_stopping": False, **params}
    params |= {"init": "random", "random_state": 0}
    return AutoencoderTransformer(2, encoder=Recorder, **params).fit(X)


# a tenth of the rows stays whole, as in all training on damaged rows
def test_a_share_of_the_entries_is_their_mean_anew_in_every_epoch(seen):
    X = draw_curved_rows(500)
    fitted = fit_recorded(X, masking_rate=RATE)
    u = (X - fitted.mean_) / fitted.scale_
    found = []
    for rows in seen[True]:
        if len(rows) < len(X):
            continue  # the check of the network's shape
        is_masked = rows == 0
        assert is_masked.double().mean().item() == pytest.approx(0.9 * RATE, abs=0.03)
        found.append(is_masked.double().sum(dim=0).tolist())
        # a batch is a permutation of the rows: each column has the same values in another order
        for column, values in zip(rows.T, u.T, strict=True):
            distance = np.abs(column[column != 0].numpy()[:, None] - values).min(axis=1)
            assert_allclose(distance, 0, atol=1e-5)
    assert len(found) == 2
    assert found[0] != found[1]


def test_what_judges_the_network_is_whole(seen):
    X = draw_curved_rows(500)
    fit_recorded(X[:400], masking_rate=RATE, early_stopping=True, validation_fraction=0.2)
    judged = [rows for rows in seen[False] if len(rows) == 80]  # others measure the training loss
    assert len(judged) == 3
    assert all((rows != 0).all() for rows in judged)


def test_loss_on_held_out_rows_is_that_of_whole_rows():
    X, new = np.split(draw_curved_rows(500), [400])
    fitted = quick(2, masking_rate=RATE, tol=0.0).fit(X, X_val=new)
    pca = quick(2, init="linear", max_epochs=0).fit(X)
    assert fitted.start_loss_ == pytest.approx(-pca.score_samples(new).mean(), rel=1e-5)
    assert fitted.best_loss_ == pytest.approx(-fitted.score_samples(new).mean(), rel=1e-5)


def test_the_start_is_pca_of_whole_rows():
    X = draw_curved_rows(200)
    fitted = AutoencoderTransformer(2, masking_rate=RATE, init="linear", max_epochs=0).fit(X)
    assert_allclose(fitted.transform(X), PCA(2).fit_transform(X), atol=1e-4)


def fit_briefly(rate, n_rows=300, **params):
    X = np.random.RandomState(0).normal(size=(n_rows, 16))
    how = {"max_epochs": 1, "early_stopping": False, **params}
    return get_weights(quick(2, masking_rate=rate, **how).fit(X))


@pytest.mark.parametrize(
    ("rate", "params"),
    [
        (0.1, {}),
        (0.1, {"n_rows": 2000}),
        (0.0, {"n_rows": 2001}),
        (0.0, {"ordered": True}),
        (0.0, {"init": "random"}),
        (0.0, {"conv_filters": (4,), "image_shape": (1, 4, 4)}),
        (0.0, {"encoder": nn.Linear}),
    ],
    ids=["small", "2,000 rows", "large", "ordered", "textbook", "convolutional", "custom"],
)
def test_where_entries_are_masked_without_being_asked(rate, params):
    assert_array_equal(fit_briefly("auto", **params), fit_briefly(rate, **params))
    assert not np.array_equal(fit_briefly("auto", **params), fit_briefly(0.2, **params))
