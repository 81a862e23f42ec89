"""The estimator among scikit-learn's tools, and the README's own code."""

import pickle
import re
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_validate
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from zoo import quick

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder

README = Path(__file__).parents[1] / "README.md"
README_BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True, as_frame=True)


# ---------------------------------------------------------------------------- composition


def test_pipeline(iris):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), quick(), LogisticRegression()).fit(X, y)
    assert pipeline.score(X, y) > 0.8
    assert len(pipeline[:-1].get_feature_names_out()) == 3


def test_column_transformer_and_feature_union(iris):
    X, _ = iris
    X = X.assign(colour=np.resize(["red", "green"], len(X)))
    numbers = list(X.columns[:4])
    union = FeatureUnion([("pca", PCA(2)), ("autoencoder", quick(2))])
    columns = ColumnTransformer(
        [("numbers", union, numbers), ("colour", OneHotEncoder(sparse_output=False), ["colour"])]
    ).set_output(transform="pandas")
    result = columns.fit_transform(X)
    assert list(result.columns) == [
        "numbers__pca__pca0",
        "numbers__pca__pca1",
        "numbers__autoencoder__autoencodertransformer0",
        "numbers__autoencoder__autoencodertransformer1",
        "colour__colour_green",
        "colour__colour_red",
    ]
    assert_array_equal(result.index, X.index)


@pytest.mark.parametrize("library", [pd, pl])
def test_data_frames(iris, library):
    X, _ = iris
    frame = library.DataFrame(X.to_dict("list"))
    with sklearn.config_context(transform_output=library.__name__):
        autoencoder = quick().fit(frame)
        result = autoencoder.transform(frame)
    assert isinstance(result, library.DataFrame)
    assert list(result.columns) == [f"autoencodertransformer{i}" for i in range(3)]
    assert_array_equal(result.to_numpy(), quick().fit_transform(X.to_numpy()))
    # scikit-learn < 1.9 reads no names of polars 2
    names = [getattr(e.fit(frame), "feature_names_in_", None) for e in (PCA(), quick())]
    assert_array_equal(*names)


def test_names_of_columns_are_checked(iris):
    X, _ = iris
    autoencoder = quick().fit(X)
    assert_array_equal(autoencoder.feature_names_in_, X.columns)
    with pytest.raises(ValueError, match=r"feature names should match"):
        autoencoder.transform(X.rename(columns={X.columns[0]: "other"}))


def test_clone():
    callbacks = {"callbacks": []}
    autoencoder = quick(net_params=callbacks)
    copy = clone(autoencoder)
    assert copy.get_params() == autoencoder.get_params()
    assert copy.net_params is not callbacks
    assert not hasattr(clone(autoencoder.fit(np.eye(10))), "net_")


def test_fit_transform_is_transform_after_fit(iris):
    X, y = iris
    assert_array_equal(quick().fit_transform(X, y), quick().fit(X).transform(X))


# ------------------------------------------------------------------------------- searches


@pytest.mark.slow
def test_grid_search_over_the_code_size_in_two_processes(iris):
    X, _ = iris
    search = GridSearchCV(quick(), {"n_components": [1, 2, 3]}, n_jobs=2, cv=3).fit(X)
    assert search.best_params_ == {"n_components": 3}
    assert np.all(np.diff(search.cv_results_["mean_test_score"]) > 0)
    sequential = GridSearchCV(quick(), {"n_components": [1, 2, 3]}, cv=3).fit(X)
    assert_allclose(
        search.cv_results_["mean_test_score"],
        sequential.cv_results_["mean_test_score"],
        rtol=1e-4,  # the workers have another number of threads
    )


@pytest.mark.slow
def test_grid_search_swaps_steps(iris):
    X, y = iris
    pipeline = Pipeline([("reduce", PCA()), ("classify", LogisticRegression(max_iter=1000))])
    grid = {"reduce": [PCA(), quick()], "reduce__n_components": [2, 3]}
    search = GridSearchCV(pipeline, grid, n_jobs=2, cv=3).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.9


def test_halving_search(iris):
    X, _ = iris
    X = X.sample(frac=1, random_state=0)  # iris is sorted by class
    grid = {"hidden_layer_sizes": [(), (8,), (16,), (8, 8)]}
    search = HalvingGridSearchCV(quick(2), grid, random_state=0, cv=3).fit(X)
    assert search.n_iterations_ == 2
    assert search.best_score_ > 0.9


@pytest.mark.slow
def test_cross_validate_returns_estimators(iris):
    X, y = iris
    result = cross_validate(quick(), X, y, return_estimator=True, n_jobs=2, cv=3)
    codes = [autoencoder.transform(X) for autoencoder in result["estimator"]]
    assert all(code.shape == (150, 3) for code in codes)
    assert (result["test_score"] > 0.5).all()


# ------------------------------------------------------------------------------ pickling


@pytest.mark.parametrize("params", [{}, {"init": "random"}, {"optimizer": "sgd"}])
def test_pickled_equals_original(digits, params):
    X_train, X_test = digits
    autoencoder = quick(8, hidden_layer_sizes=(256,), **params).fit(X_train)
    data = pickle.dumps(autoencoder)
    n_weights = sum(weight.numel() for weight in autoencoder.net_.module_.parameters())
    assert len(data) < 1.1 * 4 * n_weights + 20_000
    loaded = pickle.loads(data)
    assert_array_equal(loaded.transform(X_test), autoencoder.transform(X_test))
    assert_array_equal(loaded.reconstruct(X_test), autoencoder.reconstruct(X_test))
    assert loaded.score(X_test) == autoencoder.score(X_test)
    loaded.partial_fit(X_train)
    assert loaded.n_iter_ == autoencoder.n_iter_ + 1


def test_joblib_dump_of_a_search(tmp_path, iris):
    X, _ = iris
    search = GridSearchCV(quick(), {"n_components": [1, 2]}, cv=2).fit(X)
    joblib.dump(search, tmp_path / "search.joblib")
    loaded = joblib.load(tmp_path / "search.joblib")
    assert_array_equal(loaded.transform(X), search.transform(X))


def test_callbacks_are_those_of_scikit_learn():
    # it has had them since 1.9; test_callbacks.py is about what they see
    has_callbacks = find_spec("sklearn.callback") is not None
    assert hasattr(quick(), "set_callbacks") == has_callbacks


# -------------------------------------------------------------------------- documentation


@pytest.fixture
def few_epochs(monkeypatch):
    """Code as users write it, by default with two epochs: it has to run, not to converge."""
    for estimator in (AutoencoderTransformer, DenoisingAutoencoder):
        defaults = {**estimator.__init__.__kwdefaults__, "max_epochs": 2}
        monkeypatch.setattr(estimator.__init__, "__kwdefaults__", defaults)


@pytest.mark.slow
@pytest.mark.parametrize("block", README_BLOCKS)
def test_readme_code_runs(block, few_epochs, capsys):
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_readme_has_the_three_uses():
    text = "".join(README_BLOCKS)
    assert "make_pipeline(" in text
    assert "GridSearchCV(" in text
    assert "PCA(" in text
