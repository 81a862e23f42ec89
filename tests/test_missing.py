"""Missing values: filled with conditional means, counted nowhere, and imputed."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_ae import (
    AutoencoderImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VariationalAutoencoder,
)
from sklearn_ae import _missing as module
from sklearn_ae._losses import ReconstructionLoss
from sklearn_ae._missing import FillMissing, HideAndFill, fit_fill
from sklearn_ae._moments import ObservedMoments
from sklearn_ae._rows import make_rows
from sklearn_ae.inspection import code_size_curve
from sklearn_ae.metrics import log_likelihood

TABLE = StandardScaler().fit_transform(load_breast_cancer().data)
WHOLE, WHOLE_TEST = train_test_split(TABLE, random_state=0, train_size=300)
QUICK = {"hidden_layer_sizes": (32,), "max_epochs": 8, "random_state": 0}
CLASSES = [AutoencoderTransformer, DenoisingAutoencoder, VariationalAutoencoder]


def punch_holes(rows, share, seed=0):
    """Return a copy of rows with a share of NaN."""
    holes = np.random.RandomState(seed).random_sample(rows.shape) < share
    return np.where(holes, np.nan, rows)


X, X_TEST = punch_holes(WHOLE, 0.2), punch_holes(WHOLE_TEST, 0.2, 1)
IS_MISSING = np.isnan(X_TEST)


def measure_error(filled):
    """Return the root mean squared error of the entries that were missing in X_TEST."""
    return np.sqrt(np.square(filled - WHOLE_TEST)[IS_MISSING].mean())


# ------------------------------------------------------------------------ conditional means


@given(st.integers(0, 2**16), st.integers(1, 5), st.floats(0.05, 2))
def test_filled_entries_are_conditional_means(seed, n_factors, noise):
    rng = np.random.RandomState(seed)
    fill = FillMissing(6, n_factors)
    fill.mean.copy_(torch.as_tensor(rng.standard_normal(6)))
    fill.factors.copy_(torch.as_tensor(rng.standard_normal((6, n_factors))))
    fill.noise.fill_(noise)
    rows = punch_holes(rng.standard_normal((5, 6)), 0.4, seed)
    filled = fill(torch.as_tensor(rows)).numpy()
    S, mean = fill.make_covariance().numpy(), fill.mean.numpy()
    for row, found in zip(rows, filled, strict=True):
        o, m = ~np.isnan(row), np.isnan(row)
        assert_array_equal(found[o], row[o])
        weights = np.linalg.solve(S[np.ix_(o, o)], row[o] - mean[o])
        assert_allclose(found[m], mean[m] + S[np.ix_(m, o)] @ weights, rtol=1e-6, atol=1e-9)


def test_rows_without_holes_stay_as_they_are():
    rows = torch.as_tensor(WHOLE)
    assert fit_fill(X)(rows) is rows


def test_expectation_maximisation_finds_the_covariance(monkeypatch):
    monkeypatch.setattr(module, "RIDGE", 1e-9)
    monkeypatch.setattr(module, "MAX_ITERATIONS", 200)
    monkeypatch.setattr(module, "SMALLEST_CHANGE", 1e-8)
    rng = np.random.RandomState(0)
    covariance = np.array([[2.0, 1.2, 0.3], [1.2, 1.5, -0.4], [0.3, -0.4, 1.0]])
    rows = rng.multivariate_normal([1.0, -2.0, 0.5], covariance, size=20_000)
    fill = fit_fill(punch_holes(rows, 0.3))
    assert_allclose(fill.make_covariance().numpy(), covariance, atol=0.06)
    assert_allclose(fill.mean, [1.0, -2.0, 0.5], atol=0.04)


def test_no_step_of_expectation_maximisation_lowers_the_likelihood(monkeypatch):
    def measure(n_iterations):
        monkeypatch.setattr(module, "MAX_ITERATIONS", n_iterations)
        monkeypatch.setattr(module, "SMALLEST_CHANGE", 0.0)
        mean, S = (x.numpy() for x in module.estimate_covariance(torch.as_tensor(X[:, :8])))
        total = 0.0
        for row in X[:, :8]:
            o = ~np.isnan(row)
            if o.any():
                part, rest = S[np.ix_(o, o)], row[o] - mean[o]
                total -= np.linalg.slogdet(part)[1] + rest @ np.linalg.solve(part, rest)
        return total

    monkeypatch.setattr(module, "RIDGE", 1e-9)
    assert (np.diff([measure(n) for n in (1, 2, 4, 8, 16)]) > 0).all()


def test_wide_rows_are_filled_by_few_factors():
    full = fit_fill(X)(torch.as_tensor(X_TEST)).numpy()
    thin = fit_fill(X, max_dense=10)
    assert thin.factors.shape == (30, 15)
    thin = thin(torch.as_tensor(X_TEST)).numpy()
    assert measure_error(thin) < 1.15 * measure_error(full)
    assert measure_error(full) < 0.6 * measure_error(np.zeros_like(full))


def test_hidden_entries_are_filled_too():
    hide = HideAndFill(fit_fill(X), 0.3)
    rows = torch.as_tensor(X)
    inputs = hide(rows, torch.Generator().manual_seed(0))
    assert inputs.isfinite().all()
    observed = ~rows.isnan()
    assert (inputs[observed] != rows[observed]).double().mean() == pytest.approx(0.3, abs=0.02)


# ------------------------------------------------------------------------- statistics, losses


def test_moments_are_those_of_the_observed_entries():
    moments = make_rows(X).compute_moments()
    assert_array_equal(moments.n_rows, (~np.isnan(X)).sum(axis=0))
    assert_allclose(moments.mean, np.nanmean(X, axis=0), atol=1e-12)
    assert_allclose(moments.variance, np.nanvar(X, axis=0))
    assert_array_equal(moments.low, np.nanmin(X, axis=0))
    assert_array_equal(moments.high, np.nanmax(X, axis=0))
    sums = ObservedMoments()
    for part in np.array_split(WHOLE, 4):
        sums.add(torch.as_tensor(part))
    assert_allclose(sums.compute().variance, WHOLE.var(axis=0))


def test_losses_count_what_is_there():
    units = AutoencoderTransformer(2, **QUICK).fit(X)._model_.units
    loss = ReconstructionLoss("squared_error", units, skips_missing=True)
    output, target = torch.zeros(2, 3), torch.tensor([[1.0, np.nan, 3.0], [np.nan] * 3])
    assert loss.compute_row_losses(output, target).tolist() == [5.0, 0.0]
    assert loss(output, target).item() == pytest.approx(5)
    output.requires_grad_()
    loss(output, target).backward()
    assert output.grad[0, 1] == 0
    assert output.grad.isfinite().all()


# -------------------------------------------------------------------------------- estimators


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("params", [{}, {"init": "random"}, {"max_epochs": 0}], ids=str)
def test_every_method_takes_missing_values(cls, params):
    fitted = cls(5, **{**QUICK, **params}).fit(X, X_val=X_TEST)
    codes = fitted.transform(X_TEST)
    assert codes.shape == (len(X_TEST), 5)
    restored = fitted.reconstruct(X_TEST)
    assert_allclose(restored, fitted.inverse_transform(codes), rtol=1e-5, atol=1e-6)
    scores = fitted.score_samples(X_TEST)
    assert np.isfinite(scores).all()
    if cls is not VariationalAutoencoder:
        expected = -np.nanmean((X_TEST - restored) ** 2, axis=1)
        assert_allclose(scores, expected, rtol=1e-6)
        errors = np.nansum((X_TEST - restored) ** 2)
        spread = np.nansum((X_TEST - np.nanmean(X_TEST, axis=0)) ** 2)
        assert fitted.score(X_TEST) == pytest.approx(1 - errors / spread, abs=1e-6)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.transform(X_TEST), codes)
    assert np.isfinite(fitted.partial_fit(X).score(X_TEST))


def test_the_start_is_pca_of_the_covariance():
    start = AutoencoderTransformer(3, init="linear", max_epochs=0).fit(X)
    model = start._model_
    _, vectors = np.linalg.eigh(model.fill.make_covariance().numpy())
    weights = model.encoder[0].linear.weight.detach().numpy()
    assert_allclose(np.abs(weights @ vectors[:, :-4:-1]), np.eye(3), atol=1e-5)
    # and near that of the whole rows
    whole = PCA(3).fit(WHOLE).components_
    assert np.linalg.svd(whole @ weights.T)[1].min() > 0.97


def test_codes_depend_little_on_what_is_missing():
    fitted = AutoencoderTransformer(5, random_state=0).fit(X)
    whole, holes = fitted.transform(WHOLE_TEST), fitted.transform(X_TEST)
    assert r2_score(whole, holes, multioutput="variance_weighted") > 0.95
    by_means = fitted.transform(np.where(IS_MISSING, fitted.mean_, WHOLE_TEST))
    assert np.abs(whole - holes).mean() < 0.6 * np.abs(whole - by_means).mean()


def test_not_worse_than_pca_of_filled_rows():
    fill = SimpleImputer().fit(X)
    pca = PCA(5).fit(fill.transform(X))
    rows = fill.transform(X_TEST)
    restored = pca.inverse_transform(pca.transform(rows))
    kept = 1 - np.nansum((X_TEST - restored) ** 2) / np.nansum(X_TEST**2)
    assert AutoencoderTransformer(5, random_state=0).fit(X).score(X_TEST) > kept


def test_whole_rows_are_not_filled():
    before = AutoencoderTransformer(5, **QUICK).fit(WHOLE)
    assert before._model_.fill is None
    assert before._plan_.missing_rate == 0


@pytest.mark.parametrize("kind", [sparse.csr_array, lambda rows: rows.astype(np.float32)])
def test_containers(kind):
    fitted = AutoencoderTransformer(4, **QUICK).fit(kind(X))
    assert fitted.score(kind(X_TEST)) == pytest.approx(
        AutoencoderTransformer(4, **QUICK).fit(X).score(X_TEST), abs=0.02
    )


def test_memory_maps(tmp_path):
    mapped = np.memmap(tmp_path / "rows", dtype=float, mode="w+", shape=X.shape)
    mapped[:] = X
    from_file = AutoencoderTransformer(4, **QUICK).fit(mapped)
    assert_allclose(
        from_file.transform(mapped), AutoencoderTransformer(4, **QUICK).fit_transform(X)
    )


def test_ordered_codes_with_holes():
    ordered = AutoencoderTransformer(4, ordered=True, **QUICK).fit(X, X_val=X_TEST)
    assert (ordered.explained_variance_ratio_ >= 0).all()
    kept = ordered.explained_variance_ratio_.sum()
    assert kept == pytest.approx(ordered.score(X_TEST), abs=0.02)


def test_the_start_of_a_density_has_the_likelihood_of_the_covariance():
    start = VariationalAutoencoder(29, init="linear", max_epochs=0).fit(X)
    S = start._model_.fill.make_covariance().numpy() * start.scale_**2
    assert start.noise_variance_ == pytest.approx(np.linalg.eigvalsh(S)[0], rel=1e-6)
    density = multivariate_normal(start.mean_, S)
    assert_allclose(start.score_samples(WHOLE_TEST), density.logpdf(WHOLE_TEST), rtol=1e-6)


def test_bits_with_holes():
    bits = punch_holes((WHOLE > 0).astype(float), 0.2)
    fitted = VariationalAutoencoder(3, loss="binary_cross_entropy", **QUICK).fit(bits)
    assert np.isfinite(fitted.score(bits))
    assert AutoencoderTransformer(3, loss="binary_cross_entropy", **QUICK).fit(bits).score(bits) > 0


def test_a_likelihood_of_few_entries_is_that_of_the_margin():
    start = VariationalAutoencoder(29, init="linear", max_epochs=0).fit(X)
    one = np.full((1, 30), np.nan)
    one[0, 3] = 0.5
    S = start._model_.fill.make_covariance().numpy() * start.scale_**2
    mean = start.mean_[3] + start.scale_ * start._model_.fill.mean[3].item()
    exact = -((0.5 - mean) ** 2 / S[3, 3] + np.log(2 * np.pi * S[3, 3])) / 2
    assert start.score_samples(one)[0] < exact + 1e-6
    assert start.score_samples(one, n_importance_samples=5000)[0] < exact + 0.5


def test_searches_and_pipelines():
    curve = code_size_curve(
        [VariationalAutoencoder(**QUICK)], X, n_components=[2], cv=2, scoring=log_likelihood
    )
    assert np.isfinite(curve.reconstruction_score).all()
    y = load_breast_cancer().target
    train, test, y_train, y_test = train_test_split(punch_holes(TABLE, 0.3), y, random_state=0)
    steps = AutoencoderTransformer(5, random_state=0), StandardScaler(), LogisticRegression()
    assert make_pipeline(*steps).fit(train, y_train).score(test, y_test) > 0.9


def test_a_row_is_filled_by_the_same_numbers_in_any_company():
    fill, rows = fit_fill(X), torch.as_tensor(X_TEST).float()
    together = fill(rows)
    alone = torch.cat([fill(row[None]) for row in rows])
    assert_array_equal(alone, together)


def test_a_callable_corruption_gets_rows_that_are_filled():
    seen = []

    def add_one(batch, generator):
        seen.append(bool(batch.isnan().any()))
        return batch + 1

    holes = np.r_[np.full((1, X.shape[1]), np.nan), X]
    DenoisingAutoencoder(2, corruption=add_one, **QUICK).fit(holes)
    assert not any(seen)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VariationalAutoencoder])
def test_later_rows_may_have_no_value_in_a_column(estimator):
    later = X_TEST.copy()
    later[:, 3] = np.nan
    fitted = estimator(2, **QUICK).fit(X, X_val=later)
    fitted.partial_fit(later)
    assert np.isfinite(fitted.transform(later)).all()
    assert np.isfinite(fitted.score(later))


def test_errors_about_missing_values():
    empty = np.c_[X, np.full((len(X), 1), np.nan)]
    with pytest.raises(ValueError, match="no value at all in column 30"):
        AutoencoderTransformer(2, **QUICK).fit(empty)
    named = pd.DataFrame(empty, columns=[f"c{i}" for i in range(30)] + ["height"])
    with pytest.raises(ValueError, match="no value at all in column height"):
        AutoencoderTransformer(2, **QUICK).fit(named)
    endless = X.copy()
    endless[3, 4] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        AutoencoderTransformer(2, **QUICK).fit(endless)
    whole = AutoencoderTransformer(2, **QUICK).fit(WHOLE)
    with pytest.raises(ValueError, match="the X of the first fit had none"):
        whole.partial_fit(X)
    with pytest.raises(ValueError, match=r"X_val .*It has no value at all"):
        AutoencoderTransformer(2, **QUICK).fit(X, X_val=np.full_like(X_TEST, np.nan))
    with pytest.raises(ValueError, match="It has missing values, and X has none"):
        AutoencoderTransformer(2, **QUICK).fit(WHOLE, X_val=X_TEST)
    holes = AutoencoderTransformer(2, **QUICK).fit(X)
    with pytest.raises(ValueError, match="infinity"):
        holes.transform(endless)


# ----------------------------------------------------- models that have seen no missing values


@pytest.mark.parametrize(
    "make",
    [
        lambda: AutoencoderTransformer(5, **QUICK),
        lambda: AutoencoderTransformer(5, init="random", **{**QUICK, "max_epochs": 100}),
        lambda: AutoencoderTransformer(5, ordered=True, **QUICK),
        lambda: DenoisingAutoencoder(5, **QUICK),
        lambda: VariationalAutoencoder(5, **QUICK),
        lambda: VariationalAutoencoder(5, loss="binary_cross_entropy", **QUICK),
    ],
)
def test_they_fill_by_reconstruction(make):
    whole = MinMaxScaler().fit_transform(WHOLE)
    holes = np.where(np.isnan(X), np.nan, whole)
    model = make().fit(whole)
    codes = model.transform(holes)
    filled_with_means = model.transform(np.where(np.isnan(holes), whole.mean(axis=0), holes))
    expected = model.transform(whole)
    assert np.square(codes - expected).mean() < np.square(filled_with_means - expected).mean()
    has_holes = np.isnan(holes).any(axis=1)
    assert_array_equal(codes[~has_holes], expected[~has_holes])
    assert_array_equal(model.transform(holes[:3]), codes[:3])  # whatever rows are beside it
    assert np.isfinite(model.score_samples(holes)).all()
    assert np.isfinite(model.score(holes))


def test_they_fill_a_linear_code_as_iterated_pca_does():
    model = AutoencoderTransformer(2, init="linear", max_epochs=0).fit(WHOLE)
    holes = WHOLE[:50].copy()
    holes[:, 3] = np.nan
    pca, known = PCA(2).fit(WHOLE), np.arange(WHOLE.shape[1]) != 3
    filled = np.where(known, holes, WHOLE.mean(axis=0))
    for _ in range(2):
        filled = np.where(known, holes, pca.inverse_transform(pca.transform(filled)))
    assert_allclose(model.transform(holes), pca.transform(filled), atol=1e-5)
    restored = model.reconstruct(holes)
    errors = np.square(restored - WHOLE[:50])[:, known].mean(axis=1)
    assert_allclose(model.score_samples(holes), -errors, rtol=1e-6)


# ------------------------------------------------------------------------------- the imputer


def test_wide_tables_are_imputed_by_a_full_covariance_alone():
    rng = np.random.RandomState(0)
    whole = rng.standard_normal((300, 5)) @ rng.standard_normal((5, 140))
    whole += 0.5 * rng.standard_normal(whole.shape)
    holes = np.where(rng.random_sample(whole.shape) < 0.2, np.nan, whole)
    imputer = AutoencoderImputer(random_state=0).fit(holes)
    assert imputer.autoencoder_.n_iter_ == 0
    assert imputer.autoencoder_._model_.fill.factors.shape == (140, 140)
    alone = AutoencoderImputer(max_epochs=0).fit(holes)
    assert_array_equal(imputer.transform(holes), alone.transform(holes))
    trained = AutoencoderImputer(max_epochs=1, random_state=0).fit(holes)
    assert trained.autoencoder_._model_.fill.factors.shape == (140, 30)


@parametrize_with_checks([AutoencoderImputer(max_epochs=1, random_state=0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def imputer():
    return AutoencoderImputer(random_state=0).fit(X)


def test_only_missing_entries_change(imputer):
    filled = imputer.transform(X_TEST)
    assert_array_equal(filled[~IS_MISSING], X_TEST[~IS_MISSING])
    assert np.isfinite(filled).all()
    assert measure_error(filled) < measure_error(KNNImputer().fit(X).transform(X_TEST))
    assert measure_error(filled) < 1.02 * measure_error(
        IterativeImputer(random_state=0, max_iter=100).fit(X).transform(X_TEST)
    )
    assert_array_equal(imputer.transform(WHOLE_TEST), WHOLE_TEST)
    assert imputer.transform(X_TEST.astype(np.float32)).dtype == np.float32


def test_without_training_it_fills_conditional_means():
    start = AutoencoderImputer(max_epochs=0).fit(X)
    model = start.autoencoder_._model_
    u = model.units.standardize(torch.as_tensor(X_TEST))
    expected = model.units.restore(model.fill(u).clone()).numpy()
    assert_allclose(start.transform(X_TEST), expected, atol=1e-4)


def test_it_learns_what_is_not_linear():
    rng = np.random.RandomState(0)
    angle = rng.uniform(0, 2 * np.pi, 600)
    circle = np.c_[np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    holes = punch_holes(circle, 0.15)
    missing = np.isnan(holes)

    def measure(imputer):
        return np.square(imputer.fit_transform(holes) - circle)[missing].mean()

    trained = AutoencoderImputer(max_epochs=200, random_state=0)
    assert measure(trained) < 0.8 * measure(AutoencoderImputer(max_epochs=0))


def test_rows_without_any_value_are_filled(imputer):
    nothing = np.full((1, 30), np.nan)
    assert_allclose(imputer.transform(nothing)[0], np.nanmean(X, axis=0), atol=0.3)


def test_parameters_of_imputers():
    coded = np.where(np.isnan(X), -999, X)
    coded_imputer = AutoencoderImputer(missing_values=-999, max_epochs=0, add_indicator=True)
    filled = coded_imputer.fit_transform(coded)
    assert filled.shape == (len(X), 60)
    assert_array_equal(filled[:, 30:], np.isnan(X))
    assert_array_equal(coded_imputer.inverse_transform(filled), coded)
    expected = AutoencoderImputer(max_epochs=0).fit_transform(X)
    assert_allclose(filled[:, :30], expected)
    with pytest.raises(AttributeError, match="inverse_transform"):
        AutoencoderImputer(max_epochs=0).fit(X).inverse_transform(expected)


@pytest.mark.parametrize("keeps", [False, True])
def test_empty_features(keeps):
    empty = X.copy()
    empty[:, [2, 5]] = np.nan
    params = {"keep_empty_features": keeps, "max_epochs": 0}
    filled = AutoencoderImputer(**params).fit_transform(empty)
    expected = KNNImputer(keep_empty_features=keeps).fit_transform(empty)
    assert filled.shape == expected.shape
    if keeps:
        assert not filled[:, [2, 5]].any()
    nothing = AutoencoderImputer(**params).fit_transform(np.full((4, 3), np.nan))
    assert nothing.shape == (4, 3 if keeps else 0)


def test_names_and_output_as_pandas():
    frame = load_iris(as_frame=True).data
    frame.iloc[::7, 1] = np.nan
    imputer = AutoencoderImputer(max_epochs=0, add_indicator=True).set_output(transform="pandas")
    filled = imputer.fit_transform(frame)
    assert [*filled.columns] == [*frame.columns, "missingindicator_sepal width (cm)"]
    assert (filled.index == frame.index).all()
    assert [*clone(imputer).set_params(add_indicator=False).fit(frame).get_feature_names_out()] == [
        *frame.columns
    ]


def test_values_stay_in_range_if_clipped():
    clipped = AutoencoderImputer(clip=True, max_epochs=0).fit(X).transform(X_TEST)
    assert (
        clipped[IS_MISSING] <= np.broadcast_to(np.nanmax(X, axis=0), X_TEST.shape)[IS_MISSING]
    ).all()


def test_fitted_on_whole_rows_it_fills_others():
    imputer = AutoencoderImputer(max_epochs=0).fit(WHOLE)
    assert measure_error(imputer.transform(X_TEST)) < 0.5


def test_bad_parameters():
    with pytest.raises(ValueError, match="'add_indicator' parameter"):
        AutoencoderImputer(add_indicator="yes").fit(X)
    with pytest.raises(ValueError, match="'missing_values' parameter"):
        AutoencoderImputer(missing_values="none").fit(X)
