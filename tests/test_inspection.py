"""The code-size curve, held against scikit-learn's own functions, and the Displays."""

import enum
import itertools
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.colors import same_color, to_rgba
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.manifold import TSNE
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch
from zoo import draw_fewer, run_python

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder, inspection
from sklearn_ae.inspection import (
    CodeScatterDisplay,
    CodeSizeCurveDisplay,
    CodeTraversalDisplay,
    InterpolationDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    code_size_curve,
)
from sklearn_ae.inspection._cutting import cut_reducer
from sklearn_ae.metrics import reconstruction_neg_mean_squared_error, reconstruction_r2

QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 3, "random_state": 0}


def quick(n_components=2, **params):
    return AutoencoderTransformer(n_components, **{**QUICK, **params})


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


class WithoutInverse(TransformerMixin, BaseEstimator):
    """Like UMAP: a reducer that cannot go back."""

    def __init__(self, n_components=2):
        self.n_components = n_components

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X[:, : self.n_components]


# -------------------------------------------------------------------------- the code-size curve


def test_scores_are_those_of_cross_validation(iris):
    X, y = iris
    reducers = {
        "PCA": PCA(),
        "autoencoder": quick(),
        "scaled": make_pipeline(StandardScaler(), PCA()),
    }
    classifier = KNeighborsClassifier()
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    curve = code_size_curve(reducers, X, y, n_components=[3, 1], cv=folds, classifier=classifier)
    assert curve.estimators == list(reducers)
    assert_array_equal(curve.n_components, [3, 1])
    for i, reducer in enumerate(reducers.values()):
        for j, size in enumerate([3, 1]):
            key = "pca__n_components" if i == 2 else "n_components"
            reducer.set_params(**{key: size})
            r2 = cross_val_score(reducer, X, y, cv=folds, scoring=reconstruction_r2)
            assert_allclose(curve.reconstruction_score[i, j], r2, rtol=1e-6)
            accuracy = cross_val_score(make_pipeline(reducer, classifier), X, y, cv=folds)
            assert_allclose(curve.classifier_score[i, j], accuracy, rtol=1e-6)
    assert curve.fit_time.shape == curve.transform_time.shape == (3, 2, 3)
    assert (curve.fit_time > 0).all()
    assert (curve.transform_time > 0).all()
    assert curve.score_names["classifier_score"] == "accuracy of the classifier"


@pytest.mark.slow
def test_in_two_processes_the_same(iris):
    X, y = iris
    curves = [
        code_size_curve([PCA(), quick()], X, y, n_components=[1, 2], cv=3, n_jobs=n_jobs)
        for n_jobs in (None, 2)
    ]
    for measure in ("reconstruction_score", "classifier_score"):  # other number of threads
        assert_allclose(curves[0][measure], curves[1][measure], rtol=1e-4)


class SeparatePCA(PCA):
    """PCA that is fitted for each code size, as a class of its own."""


class Counting(AutoencoderTransformer):
    """Counts its fits."""

    fits = 0

    def fit(self, X, y=None):
        type(self).fits += 1
        return super().fit(X, y)


@pytest.mark.parametrize(
    ("one_fit", "separate"),
    [
        (PCA(svd_solver="full"), SeparatePCA(svd_solver="full")),
        (PCA(whiten=True), SeparatePCA(whiten=True)),
        (
            make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), PCA())),
            make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), SeparatePCA())),
        ),
    ],
)
def test_one_pca_serves_all_sizes(iris, one_fit, separate):
    reducers = {"one": one_fit, "separate": separate}
    size_parameters = {
        name: next(key for key in reducer.get_params() if key.endswith("n_components"))
        for name, reducer in reducers.items()
    }
    with pytest.warns(FitFailedWarning, match="n_components=5"):
        curve = code_size_curve(
            reducers, *iris, n_components=[2, 5, 1, 4, 3], cv=3, param_name=size_parameters
        )
    for scores in (curve.reconstruction_score, curve.classifier_score):
        assert_allclose(scores[0], scores[1], atol=1e-9)
        assert_array_equal(np.isnan(scores[0]).all(axis=1), [False, True, False, False, False])
    times = curve.fit_time[0, [0, 2, 3, 4]]
    assert_array_equal(times, [times[0]] * 4)


@pytest.mark.parametrize("svd_solver", ["full", "covariance_eigh", "arpack"])
def test_a_cut_pca_is_that_of_the_size(iris, svd_solver):
    X, _ = iris
    large, small = (PCA(k, svd_solver=svd_solver, random_state=0).fit(X) for k in (3, 2))
    cut = cut_reducer(large, 2)
    assert cut.get_params() == small.get_params()
    assert_allclose(cut.get_covariance(), small.get_covariance())
    assert_allclose(cut.score_samples(X), small.score_samples(X))
    for name in vars(small):
        expected, found = getattr(small, name), getattr(cut, name)
        if isinstance(expected, np.ndarray | float):
            assert_allclose(np.abs(found), np.abs(expected), atol=1e-12)
    assert large.n_components_ == large.n_components == len(large.components_) == 3
    assert cut_reducer(PCA(4).fit(X), 4).noise_variance_ == 0


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_one_ordered_autoencoder_serves_all_sizes(iris, in_pipeline):
    X, y = iris
    autoencoder = Counting(ordered=True, max_epochs=2, random_state=0)
    reducer = make_pipeline(StandardScaler(), autoencoder) if in_pipeline else autoencoder
    Counting.fits = 0
    curve = code_size_curve(reducer, X, y, n_components=[3, 1, 2], cv=2)
    assert Counting.fits == 2
    name = "counting__n_components" if in_pipeline else "n_components"
    for split, (train, test) in enumerate(StratifiedKFold(2).split(X, y)):
        fitted = clone(reducer).set_params(**{name: 3}).fit(X[train])
        for i, size in enumerate(curve.n_components):
            cut = cut_reducer(fitted, size) if size < 3 else fitted
            score = reconstruction_r2(cut, X[test])
            assert_allclose(curve.reconstruction_score[0, i, split], score, atol=1e-6)
    assert fitted.transform(X).shape[1] == 3


def test_codes_without_an_order_are_fitted_at_each_size(iris):
    Counting.fits = 0
    code_size_curve(Counting(max_epochs=1), *iris, n_components=[1, 2], cv=2)
    assert Counting.fits == 4


def test_frame_holds_the_arrays(iris):
    X, y = iris
    curve = code_size_curve([PCA(), TruncatedSVD()], X, y, n_components=[1, 3], cv=4)
    assert list(curve.frame.columns) == [
        *("estimator", "n_components", "split"),
        *("reconstruction_score", "classifier_score", "fit_time", "transform_time"),
    ]
    for line in curve.frame.itertuples():
        i = curve.estimators.index(line.estimator)
        j = list(curve.n_components).index(line.n_components)
        assert line.reconstruction_score == curve.reconstruction_score[i, j, line.split]
        assert line.classifier_score == curve.classifier_score[i, j, line.split]
        assert line.fit_time == curve.fit_time[i, j, line.split]
    without = code_size_curve(PCA(), X, n_components=[1], cv=2)
    assert without.classifier_score is None
    assert "classifier_score" not in without.frame


def test_a_size_that_fails_leaves_nan_and_a_warning(iris):
    X, y = iris
    with pytest.warns(
        FitFailedWarning, match=r"PCA with n_components=9 .* fit failed.*must be betw"
    ):
        curve = code_size_curve([PCA(), quick()], X, y, n_components=[2, 9], cv=3)
    for measure in ("reconstruction_score", "classifier_score", "fit_time", "transform_time"):
        assert np.isnan(curve[measure][0, 1]).all()
        assert np.isfinite(np.delete(curve[measure].reshape(4, 3), 1, axis=0)).all()


def test_a_failing_inverse_costs_only_the_reconstruction(iris):
    X, y = iris
    with pytest.warns(FitFailedWarning, match=r"reconstruction failed.*fit_inverse_transform"):
        curve = code_size_curve(KernelPCA(), X, y, n_components=[2], cv=3)
    assert np.isnan(curve.reconstruction_score).all()
    assert np.isfinite(curve.classifier_score).all()


def test_a_failing_classifier_costs_only_its_score(iris):
    X, y = iris
    with pytest.warns(FitFailedWarning, match=r"classifier failed.*n_neighbors"):
        curve = code_size_curve(
            PCA(), X, y, n_components=[2], cv=3, classifier=KNeighborsClassifier(1000)
        )
    assert np.isnan(curve.classifier_score).all()
    assert np.isfinite(curve.reconstruction_score).all()


def test_without_an_inverse_there_is_no_reconstruction(iris):
    X, y = iris
    reducers = [WithoutInverse(), LinearDiscriminantAnalysis()]
    curve = code_size_curve(reducers, X, y, n_components=[1, 2], cv=3)
    assert np.isnan(curve.reconstruction_score).all()
    assert np.isfinite(curve.classifier_score).all()


def test_every_fit_failing_is_an_error(iris):
    X, y = iris
    X = X.copy()
    X[[10, 70]] = np.nan  # in the training rows of some folds, in the others' test rows
    with pytest.raises(ValueError, match=r"All the 6 fits failed.*NaN"):
        code_size_curve(PCA(), X, y, n_components=[1, 2], cv=3)


def test_a_continuous_target_is_read_by_a_regressor():
    X, y = load_diabetes(return_X_y=True)
    assert len(np.unique(y)) > 20  # whole numbers, yet no classes
    curve = code_size_curve(PCA(), X, y, n_components=[1, 8], cv=3)
    assert curve.score_names["classifier_score"] == "R² of the regressor"
    assert curve.classifier_score[0, 1].mean() > 0.4
    ridge = code_size_curve(PCA(), X, y, n_components=[8], cv=3, classifier=Ridge(1e-6))
    own = cross_val_score(make_pipeline(PCA(8), Ridge(1e-6)), X, y, cv=KFold(3))
    assert_allclose(ridge.classifier_score[0, 0], own)


def test_scorings(iris):
    X, y = iris
    curve = code_size_curve(
        PCA(),
        X,
        y,
        n_components=[2],
        cv=3,
        scoring=reconstruction_neg_mean_squared_error,
        classifier=LogisticRegression(max_iter=1000),
        classifier_scoring="neg_log_loss",
    )
    pipeline = make_pipeline(PCA(2), LogisticRegression(max_iter=1000))
    log_loss = cross_val_score(pipeline, X, y, cv=3, scoring="neg_log_loss")
    assert_allclose(curve.classifier_score[0, 0], log_loss)
    assert (curve.reconstruction_score < 0).all()
    assert curve.score_names == {
        "reconstruction_score": "reconstruction_neg_mean_squared_error",
        "classifier_score": "neg_log_loss",
    }
    with pytest.raises(ValueError, match="classifier_scoring"):
        code_size_curve(PCA(), X, y, n_components=[2], scoring="accuracy")


def test_groups_stay_together(iris):
    X, y = iris
    groups = np.arange(150) % 5
    curve = code_size_curve(PCA(), X, y, n_components=[2], cv=GroupKFold(5), groups=groups)
    own = cross_validate(PCA(2), X, y, cv=GroupKFold(5), groups=groups, scoring=reconstruction_r2)
    assert_allclose(curve.reconstruction_score[0, 0], own["test_score"])


def test_parameter_of_the_code_size(iris):
    X, y = iris
    union = FeatureUnion([("a", PCA()), ("b", TruncatedSVD())])
    with pytest.raises(ValueError, match=r"a__n_components, b__n_components.*param_name"):
        code_size_curve(union, X, y, n_components=[1])
    with pytest.raises(ValueError, match=r"no parameter 'n_components'.*param_name"):
        code_size_curve(SelectKBest(), X, y, n_components=[1])
    with pytest.raises(ValueError, match="no parameter 'width'"):
        code_size_curve(PCA(), X, y, n_components=[1], param_name="width")
    curve = code_size_curve(
        {"best": SelectKBest(), "PCA": PCA(), "union": union},
        X,
        y,
        n_components=[2, 3],
        cv=3,
        param_name={"best": "k", "union": "a__n_components"},
    )
    assert np.isfinite(curve.classifier_score).all()


@pytest.mark.parametrize("sizes", [[], [0], [1.5], ["2"], [[1, 2]]])
def test_wrong_sizes(iris, sizes):
    with pytest.raises(ValueError, match="n_components must hold one or more code sizes"):
        code_size_curve(PCA(), *iris, n_components=sizes)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cv": "five"}, "'cv' parameter"),
        ({"classifier": "logistic"}, "'classifier' parameter"),
        ({"n_components": 4}, "'n_components' parameter"),
    ],
)
def test_parameters_are_checked(iris, params, message):
    with pytest.raises(ValueError, match=message):
        code_size_curve(PCA(), *iris, **{"n_components": [2], **params})


@pytest.mark.parametrize("wrong", [TSNE(), PCA, [PCA(), Ridge()]])
def test_only_transformers(iris, wrong):
    with pytest.raises(TypeError, match="Expected an estimator with transform"):
        code_size_curve(wrong, *iris, n_components=[2])


def test_what_would_be_ignored_is_refused(iris):
    X, y = iris
    with pytest.raises(ValueError, match="classifier needs a target"):
        code_size_curve(PCA(), X, n_components=[1], classifier=Ridge())
    with pytest.raises(ValueError, match=r"names of estimators.*got \['NMF'\]"):
        code_size_curve(PCA(), X, n_components=[1], param_name={"NMF": "n_components"})
    with pytest.raises(ValueError, match="multiclass-multioutput"):
        code_size_curve(PCA(), X, np.column_stack([y, y]), n_components=[1])


def test_names(iris):
    X, _ = iris
    curve = code_size_curve([PCA(), TruncatedSVD(), PCA(whiten=True)], X, n_components=[1], cv=2)
    assert curve.estimators == ["PCA 1", "TruncatedSVD", "PCA 2"]
    curve = code_size_curve([make_pipeline(StandardScaler(), PCA())], X, n_components=[1], cv=2)
    assert curve.estimators == ["PCA"]
    with pytest.raises(ValueError, match="at least one"):
        code_size_curve([], X, n_components=[1])


def test_estimators_are_cloned(iris):
    pca = PCA(2)
    code_size_curve(pca, *iris, n_components=[1], cv=2)
    assert pca.n_components == 2
    assert not hasattr(pca, "components_")


def test_frames_and_sparse_rows(iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    of_array, of_frame = (
        code_size_curve(quick(), rows, y, n_components=[2], cv=3) for rows in (X, frame)
    )
    assert_allclose(of_array.reconstruction_score, of_frame.reconstruction_score, rtol=1e-12)
    dense, sparse = (
        code_size_curve([TruncatedSVD(), quick()], rows, y, n_components=[2], cv=3)
        for rows in (X, csr_array(X))
    )
    for name in ("reconstruction_score", "classifier_score"):
        assert_allclose(sparse[name], dense[name], atol=1e-3)


def test_progress_bar(iris, capsys):
    code_size_curve(TruncatedSVD(), *iris, n_components=[1, 2], cv=2, verbose=1)
    assert "4/4" in capsys.readouterr().err
    code_size_curve(PCA(), *iris, n_components=[1, 2], cv=2)
    assert capsys.readouterr().err == ""


def test_a_classifiers_own_scorer_object(iris):
    X, y = iris
    scorer = make_scorer(lambda y_true, y_pred: float(np.mean(y_true == y_pred)))
    curve = code_size_curve(PCA(), X, y, n_components=[2], cv=3, classifier_scoring=scorer)
    plain = code_size_curve(PCA(), X, y, n_components=[2], cv=3)
    assert_allclose(curve.classifier_score, plain.classifier_score)


# ------------------------------------------------------------------------------------- displays


@pytest.fixture(scope="module")
def curve(iris):
    return code_size_curve({"PCA": PCA(), "autoencoder": quick()}, *iris, n_components=[3, 1], cv=3)


def test_code_size_curves_are_means_over_folds(curve):
    display = CodeSizeCurveDisplay(curve).plot()
    assert [ax.get_ylabel() for ax in display.axes_] == [
        "R² of the reconstruction",
        "accuracy of the classifier",
    ]
    assert display.ax_ is display.axes_[0]
    for ax, measure in zip(
        display.axes_, ["reconstruction_score", "classifier_score"], strict=True
    ):
        assert [line.get_label() for line in ax.lines] == ["PCA", "autoencoder"]
        for line, values in zip(ax.lines, curve[measure], strict=True):
            assert_array_equal(line.get_xdata(), [1, 3])
            assert_allclose(line.get_ydata(), values.mean(axis=1)[::-1])
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["1", "3"]


@pytest.mark.parametrize("style", ["fill_between", "errorbar", None])
def test_spread_over_folds(curve, style):
    display = CodeSizeCurveDisplay(curve).plot(std_display_style=style)
    n_collections = {"fill_between": 2, "errorbar": 2, None: 0}[style]
    assert len(display.ax_.collections) == n_collections


def test_measures(curve):
    display = CodeSizeCurveDisplay(curve).plot(measures="fit_time")
    assert display.ax_.get_ylabel() == "seconds to fit"
    with pytest.raises(ValueError, match="measures must be among"):
        CodeSizeCurveDisplay(curve).plot(measures=["seconds"])
    with pytest.raises(ValueError, match="std_display_style"):
        CodeSizeCurveDisplay(curve).plot(std_display_style="cloud")


def test_curve_kwargs(curve):
    display = CodeSizeCurveDisplay(curve).plot(
        curve_kwargs=({"c": "red"}, {"label": "ours", "ls": ":"})
    )
    assert display.ax_.lines[0].get_color() == "red"
    assert display.ax_.lines[1].get_label() == "ours"


def test_axes_that_are_given(curve):
    _, axes = plt.subplots(1, 3)
    display = CodeSizeCurveDisplay(curve).plot(axes[:2])
    assert list(display.axes_) == list(axes[:2])
    inside = CodeSizeCurveDisplay(curve).plot(axes[2])
    assert len(inside.axes_) == 2
    assert inside.figure_ is axes[2].figure
    assert not axes[2].axison
    with pytest.raises(
        ValueError, match="only if it belongs to a grid of subplots and is still unused"
    ):
        CodeSizeCurveDisplay(curve).plot(axes[2])
    with pytest.raises(ValueError, match="only if it belongs to a grid of subplots"):
        CodeSizeCurveDisplay(curve).plot(plt.figure().add_axes([0, 0, 1, 1]))
    with pytest.raises(ValueError, match="draws into 2 Axes; got 3"):
        CodeSizeCurveDisplay(curve).plot(axes)


def test_curves_from_estimators(iris):
    X, y = iris
    display = CodeSizeCurveDisplay.from_estimators(
        [PCA(), WithoutInverse()], X, y, n_components=[1, 2], cv=3
    )
    r2, accuracy = display.axes_
    assert [line.get_label() for line in r2.lines] == ["PCA"]
    assert [line.get_label() for line in accuracy.lines] == ["PCA", "WithoutInverse"]
    assert [len(ax.get_legend().get_texts()) for ax in (r2, accuracy)] == [1, 2]
    alone = CodeSizeCurveDisplay.from_estimators(PCA(), X, n_components=[1, 2], cv=3)
    assert len(alone.axes_) == 1
    without = CodeSizeCurveDisplay.from_estimators(WithoutInverse(), X, n_components=[1], cv=3)
    assert without.ax_.get_legend() is None


def test_the_same_colour_for_the_same_method():
    colours = {}
    pictures = [
        ["PCA", "autoencoder", "KernelPCA"],
        ["SVD", "NMF", "KernelPCA", "DenoisingAutoencoder", "PCA"],
        ["PCA 1", "PCA 2", "one", "two", "autoencoder"],
    ]
    for names in pictures:
        styles = inspection._drawing.choose_method_styles(names)
        assert len({style["color"] for style in styles}) == len(names)
        assert len({style["marker"] for style in styles}) == len(names)
        for name, style in zip(names, styles, strict=True):
            assert colours.setdefault(name, style["color"]) == style["color"]
    assert colours["autoencoder"] == colours["DenoisingAutoencoder"]
    assert colours["PCA"] == colours["PCA 1"]
    by_kind = inspection._drawing.choose_method_styles(
        ["mine", "linear"], ["AutoencoderTransformer", "PCA"]
    )
    assert [style["color"] for style in by_kind] == [colours["autoencoder"], colours["PCA"]]


def drawn_images(ax):
    return [image.get_array() for image in ax.images]


def test_reconstructions_are_drawn_as_images(digits):
    X_train, X_test = digits
    reducers = {"PCA": PCA(8).fit(X_train), "autoencoder": quick(8).fit(X_train)}
    display = ReconstructionDisplay.from_estimators(
        reducers, X_test, n_samples=5, image_shape=(8, 8)
    )
    images = drawn_images(display.ax_)
    assert len(images) == 3 * 5
    assert_array_equal(images[1], X_test[1].reshape(8, 8))
    reconstructed = reducers["autoencoder"].reconstruct(X_test[:5])
    assert_allclose(images[-1], reconstructed[4].reshape(8, 8), rtol=1e-6)
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == [
        *("original", "PCA", "autoencoder")
    ]
    assert display.ax_.images[-1].get_clim() == (0, 16)
    assert display.figure_ is display.ax_.figure


def test_noisy_rows_are_what_is_restored(digits):
    X_train, X_test = digits
    noisy = X_test + 2
    pca = PCA(8).fit(X_train)
    display = ReconstructionDisplay.from_estimator(pca, X_test, X_noisy=noisy, n_samples=3)
    assert list(display.rows) == ["original", "noisy", "PCA"]
    assert_array_equal(display.rows["noisy"], noisy[:3])
    assert_allclose(display.rows["PCA"], pca.inverse_transform(pca.transform(noisy[:3])))


def test_colour_images(digits):
    X = np.random.RandomState(0).uniform(-5, 5, size=(20, 3 * 4 * 6))
    display = ReconstructionDisplay.from_estimators(PCA(2).fit(X), X, image_shape=(3, 4, 6))
    image = display.ax_.images[0].get_array()
    assert image.shape == (4, 6, 3)
    expected = (X[0].reshape(3, 4, 6).transpose(1, 2, 0) - X[:8].min()) / np.ptp(X[:8])
    assert_allclose(image, expected)


def test_rows_are_drawn_as_lines(iris):
    X, _ = iris
    pca = PCA(1).fit(X)
    display = ReconstructionDisplay.from_estimators([pca, quick().fit(X)], X, n_samples=2)
    lines = [line for line in display.ax_.lines if len(line.get_xdata()) == 4]
    assert len(lines) == 3 * 2
    assert_array_equal(lines[0].get_ydata(), X[0])
    assert_allclose(lines[1].get_ydata(), pca.inverse_transform(pca.transform(X))[0])
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["original", "PCA", "AutoencoderTransformer"]


def test_the_shape_of_images_is_the_estimators(digits):
    X = digits[0][:50]
    autoencoder = quick(image_shape=(1, 8, -1)).fit(X)
    for display in (
        ReconstructionDisplay.from_estimators([PCA(2).fit(X), autoencoder], X),
        InterpolationDisplay.from_estimators(autoencoder, X[:2]),
        CodeTraversalDisplay.from_estimator(autoencoder, X),
    ):
        assert display.ax_.images[0].get_array().shape == (8, 8)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 9), "does not multiply to .* n_features=64"),
        ((8,), r"must be .*\(height, width\) or .* 64"),
        ((1, -1, -1), "must be .* 64"),
        ((2, 4, 8), "has 2 channels.*1 or 3"),
        ((64, 1, 1), "has 64 channels.*1 or 3"),
    ],
)
def test_wrong_image_shape(digits, shape, message):
    X = digits[0][:50]
    with pytest.raises(ValueError, match=f"image_shape.*{message}"):
        ReconstructionDisplay.from_estimators(PCA(2).fit(X), X, image_shape=shape)


@pytest.mark.parametrize(
    "reducer",
    [PCA(3), quick(3), make_pipeline(StandardScaler(), PCA(3))],
    ids=["PCA", "ae", "pipe"],
)
def test_walk_between_two_rows(iris, reducer):
    X, _ = iris
    reducer.fit(X)
    display = InterpolationDisplay.from_estimator(reducer, X[[0, 100]], n_steps=5)
    (walk,) = display.walks.values()
    ends = reducer.transform(X[[0, 100]])
    assert_allclose(walk[[0, -1]], reducer.inverse_transform(ends), rtol=1e-5)
    middle = reducer.inverse_transform(ends.mean(axis=0, keepdims=True))
    assert_allclose(walk[2], middle[0], rtol=1e-5)
    with pytest.raises(ValueError, match="exactly two rows; got 3"):
        InterpolationDisplay.from_estimator(reducer, X[:3])


@draw_fewer(1 / 3)
@given(
    row=st.sampled_from([None, 0, 17]),
    width=st.floats(0.5, 3),
    n_steps=st.integers(2, 9),
    components=st.sampled_from([None, [1], [2, 0]]),
)
def test_traversal_moves_one_number_of_the_code(row, width, n_steps, components):
    X = load_iris().data
    pca = PCA(3).fit(X)
    display = CodeTraversalDisplay.from_estimator(
        pca, X, row=row, width=width, n_steps=n_steps, components=components
    )
    plt.close(display.figure_)
    codes = pca.transform(X)
    moved = pca.transform(display.decoded.reshape(-1, 4)).reshape(-1, n_steps, 3)
    centre = codes.mean(axis=0) if row is None else codes[row]
    for k, unit in zip(components or range(3), moved - centre, strict=True):
        expected = np.zeros((n_steps, 3))
        expected[:, k] = np.linspace(-width, width, n_steps) * codes.std(axis=0)[k]
        assert_allclose(unit, expected, atol=1e-10)


def test_traversal_of_an_autoencoder(digits):
    X = digits[0][:100]
    autoencoder = quick(12).fit(X)
    display = CodeTraversalDisplay.from_estimator(autoencoder, X, image_shape=(8, 8))
    assert len(display.ax_.images) == 10 * 7
    assert [t.get_text() for t in display.ax_.get_xticklabels()][3] == "centre"
    assert display.ax_.images[0].get_clim() == (X.min(), X.max())


def test_losses(digits):
    autoencoder = quick(8, init="linear", max_epochs=6).fit(digits[0])
    display = LossCurveDisplay.from_estimator(autoencoder)
    start, training, held_out, best = display.ax_.lines
    assert_array_equal(start.get_ydata(), [autoencoder.start_loss_] * 2)
    assert start.get_label() == "PCA, held out"
    assert_array_equal(training.get_ydata(), autoencoder.loss_curve_)
    assert_array_equal(training.get_xdata(), np.arange(1, 7))
    losses = [autoencoder.start_loss_, *autoencoder.validation_loss_curve_]
    assert_array_equal(held_out.get_ydata(), losses)
    assert best.get_xdata() == autoencoder.best_epoch_
    assert best.get_ydata() == autoencoder.best_loss_
    assert display.ax_.get_ylabel() == "squared error"


@pytest.mark.parametrize(
    ("autoencoder", "start"),
    [
        (
            DenoisingAutoencoder(2, corruption_level=0.2, init="linear", **QUICK),
            ["linear start, held out"],
        ),
        (quick(8, max_epochs=0), ["closed form, held out"]),
        (quick(loss="binary_cross_entropy"), ["linear start, held out"]),
        (quick(init="random"), []),
        (quick(early_stopping=False), []),
        (quick(init="linear", max_epochs=0), ["PCA, held out"]),
    ],
)
def test_start_of_the_losses(digits, autoencoder, start):
    autoencoder.fit(digits[0][:200] / 16)
    display = LossCurveDisplay.from_estimator(autoencoder)
    labels = [line.get_label() for line in display.ax_.lines]
    names = "start", "PCA", "closed"
    assert [label for label in labels if any(name in label for name in names)] == start
    assert ("held out" in labels) == autoencoder.early_stopping


def test_after_a_warm_start_epoch_0_is_not_the_linear_start(digits):
    autoencoder = quick(8, warm_start=True).fit(digits[0])
    assert autoencoder.init_ == "auto"
    autoencoder.fit(digits[0])
    assert autoencoder.init_ is None
    lines = {
        line.get_label(): line for line in LossCurveDisplay.from_estimator(autoencoder).ax_.lines
    }
    assert "PCA, held out" not in lines
    assert lines["held out"].get_ydata()[0] == autoencoder.start_loss_
    assert quick(init="random").fit(digits[0]).init_ == "random"
    assert quick().partial_fit(digits[0]).partial_fit(digits[0]).init_ == "linear"


def test_losses_of_several_in_one_picture(digits):
    _, ax = plt.subplots()
    for name, color in {"first": "red", "second": "blue"}.items():
        display = LossCurveDisplay.from_estimator(
            quick(8, init="linear").fit(digits[0]), ax=ax, name=name, color=color
        )
    assert display.ax_ is ax
    assert {line.get_label().split(",")[0] for line in ax.lines} == {"first", "second", "PCA"}


# its own warning that three epochs are too few
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_losses_of_other_estimators(digits):
    X = digits[0] / 16
    mlp = MLPRegressor(hidden_layer_sizes=(8,), max_iter=3, random_state=0).fit(X, X)
    display = LossCurveDisplay.from_estimator(make_pipeline(StandardScaler(), mlp))
    assert_array_equal(display.ax_.lines[0].get_ydata(), mlp.loss_curve_)
    with pytest.raises(TypeError, match="with loss_curve_; got PCA"):
        LossCurveDisplay.from_estimator(PCA(2).fit(X))
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(quick())


def test_scatter_of_classes(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    for labels in (y, names, pd.Series(names, name="species")):
        display = CodeScatterDisplay.from_estimator(PCA(3).fit(X), X, labels)
        legend = display.ax_.get_legend()
        expected = np.unique(labels).astype(str)
        assert [text.get_text() for text in legend.get_texts()] == list(expected)
        codes = PCA(3).fit_transform(X)
        points = display.ax_.collections[1].get_offsets()
        assert_allclose(points, codes[y == 1][:, :2])
    assert legend.get_title().get_text() == "species"
    assert display.colorbar_ is None


def test_scatter_of_values(iris):
    X, y = iris
    pca = PCA(3).fit(X)
    display = CodeScatterDisplay.from_estimator(pca, X, X[:, 0] + 0.05, components=(2, 0))
    assert display.ax_.get_legend() is None
    assert display.colorbar_ is not None
    assert_array_equal(display.ax_.collections[0].get_array(), X[:, 0] + 0.05)
    assert_allclose(display.ax_.collections[0].get_offsets(), pca.transform(X)[:, [2, 0]])
    assert display.ax_.get_xlabel() == "code 2"
    assert CodeScatterDisplay.from_estimator(pca, X, y, kind="values").colorbar_ is not None
    assert CodeScatterDisplay.from_estimator(pca, X, np.arange(150)).colorbar_ is not None
    for wrong in [(0, 3), (-1, 0), (0, 1, 2)]:
        with pytest.raises(ValueError, match="components"):
            CodeScatterDisplay.from_estimator(pca, X, components=wrong)
    with pytest.raises(ValueError, match="kind must be"):
        CodeScatterDisplay.from_estimator(pca, X, y, kind="colours")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CodeScatterDisplay.from_estimator(pca, X, y[:10])


def test_scatter_without_target(iris):
    X, _ = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    autoencoder = quick().set_output(transform="pandas").fit(frame)
    display = CodeScatterDisplay.from_estimator(autoencoder, frame, s=3)
    assert len(display.ax_.collections[0].get_offsets()) == 150
    assert_array_equal(display.ax_.collections[0].get_sizes(), [3])


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_scatter_without_a_legend(iris, kind):
    X, y = iris
    display = CodeScatterDisplay.from_estimator(PCA(2).fit(X), X, y, kind=kind, legend=False, s=9)
    assert display.ax_.get_legend() is None
    assert display.colorbar_ is None


def test_legends_leave_neighbours_alone(iris):
    X, y = iris
    for layout, inside in [(None, True), ("constrained", False)]:
        figure, (left, right) = plt.subplots(1, 2, layout=layout)
        CodeScatterDisplay.from_estimator(PCA(2).fit(X), X, y, ax=left)
        figure.canvas.draw()
        legend = left.get_legend().get_window_extent()
        assert not legend.overlaps(right.get_window_extent())
        assert (legend.x1 < left.get_window_extent().x1) == inside


def test_frames_are_reconstructed(iris):
    X, _ = iris
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(150) + 7)
    autoencoder = quick().set_output(transform="pandas").fit(frame)
    display = ReconstructionDisplay.from_estimator(autoencoder, frame, n_samples=2)
    assert_array_equal(display.rows["original"], X[:2])
    InterpolationDisplay.from_estimator(autoencoder, frame.iloc[:2])
    CodeTraversalDisplay.from_estimator(autoencoder, frame)


@pytest.mark.parametrize(
    "draw",
    [
        lambda reducer, X: ReconstructionDisplay.from_estimators(reducer, X),
        lambda reducer, X: InterpolationDisplay.from_estimators(reducer, X[:2]),
        lambda reducer, X: CodeTraversalDisplay.from_estimator(reducer, X),
    ],
)
def test_an_inverse_is_needed(iris, draw):
    with pytest.raises(TypeError, match="with inverse_transform; got WithoutInverse"):
        draw(WithoutInverse().fit(iris[0]), iris[0])


def test_what_is_in_a_search_or_a_pipeline_is_found(digits):
    X = digits[0][:60]
    inner = quick(image_shape=(1, 8, 8))
    search = GridSearchCV(make_pipeline(StandardScaler(), inner), {}, cv=2).fit(X)
    assert ReconstructionDisplay.from_estimator(search, X).ax_.images
    trained = search.best_estimator_[-1]
    losses = LossCurveDisplay.from_estimator(search).ax_.lines
    assert_array_equal(losses[1].get_ydata(), trained.loss_curve_)


def test_wrong_requests(iris):
    X, _ = iris
    pca = PCA(2).fit(X)
    for n_steps in (1, 2.5):
        with pytest.raises(ValueError, match="n_steps must be an int of at least 2"):
            InterpolationDisplay.from_estimator(pca, X[:2], n_steps=n_steps)
        with pytest.raises(ValueError, match="n_steps must be an int of at least 2"):
            CodeTraversalDisplay.from_estimator(pca, X, n_steps=n_steps)
    with pytest.raises(ValueError, match="from 0 to 149; got 150"):
        CodeTraversalDisplay.from_estimator(pca, X, row=150)
    for components in ([2], [-1], []):
        with pytest.raises(ValueError, match="components must hold integers from 0 to 1"):
            CodeTraversalDisplay.from_estimator(pca, X, components=components)
    with pytest.raises(ValueError, match="must not be named 'original' or 'noisy'"):
        ReconstructionDisplay.from_estimators({"noisy": pca}, X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ReconstructionDisplay.from_estimator(pca, X, X_noisy=X[:10])


def test_figures_and_ticks_stay_readable(iris):
    X, _ = iris
    pca = PCA(2).fit(X)
    for image_shape in (None, (2, 2)):
        display = ReconstructionDisplay.from_estimator(
            pca, X, n_samples=150, image_shape=image_shape
        )
        assert max(display.figure_.get_size_inches()) <= 14
    sizes = np.arange(2, 34, 2)
    scores = np.ones((1, len(sizes), 3))
    many = {"estimators": ["PCA"], "n_components": sizes, "reconstruction_score": scores}
    many["score_names"] = {"reconstruction_score": "R²"}
    display = CodeSizeCurveDisplay(Bunch(**many)).plot()
    display.figure_.canvas.draw()
    labels = [tick.get_window_extent() for tick in display.ax_.get_xticklabels()]
    assert len(labels) >= 5
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(labels))


def test_the_axes_given_are_drawn_into(iris):
    X, y = iris
    pca = PCA(2).fit(X)
    for draw in (
        lambda ax: ReconstructionDisplay.from_estimators(pca, X, ax=ax),
        lambda ax: InterpolationDisplay.from_estimators(pca, X[:2], ax=ax, image_shape=(2, 2)),
        lambda ax: CodeTraversalDisplay.from_estimator(pca, X, ax=ax, image_shape=(2, 2)),
        lambda ax: CodeScatterDisplay.from_estimator(pca, X, y, ax=ax),
    ):
        figure, ax = plt.subplots()
        display = draw(ax)
        assert display.ax_ is ax
        assert display.figure_ is figure


# ---------------------------------------------------------------- names that are not text

NAMES = {
    "ints": [2, 4],
    "float and None": [0.5, None],
    "tuples": [("a", 1), ("a", 2)],
    "booleans": [True, False],
    "numpy": [np.str_("a"), np.int64(3)],
    "estimators": [PCA(2), PCA(3)],
    "underscores": ["_a", "_b"],
    "enum": list(enum.Enum("Color", "RED BLUE")),
}


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_names_of_any_type_are_converted_to_text(iris, names):
    X, _ = iris
    reducers = dict(zip(names, [PCA(1).fit(X), TruncatedSVD(2).fit(X)], strict=True))
    texts = [str(name) for name in names]
    lines = ReconstructionDisplay.from_estimators(reducers, X, n_samples=2)
    assert legend_texts(lines.ax_) == ["original", *texts]
    images = ReconstructionDisplay.from_estimators(reducers, X, image_shape=(2, 2))
    walks = InterpolationDisplay.from_estimators(reducers, X[:2], image_shape=(2, 2))
    assert list(walks.walks) == texts
    for display, expected in ((images, ["original", *texts]), (walks, texts)):
        assert [t.get_text() for t in display.ax_.get_yticklabels()] == expected
    curves = CodeSizeCurveDisplay.from_estimators(
        reducers, X, n_components=[1, 2], cv=2, param_name={names[1]: "n_components"}
    )
    assert curves.curve.estimators == legend_texts(curves.ax_) == texts
    losses = LossCurveDisplay([2, 1]).plot(name=names[0])
    assert legend_texts(losses.ax_) == [f"{texts[0]}, training"]


def test_names_given_to_the_constructors(iris):
    X, _ = iris
    assert legend_texts(ReconstructionDisplay({0: X[:2], 1: X[2:4]}).plot().ax_) == ["0", "1"]
    walk = InterpolationDisplay({0: X[:3]}).plot()
    assert [t.get_text() for t in walk.ax_.get_xticklabels()] == ["0"]
    traversal = CodeTraversalDisplay(X[:6].reshape(2, 3, 4), steps=[-1, 0, 1], code_names=[3, None])
    assert [t.get_text() for t in traversal.plot().ax_.get_xticklabels()] == ["3", "None"]
    scatter = CodeScatterDisplay(X[:, :2], code_names=(0, None)).plot()
    assert (scatter.ax_.get_xlabel(), scatter.ax_.get_ylabel()) == ("0", "None")
    curve = Bunch(estimators=[1, 2], n_components=np.array([1]), score_names={}, fit_time=X[:2, :1])
    curve.fit_time = np.ones((2, 1, 3))
    assert legend_texts(CodeSizeCurveDisplay(curve).plot(measures="fit_time").ax_) == ["1", "2"]


def test_a_method_keeps_its_colour_under_any_name(iris):
    X, _ = iris
    display = ReconstructionDisplay.from_estimators({2: PCA(2).fit(X), 3: quick().fit(X)}, X)
    pca, autoencoder = display.ax_.lines[1:3]
    assert pca.get_color() == inspection._drawing.PCA_STYLE["color"]
    assert autoencoder.get_color() == inspection._drawing.AUTOENCODER_STYLE["color"]


# ----------------------------------------------------------------------------- missing labels


def column(values, kind):
    """Return a column of labels, with None for a missing one, in a container of some library."""
    if kind == "list":
        return values
    if kind == "object":
        return np.array(values, dtype=object)
    if kind == "list with NaN":
        return [np.nan if value is None else value for value in values]
    if kind == "masked":
        filled = [values[0] if value is None else value for value in values]
        return np.ma.array(filled, mask=[value is None for value in values])
    if kind == "polars":
        return pl.Series("target", values)
    if kind == "polars frame":
        return pl.DataFrame({"target": values})
    if kind == "pyarrow":
        return pa.chunked_array([values])
    if kind == "pyarrow table":
        return pa.table({"target": values})
    if kind == "frame":
        return pd.Series(values, name="target").to_frame()
    if kind == "column vector":
        return np.array(values, dtype=object)[:, None]
    return pd.Series(values, name="target", dtype=kind)


ANY = [
    *("list", "list with NaN", "object", "masked", "polars", "polars frame", "pyarrow"),
    *("pyarrow table", "frame", "column vector", "category"),
]
LABELS = {
    "text": (["a", "b", "c"], [*ANY, "str", "string", "object"]),
    "ints": ([0, 1, 2], [*ANY, "float64", "Int64", "Float64", "int64[pyarrow]"]),
    "booleans": ([False, True, False], [*ANY, "boolean", "bool[pyarrow]"]),
    "dates": (list(pd.to_datetime(["2020", "2021", "2022"])), ["object", "datetime64[ns]"]),
}
MISSING = inspection._plot_codes.MISSING_COLOR


@pytest.mark.parametrize(
    ("values", "kind"), [(values, kind) for values, kinds in LABELS.values() for kind in kinds]
)
def test_missing_classes_are_grey_behind_the_others(iris, values, kind):
    X, y = iris
    labels = [None if i % 5 == 0 else values[k] for i, k in enumerate(y)]
    display = CodeScatterDisplay.from_estimator(PCA(2).fit(X), X, column(labels, kind))
    assert legend_texts(display.ax_) == [*sorted({str(value) for value in values}), "missing"]
    *classes, missing = display.ax_.collections
    assert len(missing.get_offsets()) == 30
    assert sum(len(points.get_offsets()) for points in classes) == 120
    assert same_color(missing.get_facecolor()[0][:3], to_rgba(MISSING)[:3])
    for points in classes:
        assert points.get_zorder() > missing.get_zorder()
        assert not same_color(points.get_facecolor()[0][:3], missing.get_facecolor()[0][:3])
    named = {"Series", "DataFrame"} & {type(column(labels, kind)).__name__}
    title = "target" if named or kind == "pyarrow table" else ""
    assert display.ax_.get_legend().get_title().get_text() == title


@pytest.mark.parametrize(
    "kind", ["list", "object", "masked", "polars", "pyarrow", "float64", "Float64", "frame"]
)
def test_missing_values_are_grey(iris, kind):
    X, _ = iris
    values = [None if i % 5 == 0 else float(x) for i, x in enumerate(X[:, 0] + 0.05)]
    display = CodeScatterDisplay.from_estimator(PCA(2).fit(X), X, column(values, kind))
    points, missing = display.ax_.collections
    assert_array_equal(points.get_array(), [value for value in values if value is not None])
    assert same_color(missing.get_facecolor()[0][:3], to_rgba(MISSING)[:3])
    assert legend_texts(display.ax_) == ["missing"]
    assert display.colorbar_ is not None


@pytest.mark.parametrize(
    "y",
    [[None] * 9, np.full(9, np.nan), [pd.NA] * 9, [pd.NaT] * 9, np.ma.masked_all(9)],
    ids=["None", "NaN", "NA", "NaT", "masked"],
)
@pytest.mark.parametrize("kind", ["auto", "classes", "values"])
def test_all_labels_missing(iris, y, kind):
    X = iris[0][:9]
    display = CodeScatterDisplay.from_estimator(PCA(2).fit(X), X, y, kind=kind)
    assert legend_texts(display.ax_) == ["missing"]
    assert sum(len(points.get_offsets()) for points in display.ax_.collections) == 9
    assert display.colorbar_ is None


def test_no_class_is_grey_beside_missing_labels():
    y = np.repeat([*range(12), np.nan], 2)
    display = CodeScatterDisplay(np.zeros((26, 2)), y=y).plot()
    styles = [
        (tuple(points.get_facecolor()[0]), len(points.get_paths()[0]))
        for points in display.ax_.collections
    ]
    assert len(set(styles[:12])) == 12
    assert legend_texts(display.ax_) == [*map(str, range(12)), "missing"]
    assert not any(same_color(color[:3], "#717581") for color, _ in styles)


def test_labels_without_an_order(iris):
    X, y = iris
    colors = list(enum.Enum("Color", "RED BLUE GREEN"))
    display = CodeScatterDisplay.from_estimator(PCA(2).fit(X), X, [colors[k] for k in y])
    assert legend_texts(display.ax_) == ["Color.BLUE", "Color.GREEN", "Color.RED"]


# ------------------------------------------------------------------ what users choose themselves


@pytest.mark.parametrize(
    "target", ["none", "classes", "values", "missing classes", "missing values"]
)
@pytest.mark.parametrize(
    "style",
    [
        {"c": "red"},
        {"color": "red"},
        {"c": [[1, 0, 0]]},
        {"c": np.arange(150)},
        {"c": np.arange(150), "cmap": "plasma"},
        {"c": pd.Series(np.linspace(0, 1, 150))},
        {"c": ["red", "blue", "green"] * 50},
        {"color": ["red", "blue", "green"] * 50},
        {"s": np.arange(150) + 1.0},
        {"alpha": np.linspace(0, 1, 150)},
        {"marker": "x"},
        {"marker": "+", "lw": 2},
        {"edgecolors": "black"},
        {"facecolors": "none"},
        {"facecolors": "red"},
        {"label": "mine"},
        {"zorder": 3},
        {"c": None, "marker": None},
    ],
    ids=", ".join,
)
def test_what_users_choose_replaces_the_defaults(iris, target, style):
    X, y = iris
    y = {"none": None, "classes": y, "missing classes": np.where(y == 1, np.nan, y)}.get(
        target, X[:, 1] if target == "values" else np.where(y == 1, np.nan, X[:, 1])
    )
    display = CodeScatterDisplay.from_estimator(PCA(2).fit(X), X, y, **style)
    display.figure_.canvas.draw()
    collections = display.ax_.collections
    assert sum(len(points.get_offsets()) for points in collections) == 150
    is_missing = [points.get_label().endswith("missing") for points in collections]
    assert any(is_missing) == target.startswith("missing")
    color = style.get("c", style.get("color"))
    for points, missing in zip(collections, is_missing, strict=True):
        if isinstance(color, str):
            face = to_rgba(MISSING if missing else color)[:3]
            assert same_color(points.get_facecolor()[0][:3], face)
        if isinstance(color, np.ndarray | pd.Series):
            assert points.get_clim() == (color.min(), color.max())
        if style.get("marker") or "edgecolors" in style or "facecolors" in style:
            assert (points.get_linewidths() > 0).all()
    if color is not None:
        assert display.colorbar_ is None
    if "label" in style:
        assert all(text.startswith("m") for text in legend_texts(display.ax_))


@pytest.mark.parametrize("cmap", ["tab10", "plasma", plt.get_cmap("Set2")])
def test_the_colours_of_classes_are_from_a_colour_map(iris, cmap):
    X, y = iris
    display = CodeScatterDisplay.from_estimator(PCA(2).fit(X), X, y, cmap=cmap, alpha=1)
    cmap = plt.get_cmap(cmap)
    expected = [cmap(i) if cmap.N < 256 else cmap(i / 2) for i in range(3)]
    for points, color in zip(display.ax_.collections, expected, strict=True):
        assert same_color(points.get_facecolor()[0], color)


@pytest.mark.parametrize(
    "kwargs",
    [{"c": "red"}, {"color": "red", "marker": "x"}, {"ls": ":", "lw": 2, "c": "red"}, None],
)
@pytest.mark.parametrize("several", [False, True])
def test_curves_take_aliases(curve, kwargs, several):
    kwargs = [kwargs, None] if several else kwargs
    display = CodeSizeCurveDisplay(curve).plot(curve_kwargs=kwargs)
    if kwargs not in (None, [None, None]):
        assert display.ax_.lines[0].get_color() == "red"


# -------------------------------------------------------------- wrong requests, before any work


class Idle(PCA):
    """A reducer that must not be asked to do anything."""

    def transform(self, X):
        raise AssertionError("transform was called")

    def inverse_transform(self, X):
        raise AssertionError("inverse_transform was called")


def reconstruct(estimator, X, **kwargs):
    return ReconstructionDisplay.from_estimators(estimator, X, **kwargs)


def interpolate(estimator, X, **kwargs):
    return InterpolationDisplay.from_estimators(estimator, X[:2], **kwargs)


def traverse(estimator, X, **kwargs):
    return CodeTraversalDisplay.from_estimator(estimator, X, **kwargs)


def scatter(estimator, X, **kwargs):
    return CodeScatterDisplay.from_estimator(estimator, X, **kwargs)


ROWS = [reconstruct, interpolate, traverse]
NOT_INTS = [True, 2.0, "2", None, [2], np.float64(2), np.True_]
WRONG = [
    *(
        (draw, {"image_shape": shape}, "image_shape")
        for draw in ROWS
        for shape in [
            *(
                2,
                2.0,
                "2x2",
                np.int64(2),
                {2: 2},
                {1, 4},
                True,
                False,
                (),
                0,
                (2,),
                (3, 3),
                (2.0, 2),
            ),
            *((True, 4), (2, 2, 1), (-1, -1), (1, 1, 1, 4), np.array([[2, 2]])),
        ]
    ),
    *((draw, {"kind": kind}, "kind") for draw in ROWS for kind in ["pictures", None, "images"]),
    *((draw, {"cmap": "grey scale"}, "grey scale") for draw in ROWS),
    *((draw, {"ax": ax}, "Axes") for draw in [*ROWS, scatter] for ax in ["left", 0, [], [None]]),
    *((reconstruct, {"n_samples": n}, "n_samples") for n in [0, -1, *NOT_INTS]),
    *(
        (draw, {"n_steps": n}, "n_steps")
        for draw in (interpolate, traverse)
        for n in [0, 1, -3, *NOT_INTS]
    ),
    *(
        (traverse, {"row": row}, "row must be")
        for row in [*(True, 0.0, "0", -1, 150, [0], np.float64(1), np.False_)]
    ),
    *(
        (traverse, {"width": width}, "width must be")
        for width in [*(0, -1, np.nan, np.inf, "2", None, True, [1])]
    ),
    *(
        (traverse, {"components": wrong}, "components must hold integers from 0 to 1")
        for wrong in [
            *(
                2,
                -1,
                0.0,
                True,
                "0",
                [],
                [0.0],
                [True, False],
                [False],
                [0, 2],
                [-1],
                ["0"],
                [None],
            ),
            *(np.array([0.0]), np.array([True, False]), [[0, 1]], {0: 1}, [np.True_], [0, 1.0]),
        ]
    ),
    *(
        (scatter, {"components": wrong}, "components must be two integers from 0 to 1")
        for wrong in [
            *(
                0,
                None,
                "01",
                (0,),
                (0, 1, 0),
                (0.0, 1.0),
                (False, True),
                (0, 2),
                (-1, 0),
                ("0", "1"),
            ),
            *(np.array([0.0, 1.0]), np.array([True, False]), (0, None), [[0, 1]], {0: 1, 1: 0}),
        ]
    ),
    *(
        (scatter, {"y": y}, message)
        for y, message in [
            (np.zeros(10), "inconsistent numbers of samples"),
            ("species", "shape"),
            (np.zeros((150, 2)), "shape"),
            ([(0, 1)] * 150, "shape"),
            (np.full(150, np.inf), "infinite"),
        ]
    ),
    (scatter, {"y": ["a"] * 150, "kind": "values"}, "kind='values' needs numbers.*'a'"),
    (scatter, {"kind": "colours"}, "kind must be"),
    (scatter, {"c": "red", "color": "blue"}, "either c or color"),
    (scatter, {"c": "no such colour"}, "no such colour"),
    (scatter, {"y": np.zeros(150), "marker": "no such marker"}, "marker"),
    (scatter, {"y": np.arange(150), "cmap": "no such map"}, "no such map"),
    (scatter, {"s": np.ones(10)}, r"s must be|s \(size 10\)"),
    (scatter, {"weight": 3}, "weight"),
]


@pytest.mark.parametrize(("draw", "kwargs", "message"), WRONG)
def test_what_is_wrong_is_said_before_any_work(iris, draw, kwargs, message):
    X, _ = iris
    with pytest.raises((ValueError, TypeError, AttributeError), match=message):
        draw(Idle(2).fit(X), X, **kwargs)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("draw", [*ROWS, scatter])
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda X: (Idle(2), X), NotFittedError, "not fitted"),
        (lambda X: (make_pipeline(StandardScaler(), Idle(2)), X), NotFittedError, "not fitted"),
        (lambda X: (quick(), X), NotFittedError, "not fitted"),
        (lambda X: (Idle(2).fit(X), X[:, :3]), ValueError, "X has 3 features, but Idle .* 4"),
        (lambda X: (Idle(2).fit(X), pd.DataFrame(X[:, :3])), ValueError, "3 features"),
        (lambda X: (Idle(2).fit(X), X[:, :3].tolist()), ValueError, "3 features"),
        (lambda X: (Idle(2).fit(X), X[:0]), ValueError, "X must have"),
        (lambda X: (Idle(2).fit(X), 3), TypeError, "array-like|subscriptable"),
        (lambda X: (Idle, X), TypeError, "Expected an estimator"),
        (lambda X: ("PCA", X), TypeError, "Expected an estimator"),
    ],
)
def test_wrong_estimators_and_rows_are_told_before_any_work(iris, draw, make, error, message):
    with pytest.raises(error, match=message):
        draw(*make(iris[0]))


class Stateless(TransformerMixin, BaseEstimator):
    """A reducer that has nothing to learn, and does not say so by its tags."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[:, :2]

    def inverse_transform(self, X):
        return np.hstack([X, X])


class NoEstimator:
    transform, inverse_transform = Stateless.transform, Stateless.inverse_transform


@pytest.mark.parametrize("reducer", [Stateless(), NoEstimator()])
@pytest.mark.parametrize("draw", [*ROWS, scatter])
def test_what_has_nothing_to_learn_needs_no_fit(iris, draw, reducer):
    assert draw(reducer, iris[0]).figure_


@pytest.mark.parametrize("draw", [reconstruct, interpolate])
def test_of_several_estimators_all_are_checked_first(iris, draw):
    X, _ = iris
    idle = Idle(2).fit(X)
    with pytest.raises(NotFittedError):
        draw([idle, PCA(2)], X)
    with pytest.raises(ValueError, match="4 features, but PCA is expecting 3"):
        draw([idle, PCA(2).fit(X[:, :3])], X)
    with pytest.raises(TypeError, match="inverse_transform"):
        draw([idle, WithoutInverse().fit(X)], X)
    with pytest.raises(ValueError, match=r"Names must differ.*\['1'\] occur more than once"):
        draw({1: idle, "1": idle}, X)
    with pytest.raises(ValueError, match="at least one"):
        draw({}, X)


def test_rows_that_do_not_go_together(iris):
    X, _ = iris
    idle = Idle(2).fit(X)
    with pytest.raises(ValueError, match="4 columns, but X_noisy has 3"):
        ReconstructionDisplay.from_estimators(idle, X, X_noisy=X[:, :3])
    with pytest.raises(ValueError, match="2 or more rows; got 1"):
        CodeTraversalDisplay.from_estimator(idle, X[:1])
    assert ReconstructionDisplay.from_estimators(PCA(2).fit(X), X[:1]).rows["PCA"].shape == (1, 4)
    assert len(scatter(PCA(2).fit(X), X[:1], y=[None]).ax_.collections[-1].get_offsets()) == 1


@pytest.mark.parametrize(
    "components", [1, (1, 0), [np.int64(1)], np.array([0, 1], np.uint8), range(2)]
)
def test_components_may_be_any_integers(iris, components):
    X, _ = iris
    display = traverse(PCA(3).fit(X), X, components=components)
    expected = [f"code {k}" for k in np.atleast_1d(np.array(components))]
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == expected


def test_components_where_the_code_size_is_not_told(iris):
    X, _ = iris
    reducer = WithoutInverse(2).fit(X)
    assert not hasattr(reducer, "get_feature_names_out")
    for wrong in [(0, 2), (0.0, 1.0), (True, False)]:
        with pytest.raises(ValueError, match="components must be two integers"):
            scatter(reducer, X, components=wrong)
    with pytest.raises(ValueError, match=r"from 0 to 0.*the code size is 1"):
        scatter(PCA(1).fit(X), X)


class Unfitted(PCA):
    """A reducer that must not be fitted; pytest.fail is no Exception that would be recorded."""

    def fit(self, X, y=None):
        pytest.fail("fit was called")

    fit_transform = fit


@pytest.mark.parametrize(
    ("params", "message"),
    [
        *(
            ({"n_components": sizes}, "n_components must hold")
            for sizes in [
                *([], [0], [-1], [1.0], [True], ["1"], [None], np.array([1.0, 2.0]), [[1], [2]]),
            ]
        ),
        ({"cv": 1}, "n_splits"),
        ({"cv": 200}, "n_splits|members"),
        ({"cv": []}, "no splits"),
        ({"cv": [(np.arange(9), np.arange(150, 160))]}, "X, of 150 rows, lacks"),
        ({"cv": [(np.arange(9), [])]}, "at least one of each"),
        ({"cv": [np.arange(9)]}, "training rows and of its test rows|unpack"),
        ({"cv": [(np.arange(9), [0.5])]}, "indices or masks"),
        ({"cv": GroupKFold(3)}, "groups"),
        ({"groups": np.zeros(10)}, "inconsistent"),
        ({"scoring": "r2"}, "scoring must be a callable"),
        ({"scoring": r2_score}, "metric function"),
        ({"classifier": KNeighborsClassifier}, "class"),
        ({"classifier": LogisticRegression(), "y": np.linspace(0, 1, 150)}, "continuous"),
        ({"classifier_scoring": "no such score"}, "no such score"),
        ({"classifier_scoring": "r2", "y": None}, "needs a target"),
        ({"y": np.where(np.arange(150) < 3, np.nan, 1)}, "missing labels"),
        ({"y": np.array([None, "a", "b"] * 50)}, "missing labels"),
        ({"y": pd.Series([None, 1, 2] * 50, dtype="Int64")}, "missing labels"),
        ({"y": np.full(150, np.inf)}, "infinit"),
        ({"param_name": {"PCA": "n_components"}}, "names of estimators"),
        ({"param_name": 3}, "param_name"),
        ({"param_name": {"Unfitted": 3}}, "no parameter 3"),
        ({"param_name": {1: "n_components", "1": "n_components"}}, "Names must differ"),
        ({"estimators": {1: Unfitted(), "1": Unfitted()}}, "Names must differ"),
        ({"estimators": [Unfitted(), Ridge()]}, "Expected an estimator with transform"),
        ({"estimators": [Unfitted(), SelectKBest()]}, "param_name"),
        ({"n_jobs": "two"}, "n_jobs"),
    ],
)
def test_code_sizes_are_checked_before_the_first_fit(iris, params, message):
    X, y = iris
    params = {"estimators": Unfitted(), "y": y, "n_components": [1, 2], **params}
    for compute in (code_size_curve, CodeSizeCurveDisplay.from_estimators):
        with pytest.raises((ValueError, TypeError), match=message):
            compute(X=X, **params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"measures": "seconds"}, "measures must be among"),
        ({"measures": []}, "measures must be among"),
        ({"measures": "classifier_score", "y": None}, "measures must be among"),
        ({"std_display_style": "cloud"}, "std_display_style"),
        ({"curve_kwargs": [{}, {}]}, "one for each of 1 reducers; got 2"),
        ({"curve_kwargs": "red"}, "must be a dict"),
        ({"curve_kwargs": {"c": "red", "color": "red"}}, "color"),
        ({"curve_kwargs": {"cmap": "gray"}}, "cmap"),
        ({"curve_kwargs": {"PCA": {}}}, "PCA"),
        ({"ax": "left"}, "Axes"),
        ({"ax": []}, "2 Axes; got 0"),
        ({"ax": [None, None]}, "Axes"),
    ],
)
def test_what_is_drawn_is_checked_before_the_first_fit(iris, params, message):
    X, y = iris
    params = {"y": y, "n_components": [1, 2], **params}
    with pytest.raises((ValueError, TypeError, AttributeError), match=message):
        CodeSizeCurveDisplay.from_estimators(Unfitted(), X, **params)
    assert plt.get_fignums() == []


def test_the_number_of_axes_is_checked_before_the_first_fit(iris):
    X, y = iris
    _, axes = plt.subplots(1, 3)
    for wrong in (axes, plt.figure().add_axes([0, 0, 1, 1])):
        with pytest.raises(ValueError, match=r"2 Axes|grid of subplots"):
            CodeSizeCurveDisplay.from_estimators(Unfitted(), X, y, n_components=[1], ax=wrong)
    # KernelPCA has an inverse_transform that fails, and its Axes stays empty.
    with pytest.warns(FitFailedWarning):
        display = CodeSizeCurveDisplay.from_estimators(
            KernelPCA(), X, y, n_components=[1], cv=2, ax=axes[:2]
        )
    assert [len(ax.lines) for ax in display.axes_] == [0, 1]


def test_warnings_point_at_the_line_of_the_user(iris):
    X, _ = iris
    for compute in (code_size_curve, CodeSizeCurveDisplay.from_estimators):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            compute(PCA(), X, n_components=[1, 9], cv=2)
        assert [warning.filename for warning in caught] == [__file__]


# ------------------------------------------------------------------------------------ signals


@pytest.mark.parametrize("draw", ROWS)
@pytest.mark.parametrize(
    "shape", [(1, 1, 24), (2, 1, 12), (3, 1, 8), (8, 1, 3), (1, 24), (2, 1, -1)]
)
def test_signals_are_drawn_as_lines(draw, shape):
    X = np.random.default_rng(0).normal(size=(20, 24))
    display = draw(PCA(2).fit(X), X, image_shape=shape)
    assert not display.ax_.images
    n_channels = shape[0] if len(shape) == 3 else 1
    length = 24 // n_channels
    lines = [line for line in display.ax_.lines if len(line.get_xdata()) == length]
    n_rows = {reconstruct: 2 * 8, interpolate: 9, traverse: 2 * 7}[draw]
    assert len(lines) == n_rows * n_channels
    if draw is reconstruct:
        assert_array_equal(lines[0].get_ydata(), X[0, :length])
        assert_array_equal(lines[n_channels - 1].get_ydata(), X[0, -length:])
    names = {reconstruct: 2, interpolate: 9, traverse: 7}[draw]
    assert len(legend_texts(display.ax_)) == names
    display.figure_.canvas.draw()
    for line in lines:  # each channel is in its own band
        k = lines.index(line) % n_channels
        heights = line.get_transform().transform(
            np.column_stack([line.get_xdata(), line.get_ydata()])
        )
        _, (bottom, top) = display.ax_.transAxes.transform([(0, 0), (0, 1)]).T
        share = (heights[:, 1] - bottom) / (top - bottom)
        assert (share >= 1 - (k + 1) / n_channels).all()
        assert (share <= 1 - k / n_channels).all()


def test_signals_of_an_autoencoder_are_drawn_as_lines():
    X = np.random.default_rng(0).normal(size=(30, 32))
    for shape, n_channels in [((1, 1, -1), 1), (np.array([2, 1, 16]), 2)]:
        autoencoder = quick(conv_filters=(2,), image_shape=shape, hidden_layer_sizes=()).fit(X)
        display = ReconstructionDisplay.from_estimator(autoencoder, X, n_samples=3)
        lines = [line for line in display.ax_.lines if len(line.get_xdata()) == 32 // n_channels]
        assert len(lines) == 2 * 3 * n_channels
        assert display.ax_.get_ylabel() == ("value" if n_channels == 1 else "channel")


def test_constant_channels_and_missing_values_are_drawn():
    X = np.random.default_rng(0).normal(size=(4, 8))
    X[:, :4] = 1
    X[0, 5] = np.nan
    display = ReconstructionDisplay({"original": X}, image_shape=(2, 1, 4)).plot()
    display.figure_.canvas.draw()
    display = ReconstructionDisplay({"original": X}, image_shape=(2, 4)).plot()
    assert display.ax_.images[0].get_clim() == (np.nanmin(X), np.nanmax(X))


@pytest.mark.parametrize("draw", ROWS)
def test_kind_says_whether_images_or_lines_are_drawn(digits, draw):
    X = digits[0][:60]
    autoencoder = quick(image_shape=(1, 8, 8)).fit(X)
    lines = draw(autoencoder, X, kind="lines").ax_
    assert not lines.images
    assert lines.get_xlabel() == "features, in the order of X"
    assert draw(autoencoder, X).ax_.images
    strips = draw(PCA(2).fit(X), X, image_shape=(1, 1, 64), kind="images").ax_
    assert strips.images[0].get_array().shape == (1, 64)
    with pytest.raises(ValueError, match=r"has 4 channels.*kind='lines'"):
        draw(Idle(2).fit(X), X, image_shape=(4, 4, 4))
    assert not draw(PCA(2).fit(X), X, image_shape=(4, 4, 4), kind="lines").ax_.images


def test_an_image_shape_of_an_inner_step_is_passed_over(digits):
    X = digits[0][:60]
    pipeline = make_pipeline(PCA(16), quick(image_shape=(1, 4, 4))).fit(X)
    assert not ReconstructionDisplay.from_estimator(pipeline, X).ax_.images


# ------------------------------------------------------------------------- without the extras

WITHOUT_EXTRAS = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("matplotlib", "pandas"):
            raise ImportError(name)

sys.meta_path.insert(0, Missing())
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn_ae import inspection
X = load_iris().data
print(inspection.code_size_curve(PCA(), X, n_components=[1], cv=2).frame)
pca = PCA(2).fit(X)
for draw in (
    lambda: inspection.CodeSizeCurveDisplay.from_estimators(pca, X, n_components=[1]),
    lambda: inspection.ReconstructionDisplay.from_estimator(pca, X),
    lambda: inspection.InterpolationDisplay.from_estimator(pca, X[:2]),
    lambda: inspection.CodeTraversalDisplay.from_estimator(pca, X),
    lambda: inspection.CodeScatterDisplay.from_estimator(pca, X),
    lambda: inspection.LossCurveDisplay([1, 2]).plot(),
):
    try:
        draw()
    except ImportError as error:
        print(error)
"""


@pytest.mark.slow
def test_without_pandas_no_frame_and_without_matplotlib_the_error_says_what_to_install():
    frame, *lines = run_python("-W", "error", "-c", WITHOUT_EXTRAS).splitlines()
    assert frame == "None"
    assert len(lines) == 6
    assert all('pip install "sklearn-ae[plot]"' in line for line in lines)


def test_components_codes_and_rows_that_are_none(iris):
    X, y = iris
    pca = PCA(3).fit(X)
    with pytest.raises(ValueError, match="components must be two integers from 0 to 2"):
        CodeScatterDisplay.from_estimator(pca, X, components=(0.0, 1.0))
    with pytest.raises(ValueError, match=r"of shape \(n_samples, 2\); got \(150, 4\)"):
        CodeScatterDisplay(X).plot()
    with pytest.raises(ValueError, match="n_samples must be an int of at least 1; got -1"):
        ReconstructionDisplay.from_estimator(pca, X, n_samples=-1)
    with pytest.raises(ValueError, match="infinite"):  # and no warning
        CodeScatterDisplay.from_estimator(pca, X, np.where(y == 0, np.inf, y))


def test_code_size_curve_of_rows_with_missing_values():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(100, 3)) @ rng.normal(size=(3, 6))
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    ordered = AutoencoderTransformer(ordered=True, max_epochs=1, random_state=0)
    curve = code_size_curve(ordered, X, y=np.arange(100) % 2, n_components=[1, 3], cv=2)
    assert np.isfinite(curve.reconstruction_score).all()
    assert np.isfinite(curve.classifier_score).all()


def test_pairs_with_other_columns_cannot_be_drawn():
    rng = np.random.RandomState(0)
    damaged, clean = rng.normal(size=(60, 4)), rng.normal(size=(60, 6))
    pairs = DenoisingAutoencoder(2, max_epochs=1, random_state=0).fit(damaged, X_clean=clean)
    for X, X_noisy in ((clean, damaged), (damaged, None)):
        with pytest.raises(ValueError, match=r"which has \d columns, but .*[46]\. Draw pairs"):
            ReconstructionDisplay.from_estimator(pairs, X, X_noisy=X_noisy)
