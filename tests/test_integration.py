"""The estimator among scikit-learn's tools, and the README's own code."""

import pickle
import re
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import rich
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
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
    assert_array_equal(autoencoder.feature_names_in_, X.columns)
    assert_array_equal(result.to_numpy(), quick().fit_transform(X.to_numpy()))
    with pytest.raises(ValueError, match=r"feature names should match"):
        autoencoder.transform(
            frame.rename(**{"columns" if library is pd else "mapping": {X.columns[0]: "other"}})
        )


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


# ------------------------------------------------------------- scikit-learn's callbacks


class Recorder:
    """Follows scikit-learn's FitCallback protocol; stops after `n_epochs`."""

    def __init__(self, n_epochs=None):
        self.n_epochs = n_epochs
        self.calls = []
        self.scores = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        self.scores.append(fitted_estimator.score(X))
        return context.task_name == "epoch" and context.task_id + 1 == self.n_epochs

    def teardown(self, estimator, context):
        self.calls.append("teardown")


def test_callbacks_follow_the_epochs(digits):
    X_train, _ = digits
    recorder = Recorder()
    autoencoder = quick(early_stopping=False).set_callbacks(recorder).fit(X_train)
    epoch = ["begin epoch", "end epoch"]
    assert recorder.calls == ["setup", "begin fit", *5 * epoch, "end fit", "teardown"]
    # each epoch's estimator is that of its own time
    assert np.all(np.diff(recorder.scores[:5]) > 0)
    assert recorder.scores[-1] == recorder.scores[-2] == autoencoder.score(X_train)


def test_a_callback_stops(digits):
    X_train, _ = digits
    autoencoder = quick(max_epochs=50).set_callbacks(Recorder(3)).fit(X_train)
    assert autoencoder.n_iter_ == 3
    assert autoencoder.best_epoch_ <= 3


def test_callbacks_are_torn_down_after_an_error(X):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("from a callback")

    failing = Failing()
    autoencoder = quick().set_callbacks(failing)
    with pytest.raises(RuntimeError, match="from a callback"):
        autoencoder.fit(X)
    assert failing.calls[-1] == "teardown"
    assert not hasattr(autoencoder, "net_")


def test_fitted_estimator_holds_no_callback(X):
    autoencoder = quick().set_callbacks(Recorder()).fit(X)
    assert autoencoder.net_.callbacks_ == []
    assert not hasattr(autoencoder, "_callback_fit_ctx")


def test_progress_bar(X, capsys):
    quick().set_callbacks(ProgressBar()).fit(X)
    assert "AutoencoderTransformer - fit" in capsys.readouterr().out


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_of_a_search_shows_epochs(X, capsys, n_jobs):
    rich.reconfigure(width=200)  # it cuts its lines to the terminal's width
    search = GridSearchCV(quick(), {"n_components": [1, 2]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X)
    output = capsys.readouterr().out
    assert "GridSearchCV - fit" in output
    assert "AutoencoderTransformer - fit" in output
    assert "100%" in output


def test_scoring_monitor():
    X, y = load_iris(return_X_y=True)
    monitor = ScoringMonitor(scoring={"r2": lambda estimator, X, y: estimator.score(X, y)})
    autoencoder = quick(early_stopping=False).set_callbacks(monitor).fit(X, y)
    scores = monitor.get_logs().data_as_pandas["r2"]
    assert len(scores) == 5 + 1
    assert scores.iloc[-1] == pytest.approx(autoencoder.score(X))


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
