"""Variational autoencoders: they start at probabilistic PCA, score as it does, and sample."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import helmert
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import distributions, nn
from zoo import Perceptron

from sklearn_ae import AutoencoderTransformer, VariationalAutoencoder
from sklearn_ae.inspection import LossCurveDisplay, code_size_curve
from sklearn_ae.metrics import find_active_units, log_likelihood

X, X_TEST = train_test_split(load_digits().data, random_state=0, train_size=500)
QUICK = {"hidden_layer_sizes": (32,), "max_epochs": 10, "random_state": 0}
START = {"init": "linear", "max_epochs": 0, "random_state": 0}
BITS = {"loss": "binary_cross_entropy", **QUICK}


@pytest.fixture(scope="module")
def fitted():
    return VariationalAutoencoder(5, **QUICK).fit(X)


@pytest.fixture(scope="module")
def bits():
    return VariationalAutoencoder(5, **BITS).fit(X / 16)


# -------------------------------------------------------------------------------- start

TABLES = {
    "iris": load_iris().data,
    "wine": load_wine().data,
    "breast cancer": load_breast_cancer().data,
    "digits": X,
}


# a column of wine has nearly all of the variance
@pytest.mark.filterwarnings("ignore:Column 12 has")
@pytest.mark.parametrize("scales", [False, True])
@pytest.mark.parametrize("name", TABLES)
def test_the_start_scores_as_pca(name, scales):
    table = TABLES[name]
    table = StandardScaler().fit_transform(table) if scales else table
    n_features = np.linalg.matrix_rank(table - table.mean(axis=0))
    for k in {1, 2, n_features // 2, n_features - 1}:
        # the scores of PCA itself are inexact where the noise is a 10^12th of the variance
        expected = score_by_svd(table, k)
        start = VariationalAutoencoder(k, **START).fit(table)
        found = start.score_samples(table)
        assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())
        assert_allclose(start.score(table), PCA(k).fit(table).score(table), rtol=1e-4)
        assert_allclose(start.noise_variance_, PCA(k, svd_solver="full").fit(table).noise_variance_)


def score_by_svd(table, k):
    """Return the log-densities of probabilistic PCA in its own coordinates."""
    pca = PCA(svd_solver="full").fit(table)
    variance, rest = np.split(pca.explained_variance_.copy(), [k])
    noise = rest.mean()
    directions = (table - pca.mean_) @ pca.components_.T
    left = table - pca.mean_ - directions[:, :k] @ pca.components_[:k]
    n_free = table.shape[1] - k
    logs = np.log(variance).sum() + n_free * np.log(noise) + table.shape[1] * np.log(2 * np.pi)
    squares = (directions[:, :k] ** 2 / variance).sum(axis=1) + (left**2).sum(axis=1) / noise
    return -(logs + squares) / 2


@pytest.mark.parametrize("n_importance_samples", [1, 2, 7, 16, 50])
def test_every_number_of_draws_scores_the_start_alike(n_importance_samples):
    start = VariationalAutoencoder(4, **START).fit(X)
    tight = start.score_samples(X, n_importance_samples=n_importance_samples)
    assert_allclose(tight, start.score_samples(X), rtol=1e-9)


def test_codes_of_the_start_are_the_conditional_means():
    table = TABLES["iris"]
    start = VariationalAutoencoder(2, **START).fit(table)
    pca = PCA(2, svd_solver="full").fit(table)
    gain = np.sqrt(pca.explained_variance_ - pca.noise_variance_) / pca.explained_variance_
    mean, deviation = start.posterior(table)
    assert_allclose(mean, pca.transform(table) * gain, rtol=1e-4, atol=1e-5)
    assert_array_equal(mean, start.transform(table))
    expected = np.sqrt(pca.noise_variance_ / pca.explained_variance_)
    assert_allclose(deviation, np.broadcast_to(expected, deviation.shape), rtol=1e-5)


@pytest.mark.parametrize(("n_components", "n_active"), [(4, 3), (9, 3)])
def test_codes_beyond_the_rank_have_the_prior_at_the_start(n_components, n_active):
    table = TABLES["iris"]  # of 4 features
    start = VariationalAutoencoder(n_components, **START).fit(table)
    mean, deviation = start.posterior(table)
    assert_array_equal(find_active_units(start, table), np.arange(n_components) < n_active)
    assert not mean[:, n_active:].any()
    assert (deviation[:, n_active:] == 1).all()
    density = multivariate_normal(table.mean(axis=0), np.cov(table.T))  # which PCA has with 4
    assert_allclose(start.score_samples(table), density.logpdf(table), rtol=1e-6)


def test_wide_and_constant_tables_have_a_start():
    wide = X[:20]
    start = VariationalAutoencoder(40, **START).fit(wide)
    assert np.isfinite(start.score_samples(wide)).all()
    expected = PCA(10).fit(wide).score_samples(wide)
    assert_allclose(VariationalAutoencoder(10, **START).fit(wide).score_samples(wide), expected)
    constant = VariationalAutoencoder(2, **START).fit(np.ones((20, 3)))
    assert np.isfinite(constant.score_samples(np.ones((20, 3)))).all()


def measure_squares(start):
    """Return the squared lengths of the columns of a linear decoder, in squared units of X."""
    codes = np.eye(start.n_components_)
    columns = start.inverse_transform(codes) - start.inverse_transform(0 * codes)
    return np.square(columns).sum(axis=1)


@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0, 8.0])
def test_the_start_is_the_best_linear_one_for_its_beta(beta):
    """No change of the gains, the variances and the noise together lowers the objective."""
    table = StandardScaler().fit_transform(TABLES["wine"])
    variance = PCA().fit(table).explained_variance_
    start = VariationalAutoencoder(6, beta=beta, **START).fit(table)
    squares, noise = measure_squares(start), start.noise_variance_
    spread = beta * noise / (squares + beta * noise)
    _, deviation = start.posterior(table)
    assert_allclose(deviation**2, np.broadcast_to(spread, deviation.shape), rtol=1e-5)

    def measure(squares, noise):
        """Return the objective with its best gain for decoders of squared length `squares`."""
        spread = beta * noise / (squares + beta * noise)
        error = variance[:6] * spread**2 + squares * spread  # of mean and of spread
        divergence = (variance[:6] * squares / (squares + beta * noise) ** 2) + spread - 1
        divergence = (divergence - np.log(spread)) / 2
        total = error.sum() + variance[6:].sum()
        return total / noise / 2 + len(variance) * np.log(noise) / 2 + beta * divergence.sum()

    best = measure(squares, noise)
    rng = np.random.RandomState(0)
    for size in (0.3, 0.03, 0.003):
        for _ in range(50):
            change = np.exp(size * rng.standard_normal(7))
            moved = np.where(squares > 0, squares, 1e-3 * size) * change[:6]
            assert measure(moved, noise * change[6]) >= best - 1e-9


@pytest.mark.filterwarnings("ignore:Column . has")
@given(
    st.lists(st.just(0.0) | st.floats(1e-6, 100), min_size=1, max_size=12),
    st.integers(1, 8),
    st.floats(0.01, 50),
)
def test_noise_is_positive_and_below_the_variances_in_use(variance, n_components, beta):
    variance = np.sort(variance)[::-1]
    # orthonormal columns of mean zero, scaled: PCA finds these variances
    directions = helmert(16)[: len(variance)].T
    table = directions * np.sqrt(15 * variance)
    start = VariationalAutoencoder(n_components, beta=beta, **START).fit(table)
    assert start.noise_variance_ > 0
    in_use = np.flatnonzero(measure_squares(start))
    assert (beta * start.noise_variance_ < variance[in_use] * (1 + 1e-6)).all()


# ------------------------------------------------------------------------------ likelihood


def test_the_bound_is_that_of_importance_sampling(fitted):
    mean, deviation = (torch.as_tensor(part).double() for part in fitted.posterior(X_TEST[:50]))
    posterior = distributions.Normal(mean, deviation)
    torch.manual_seed(0)
    log_weights = []
    for _ in range(400):
        codes = posterior.sample()
        rows = torch.as_tensor(fitted.inverse_transform(codes.numpy()))
        noise = distributions.Normal(rows, fitted.noise_variance_**0.5)
        log_weight = noise.log_prob(torch.as_tensor(X_TEST[:50])).sum(dim=1)
        prior = distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
        log_weight += (prior.log_prob(codes) - posterior.log_prob(codes)).sum(dim=1)
        log_weights.append(log_weight)
    log_weights = torch.stack(log_weights)
    bound = log_weights.mean(dim=0)
    error = log_weights.std(dim=0) / 400**0.5 + log_weights.std(dim=0) / 16**0.5
    found = torch.as_tensor(fitted.score_samples(X_TEST[:50]))
    assert ((found - bound).abs() < 5 * error).all()
    tight = fitted.score_samples(X_TEST[:50], n_importance_samples=400)
    expected = log_weights.logsumexp(dim=0) - np.log(400)
    assert abs(tight.mean() - expected.mean()) < 0.5


def test_more_draws_make_the_bound_tighter(fitted, bits):
    for model, rows in ((fitted, X_TEST), (bits, X_TEST / 16)):
        bounds = [
            model.score_samples(rows, n_importance_samples=n).mean() for n in (1, 4, 16, 64, 256)
        ]
        # each is an estimate, of a few draws that all rows share
        assert (np.diff(bounds) > -0.3).all(), bounds
        if model is fitted:
            assert bounds[-1] > bounds[0] + 1
        model = pickle.loads(pickle.dumps(model)).set_params(n_importance_samples=16)
        assert model.score(rows) == pytest.approx(bounds[2])


def test_scores_are_in_units_of_X(fitted):
    wide = VariationalAutoencoder(5, **QUICK).fit(10 * X)
    change = X.shape[1] * np.log(10)
    assert_allclose(wide.score_samples(10 * X), fitted.score_samples(X) - change, rtol=1e-3)
    assert wide.noise_variance_ == pytest.approx(100 * fitted.noise_variance_, rel=1e-3)
    assert wide.best_loss_ == pytest.approx(fitted.best_loss_ + change, rel=1e-3)


def test_losses_are_minus_the_bound():
    params = {**QUICK, "learning_rate": 1e-9, "max_epochs": 1}
    model = VariationalAutoencoder(5, init="linear", **params).fit(X, X_val=X_TEST)
    assert model.start_loss_ == pytest.approx(-model.score(X_TEST), abs=0.2)
    assert model.loss_curve_[0] == pytest.approx(-model.score(X), abs=0.5)
    bits = VariationalAutoencoder(5, loss="binary_cross_entropy", **params)
    bits.fit(X / 16, X_val=X_TEST / 16)
    assert bits.start_loss_ == pytest.approx(-bits.score(X_TEST / 16), abs=0.2)


def test_training_raises_the_likelihood_of_new_rows(fitted, bits):
    assert fitted.score(X_TEST) > PCA(5).fit(X).score(X_TEST) + 1
    start = clone(bits).set_params(max_epochs=0).fit(X / 16)
    assert bits.score(X_TEST / 16) > start.score(X_TEST / 16) + 1


def test_noise_has_nothing_to_learn_beyond_pca():
    rng = np.random.RandomState(0)
    rows = rng.standard_normal((2300, 3)) @ rng.standard_normal((3, 8))
    rows += 0.5 * rng.standard_normal(rows.shape)
    table, fresh = rows[:300], rows[300:]
    model = VariationalAutoencoder(3, random_state=0, max_epochs=30).fit(table)
    assert model.score(fresh) >= PCA(3).fit(table).score(fresh) - 1e-6


def test_the_noise_is_the_error_of_rows_that_are_held_out():
    model = VariationalAutoencoder(5, init="random", **QUICK).fit(X, X_val=X_TEST)
    draws = np.random.RandomState(0).standard_normal((len(X_TEST), 5))
    mean, deviation = model.posterior(X_TEST)
    restored = model.inverse_transform(mean + deviation * draws)
    assert model.noise_variance_ == pytest.approx(np.square(X_TEST - restored).mean(), rel=0.02)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_noise_is_fitted_without_held_out_rows(early_stopping):
    model = VariationalAutoencoder(5, init="random", early_stopping=early_stopping, **QUICK)
    if early_stopping:
        model.partial_fit(X)
    else:
        model.fit(X)
    error = np.square(X - model.reconstruct(X)).mean()
    assert error < model.noise_variance_ < 3 * error


def test_bits_have_no_noise(bits):
    assert bits.noise_variance_ is None
    assert (bits.score_samples(X / 16) < 0).all()


# ---------------------------------------------------------------------------- sampling


def test_samples_of_the_start_have_pcas_covariance():
    table = TABLES["iris"]
    start = VariationalAutoencoder(2, **START).fit(table)
    rows = start.sample(100_000, random_state=0)
    assert_allclose(rows.mean(axis=0), table.mean(axis=0), atol=0.03)
    assert_allclose(np.cov(rows.T), PCA(2).fit(table).get_covariance(), atol=0.03)
    flat = start.sample(1000, random_state=0, add_noise=False)
    assert np.linalg.matrix_rank(flat - flat.mean(axis=0), tol=1e-3) == 2


def test_samples(fitted, bits):
    assert fitted.sample().shape == (1, 64)
    assert_array_equal(fitted.sample(3, random_state=1), fitted.sample(3, random_state=1))
    assert (fitted.sample(3, random_state=1) != fitted.sample(3, random_state=2)).any()
    assert fitted.sample(3).dtype == X.dtype
    assert set(np.unique(bits.sample(20, random_state=0))) == {0, 1}
    shares = bits.sample(20, random_state=0, add_noise=False)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert len(np.unique(shares)) > 2
    clipped = pickle.loads(pickle.dumps(fitted)).set_params(clip=True).sample(50, random_state=0)
    assert (clipped >= X.min(axis=0)).all()
    assert (clipped <= X.max(axis=0)).all()
    for wrong in (0, -1, 2.5, None):
        with pytest.raises(ValueError, match="n_samples must be a positive integer"):
            fitted.sample(wrong)


# ------------------------------------------------------------------------------- parts


def compute_divergence(model, rows):
    """Return the mean divergence of the codes of rows from the prior, as torch computes it."""
    mean, deviation = (torch.as_tensor(part).double() for part in model.posterior(rows))
    prior = distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    divergence = distributions.kl_divergence(distributions.Normal(mean, deviation), prior)
    return float(divergence.sum(dim=1).mean())


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_beta_is_the_weight_of_torchs_divergence(loss):
    params = {**QUICK, "loss": loss, "init": "random", "learning_rate": 1e-9, "max_epochs": 1}
    light, heavy = (
        VariationalAutoencoder(5, beta=beta, **params).fit(X / 16, X_val=X_TEST / 16)
        for beta in (1.0, 4.0)
    )
    expected = 3 * compute_divergence(light, X_TEST / 16)
    assert heavy.start_loss_ - light.start_loss_ == pytest.approx(expected, rel=1e-3)


class Constant(nn.Module):
    """An encoder that gives all rows the same two means and log-variances."""

    values = 5.0, -3.0, 2.0, -2.0

    def __init__(self, n_in, n_out):
        super().__init__()
        self.register_buffer("codes", torch.tensor(self.values))

    def forward(self, rows):
        return self.codes.repeat(len(rows), 1)


class Listener(nn.Linear):
    """A decoder that keeps the codes which it is given, and whether it was in training."""

    given = []  # one list for all copies of the network

    def forward(self, codes):
        self.given.append((self.training, codes.detach().clone()))
        return super().forward(codes)


CONSTANT = {"encoder": Constant, "decoder": Listener, "init": "random", "batch_size": 1000}


def test_codes_are_drawn_in_training_and_repeated_otherwise():
    Listener.given.clear()
    model = VariationalAutoencoder(2, **QUICK, **CONSTANT).fit(X, X_val=X_TEST[:900])
    mean, deviation = torch.tensor([5.0, -3.0]), torch.tensor([1.0, np.exp(-1.0)])
    trained = [codes for training, codes in Listener.given if training and len(codes) == 500]
    assert len(trained) == 10  # a batch an epoch
    assert len({float(codes[0, 0]) for codes in trained}) == 10
    judged = [codes for training, codes in Listener.given if not training and len(codes) == 900]
    assert len(judged) == 11  # the start, too
    assert all(torch.equal(codes, judged[0]) for codes in judged)
    for drawn in (torch.cat(trained), judged[0]):
        assert len(drawn.unique(dim=0)) == len(drawn)  # each row has its own
        assert_allclose(drawn.mean(dim=0), mean, atol=0.1)
        assert_allclose(drawn.std(dim=0), deviation, rtol=0.1)
    model.reconstruct(X)  # which decodes the means
    _, codes = Listener.given[-1]
    assert torch.equal(codes, mean.expand(len(X), 2))


def test_the_spread_is_at_most_that_of_the_prior():
    model = VariationalAutoencoder(2, **{**QUICK, **CONSTANT, "max_epochs": 0}).fit(X)
    mean, deviation = model.posterior(X)
    assert_array_equal(mean, np.tile([5.0, -3.0], (len(X), 1)))
    assert_allclose(deviation, np.tile([1.0, np.exp(-1.0)], (len(X), 1)), rtol=1e-6)


def compute_lowest_loss(model, rows):
    """Return minus the bound for rows if no other variance of the noise had a lower one.

    Where the mean squared error is e, that is D (log(2 pi s) + e / s) / 2 + the divergence, for
    noise of variance s and D features; it is lowest at s = e.
    """
    entropy = rows.shape[1] / 2 * (np.log(2 * np.pi * model.noise_variance_) + 1)
    return entropy + model.beta * compute_divergence(model, rows)


@pytest.mark.parametrize("init", ["auto", "linear", "random"])
def test_no_other_noise_has_a_lower_loss_on_held_out_rows(init):
    model = VariationalAutoencoder(5, beta=2.0, init=init, **QUICK).fit(X, X_val=X_TEST)
    assert model.best_epoch_ > 0
    assert model.best_loss_ == pytest.approx(compute_lowest_loss(model, X_TEST), rel=1e-4)


def test_cross_fitted_networks_have_the_noise_of_rows_that_are_left_out(fitted):
    assert fitted.best_epoch_ > 0
    # other networks have judged, whose codes diverge a little less or more; a noise that is wrong
    # by a twentieth adds 1.6 nats
    assert fitted.best_loss_ == pytest.approx(compute_lowest_loss(fitted, X), abs=1.0)


# --------------------------------------------------------------------- as other estimators


def test_search_by_likelihood():
    grid = {"n_components": [1, 5], "beta": [1.0, 4.0]}
    search = GridSearchCV(VariationalAutoencoder(**QUICK), grid, cv=2).fit(X)
    by_scorer = GridSearchCV(VariationalAutoencoder(**QUICK), grid, scoring=log_likelihood, cv=2)
    by_scorer.fit(X)
    assert search.best_params_ == by_scorer.best_params_ == {"beta": 1.0, "n_components": 5}
    assert_allclose(search.cv_results_["mean_test_score"], by_scorer.cv_results_["mean_test_score"])


def test_likelihood_of_other_densities():
    pca = PCA(3).fit(X)
    assert log_likelihood(pca, X_TEST) == pytest.approx(pca.score(X_TEST))
    pipeline = make_pipeline(StandardScaler(), PCA(3)).fit(X)
    assert log_likelihood(pipeline, X_TEST) == pytest.approx(pipeline.score(X_TEST))
    kernels = KernelDensity().fit(X)
    assert log_likelihood(kernels, X_TEST) == pytest.approx(kernels.score_samples(X_TEST).mean())
    for other in (AutoencoderTransformer(2, max_epochs=0), StandardScaler(), IsolationForest()):
        with pytest.raises(TypeError, match=f"{type(other).__name__} has no likelihood"):
            log_likelihood(other.fit(X), X_TEST)


def test_code_size_curve_of_likelihoods():
    sizes = [1, 4, 16]
    reducers = [PCA(svd_solver="full"), VariationalAutoencoder(**START)]
    curve = code_size_curve(reducers, X, n_components=sizes, scoring=log_likelihood, cv=3)
    assert curve.score_names == {"reconstruction_score": "log_likelihood"}
    # one PCA is cut for all sizes, and its noise with it
    pca, ours = curve.reconstruction_score
    assert_allclose(pca, ours, rtol=1e-6)


def test_loss_curves_are_named_after_what_they_are(fitted):
    display = LossCurveDisplay.from_estimator(fitted)
    assert display.ax_.get_ylabel() == "minus bound of the log-likelihood (nats)"
    assert display.start_loss == fitted.start_loss_


def test_collapsed_units_are_found(fitted):
    assert find_active_units(fitted, X).all()
    strict = VariationalAutoencoder(5, beta=50.0, **QUICK).fit(X)
    assert find_active_units(strict, X).sum() < 5
    assert_array_equal(find_active_units(fitted, X, threshold=1e6), [False] * 5)


@pytest.mark.parametrize(
    "params",
    [
        {"conv_filters": (4,), "image_shape": (1, 8, 8)},
        {"encoder": Perceptron, "decoder": Perceptron},
        {"encoder": Perceptron, "init": "random"},
        {"hidden_layer_sizes": ()},
        {"n_components": 0.6},
        {"beta": 0.1},
    ],
    ids=str,
)
def test_networks_of_all_kinds(params):
    model = VariationalAutoencoder(**{"n_components": 4, **QUICK, **params}).fit(X)
    assert np.isfinite(model.score(X_TEST))
    if params.get("init") != "random":
        n_components = model.n_components_
        assert model.score(X_TEST) > PCA(n_components).fit(X).score(X_TEST) - 0.5
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.score_samples(X_TEST), model.score_samples(X_TEST))
    assert loaded.noise_variance_ == model.noise_variance_
    assert_array_equal(loaded.sample(2, random_state=0), model.sample(2, random_state=0))


def test_sparse_rows_score_as_dense_ones():
    sparse_rows = sparse.csr_array(X)
    for params in ({**START}, {**QUICK}):
        dense = VariationalAutoencoder(4, **params).fit(X)
        thin = VariationalAutoencoder(4, **params).fit(sparse_rows)
        assert_allclose(thin.score(sparse_rows), dense.score(X), rtol=1e-2)
        assert_allclose(thin.score_samples(sparse_rows), thin.score_samples(X), rtol=1e-5)


def test_a_row_has_its_score_whatever_rows_are_beside_it(fitted):
    scores = fitted.score_samples(X_TEST)
    assert_allclose(fitted.score_samples(X_TEST[5:8]), scores[5:8], rtol=1e-10)
    assert_array_equal(fitted.score_samples(X_TEST), scores)


def test_warm_start_goes_on(fitted):
    model = VariationalAutoencoder(5, warm_start=True, **QUICK).fit(X)
    before = model.score(X_TEST)
    assert model.fit(X).score(X_TEST) > before - 0.1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"beta": 0.0}, "'beta' parameter"),
        ({"beta": -1.0}, "'beta' parameter"),
        ({"n_importance_samples": 0}, "'n_importance_samples' parameter"),
        ({"loss": "huber"}, "'loss' parameter"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        VariationalAutoencoder(2, **params).fit(X)


def test_bits_that_do_not_vary_have_a_start():
    for bits in (np.ones((20, 3)), np.tile([0.0, 1.0, 1.0], (20, 1))):
        fitted = VariationalAutoencoder(2, **BITS).fit(bits)
        assert np.isfinite(fitted.score_samples(bits)).all()


@pytest.mark.parametrize("wrong", [0, -3, 2.5])
def test_bad_numbers_of_draws(fitted, wrong):
    with pytest.raises(ValueError, match="n_importance_samples must be a positive integer"):
        fitted.score_samples(X, n_importance_samples=wrong)


def test_values_beyond_bits_are_an_error():
    with pytest.raises(ValueError, match=r"needs X in \[0, 1\]"):
        VariationalAutoencoder(2, **BITS).fit(X)


@pytest.mark.parametrize("max_epochs", [0, 3])
def test_columns_that_depend_on_each_other_have_a_high_likelihood(max_epochs):
    rng = np.random.RandomState(0)
    X, new = rng.normal(size=(300, 6)), rng.normal(size=(300, 6))
    scores = {}
    for noise in (0.0, 1e-3):
        rows, new_rows = (
            np.c_[part, part] + noise * rng.normal(size=(300, 12)) for part in (X, new)
        )
        autoencoder = VariationalAutoencoder(6, max_epochs=max_epochs, random_state=0).fit(rows)
        scores[noise] = autoencoder.score(new_rows)
        assert autoencoder.noise_variance_ >= 0.99e-12 * autoencoder.scale_**2
    assert scores[0.0] > scores[1e-3]
