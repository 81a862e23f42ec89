"""scikit-learn's own callbacks follow the epochs of a fit."""

import numpy as np
import pytest
import rich
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from zoo import quick

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9 has no callbacks")


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
    quick().set_callbacks(callback.ProgressBar()).fit(X)
    assert "AutoencoderTransformer - fit" in capsys.readouterr().out


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_of_a_search_shows_epochs(X, capsys, n_jobs):
    rich.reconfigure(width=200)  # it cuts its lines to the terminal's width
    search = GridSearchCV(quick(), {"n_components": [1, 2]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X)
    output = capsys.readouterr().out
    assert "GridSearchCV - fit" in output
    assert "AutoencoderTransformer - fit" in output
    assert "100%" in output


def test_scoring_monitor():
    X, y = load_iris(return_X_y=True)
    monitor = callback.ScoringMonitor(scoring={"r2": lambda estimator, X, y: estimator.score(X, y)})
    autoencoder = quick(early_stopping=False).set_callbacks(monitor).fit(X, y)
    scores = monitor.get_logs().data_as_pandas["r2"]
    assert len(scores) == 5 + 1
    assert scores.iloc[-1] == pytest.approx(autoencoder.score(X))
