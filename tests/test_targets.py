"""`target_weight`: codes that keep y, too."""

import copy
import io
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.export import to_onnx

X, Y = load_wine(return_X_y=True)
X = StandardScaler().fit_transform(X)
QUICK = {"target_weight": 1.0, "random_state": 0, "max_epochs": 20, "hidden_layer_sizes": 16}
RNG = np.random.RandomState(0)


def scale_targets(columns, weight=1.0):
    """Return centred targets that weigh as much as X, times a weight."""
    columns = columns - columns.mean(axis=0)
    return columns * np.sqrt(weight * X.var(axis=0).sum() / columns.var(axis=0).sum())


def fit_covariates(columns, n_components):
    """Return the codes of a principal covariates regression, by NumPy."""
    weights = np.linalg.lstsq(X, columns, rcond=None)[0]
    both = np.hstack([X, X @ weights])
    return both @ np.linalg.svd(both, full_matrices=False)[2][:n_components].T


ONE_HOT = (Y[:, None] == np.unique(Y)).astype(float)
NUMBERS = np.stack([X[:, 0] ** 2, X @ np.arange(13)], axis=1)


@pytest.mark.parametrize(
    ("y", "columns"),
    [
        (Y, ONE_HOT),
        (NUMBERS, NUMBERS / NUMBERS.std(axis=0)),
        (NUMBERS[:, 0], NUMBERS[:, :1]),
        (ONE_HOT.astype(int), ONE_HOT / ONE_HOT.std(axis=0)),  # labels of which a row may have many
    ],
)
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_the_start_is_principal_covariates_regression(y, columns, weight):
    fitted = AutoencoderTransformer(3, target_weight=weight, max_epochs=0, init="linear").fit(X, y)
    expected = fit_covariates(scale_targets(columns, weight), 3)
    signs = np.sign((fitted.transform(X) * expected).sum(axis=0))
    assert_allclose(fitted.transform(X) * signs, expected, atol=1e-5)


KINDS = {
    "numbers of classes": Y,
    "text": np.array(["red", "white", "rosé"])[Y],
    "objects": np.array(["red", "white", "rosé"], dtype=object)[Y],
    "list": Y.tolist(),
    "series": pd.Series(Y),
    "categories": pd.Series(np.array(["a", "b", "c"])[Y], dtype="category"),
    "column": Y[:, None],
    "floats": Y.astype(float),
}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_any_kind_are_the_same(kind):
    expected = AutoencoderTransformer(2, **QUICK).fit(X, Y)
    fitted = AutoencoderTransformer(2, **QUICK).fit(X, KINDS[kind])
    assert_array_equal(fitted.transform(X), expected.transform(X))
    assert_array_equal(fitted.classes_, np.unique(np.ravel(KINDS[kind])))


def hide(y, kind):
    hidden = RNG.permutation(len(y))[:120]
    missing = {"NaN": np.nan, "None": None, "-1": -1, "NA": pd.NA}[kind]
    y = y.astype(float if kind == "NaN" else object if kind != "-1" else int)
    y[hidden] = missing
    return (pd.Series(y, dtype="Int64") if kind == "NA" else y), hidden


@pytest.mark.parametrize("kind", ["NaN", "None", "-1", "NA"])
def test_rows_without_a_label_count_for_themselves(kind):
    y, hidden = hide(Y, kind)
    fitted = AutoencoderTransformer(2, **QUICK).fit(X, y)
    assert_array_equal(fitted.classes_, [0, 1, 2])
    other = y.copy() if kind != "NA" else y
    # they are used: without them the code is another one
    known = np.setdiff1d(np.arange(len(Y)), hidden)
    few = AutoencoderTransformer(2, **QUICK).fit(X[known], np.asarray(other)[known].astype(int))
    assert not np.allclose(fitted.transform(X), few.transform(X))


def test_minus_one_is_a_class_beside_one_other():
    y = np.where(Y == 0, -1, 1)
    assert_array_equal(AutoencoderTransformer(2, **QUICK).fit(X, y).classes_, [-1, 1])


def test_without_a_weight_y_is_ignored():
    params = {**QUICK, "target_weight": 0.0}
    with_y = AutoencoderTransformer(2, **params).fit(X, np.arange(len(X)))
    assert_array_equal(with_y.transform(X), AutoencoderTransformer(2, **params).fit(X).transform(X))
    assert not hasattr(with_y, "classes_")


def test_scores_and_reconstructions_are_those_of_X():
    fitted = AutoencoderTransformer(2, **QUICK).fit(X, Y)
    codes = fitted.transform(X)
    assert codes.shape == (178, 2)
    restored = fitted.inverse_transform(codes)
    assert restored.shape == X.shape
    errors = np.square(X - restored)
    assert_allclose(fitted.score(X), 1 - errors.sum() / np.square(X).sum(), rtol=1e-5)
    assert_allclose(fitted.score_samples(X), -errors.mean(axis=1), rtol=1e-4)
    assert_allclose(fitted.net_.predict(X), fitted.reconstruct(X), atol=1e-5)


def test_the_loss_is_that_of_X_and_y():
    params = {**QUICK, "max_epochs": 0, "init": "linear"}
    order = np.random.RandomState(0).permutation(len(X))
    (train, new), (y_train, y_new) = np.split(X[order], [120]), np.split(Y[order], [120])
    fitted = AutoencoderTransformer(2, **params).fit(train, y_train, X_val=new, y_val=y_new)
    plain = fitted.score_samples(new)
    assert fitted.start_loss_ > -plain.mean()


@pytest.mark.slow
@pytest.mark.parametrize("n_components", [2, 8])
def test_classifiers_read_them_better_than_codes_of_pca(n_components):
    digits, labels = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(digits, labels, random_state=0)
    found = []
    for reducer in (
        PCA(n_components),
        AutoencoderTransformer(n_components, target_weight=1.0, random_state=0),
    ):
        classifier = make_pipeline(reducer, StandardScaler(), LogisticRegression())
        found.append(classifier.fit(train, y_train).score(test, y_test))
    assert found[1] > found[0] + 0.05


class NoteStrata(Callback):
    """Keeps the classes of the first features of the rows that judge."""

    def on_train_begin(self, net, X=None, **kwargs):
        self.n_rows = len(X)


def test_a_class_is_in_all_folds():
    # sorted by class: folds of neighbouring rows would lack two of the classes
    y = np.sort(Y)
    fitted = AutoencoderTransformer(2, **QUICK).fit(X, y)
    assert fitted.validation_loss_curve_ is not None
    rare = np.where(np.arange(len(X)) == 5, 9, y)  # a class with a single row
    assert AutoencoderTransformer(2, **QUICK).fit(X, rare).classes_[-1] == 9


OTHERS = {
    "ordered": {"ordered": True},
    "custom decoder": {"decoder": nn.Linear},
    "custom encoder": {"encoder": nn.Linear},
    "images": {"conv_filters": (2,), "image_shape": (1, 1, 13)},
    "share": {"n_components": 0.8},
    "clip": {"clip": True},
    "absolute error": {"loss": "absolute_error"},
    "callback": {"net_params": {"callbacks": [NoteStrata()]}},
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_parameters(name):
    params = {"n_components": 2, **QUICK, **OTHERS[name]}
    if name == "images":
        params["image_shape"] = (1, 13, 1)
    fitted = AutoencoderTransformer(**copy.deepcopy(params)).fit(X, Y)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.transform(X), fitted.transform(X))
    assert_array_equal(loaded.classes_, [0, 1, 2])
    assert fitted.reconstruct(X).shape == X.shape


def test_missing_values_in_X():
    holes = X.copy()
    holes[RNG.uniform(size=X.shape) < 0.1] = np.nan
    fitted = AutoencoderTransformer(2, **QUICK).fit(holes, Y)
    assert np.isfinite(fitted.transform(holes)).all()
    assert fitted.score(X) > 0.3


def test_chunks_go_on_with_the_classes_of_the_first():
    estimator = AutoencoderTransformer(2, **QUICK)
    for _ in range(3):
        estimator.partial_fit(X, Y)
    estimator.partial_fit(X[Y < 2], Y[Y < 2])
    assert_array_equal(estimator.classes_, [0, 1, 2])
    with pytest.raises(ValueError, match=r"labels \[3\], which are not among"):
        estimator.partial_fit(X, Y + 1)


def test_warm_starts_go_on():
    estimator = AutoencoderTransformer(2, warm_start=True, **QUICK).fit(X, Y)
    estimator.fit(X, Y)
    assert_array_equal(estimator.classes_, [0, 1, 2])
    estimator.target_weight = 0
    with pytest.raises(ValueError, match="another number of targets"):
        estimator.fit(X)


def test_exported_models_return_X(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    fitted, file = AutoencoderTransformer(2, **QUICK).fit(X, Y), io.BytesIO()
    to_onnx(fitted, file, part="reconstruct")
    session = onnxruntime.InferenceSession(file.getvalue())
    (found,) = session.run(None, {session.get_inputs()[0].name: X})
    assert_allclose(found, fitted.reconstruct(X), atol=1e-4)


def test_searches_and_pipelines_pass_y():
    pipeline = make_pipeline(AutoencoderTransformer(2, **QUICK), LogisticRegression())
    grid = {"autoencodertransformer__target_weight": [0.0, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, Y)
    assert search.best_params_ == {"autoencodertransformer__target_weight": 1.0}
    assert cross_val_score(clone(pipeline), X, Y, cv=3).mean() > 0.9


@pytest.mark.parametrize(
    ("params", "y", "message"),
    [
        ({}, None, "needs y"),
        ({}, Y[:5], "must have one label"),
        ({}, np.zeros(178), "single value"),
        ({}, np.full(178, np.nan), "no label at all"),
        ({"init": "random"}, Y, "target_weight needs the linear path"),
        ({"loss": "binary_cross_entropy"}, Y, "target_weight needs the linear path"),
        ({"target_weight": -1.0}, Y, "target_weight"),
    ],
)
def test_errors_come_before_training(params, y, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(2, **{**QUICK, **params}).fit(X, y)


def test_rows_held_out_need_labels():
    with pytest.raises(ValueError, match="X_val needs y_val"):
        AutoencoderTransformer(2, **QUICK).fit(X, Y, X_val=X)


def test_tensors_are_taken():
    fitted = AutoencoderTransformer(2, **QUICK).fit(X, torch.from_numpy(Y))
    assert_array_equal(fitted.classes_, [0, 1, 2])


def test_columns_that_are_sums_of_others_do_no_harm():
    double = np.hstack([X, X, X.sum(axis=1, keepdims=True)])[:, :16]
    train, test, y_train, _ = train_test_split(double, Y, random_state=0)
    fitted = AutoencoderTransformer(2, **QUICK).fit(train, y_train)
    assert fitted.score(test) > 0.3
