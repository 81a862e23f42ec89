"""The code-size curve, held against scikit-learn's own functions, and the Displays."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.manifold import TSNE
from sklearn.metrics import make_scorer
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
    code_size_curve(PCA(), *iris, n_components=[1, 2], cv=2, verbose=1)
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
    autoencoder = quick(8, max_epochs=6).fit(digits[0])
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
        (DenoisingAutoencoder(2, corruption_level=0.2, **QUICK), ["linear start, held out"]),
        (quick(loss="binary_cross_entropy"), ["linear start, held out"]),
        (quick(linear_start=False), []),
        (quick(early_stopping=False), []),
        (quick(max_epochs=0), ["PCA, held out"]),
    ],
)
def test_start_of_the_losses(digits, autoencoder, start):
    autoencoder.fit(digits[0][:200] / 16)
    display = LossCurveDisplay.from_estimator(autoencoder)
    labels = [line.get_label() for line in display.ax_.lines]
    assert [label for label in labels if "start" in label or "PCA" in label] == start
    assert ("held out" in labels) == autoencoder.early_stopping


def test_after_a_warm_start_epoch_0_is_not_the_linear_start(digits):
    autoencoder = quick(8, warm_start=True).fit(digits[0])
    assert autoencoder.linear_start_
    autoencoder.fit(digits[0])
    assert not autoencoder.linear_start_
    lines = {
        line.get_label(): line for line in LossCurveDisplay.from_estimator(autoencoder).ax_.lines
    }
    assert "PCA, held out" not in lines
    assert lines["held out"].get_ydata()[0] == autoencoder.start_loss_
    assert not quick(linear_start=False).fit(digits[0]).linear_start_
    assert quick().partial_fit(digits[0]).partial_fit(digits[0]).linear_start_


def test_losses_of_several_in_one_picture(digits):
    _, ax = plt.subplots()
    for name, color in {"first": "red", "second": "blue"}.items():
        display = LossCurveDisplay.from_estimator(
            quick(8).fit(digits[0]), ax=ax, name=name, color=color
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
    with pytest.raises(ValueError, match="NaN"):  # and no warning
        CodeScatterDisplay.from_estimator(pca, X, np.where(y == 0, np.nan, y))
