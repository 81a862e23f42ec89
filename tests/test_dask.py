"""On Dask's collections and clusters all is as it is on one machine."""

import copy
import os
import pickle
import signal
import threading
import time

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import torch
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from zoo import QUICK, one_thread

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder, metrics
from sklearn_ae.dask import map_rows, reconstruction_r2
from sklearn_ae.inspection import code_size_curve

X = load_digits().data[:300]
FRAME = pd.DataFrame(X[:, 20:30], columns=[f"pixel {i}" for i in range(10)])


@pytest.fixture(scope="module")
def fitted():
    return AutoencoderTransformer(4, **QUICK).fit(X)


def count_load():
    """Count, in this process, what is unpickled."""
    os.environ["LOADED"] = str(int(os.environ.get("LOADED", 0)) + 1)


def n_loads(client):
    """Return what the workers have counted, and let them begin anew."""

    def count():
        import os  # not the environment of the client, which would be sent

        return int(os.environ.pop("LOADED", 0))

    return set(client.run(count).values())


class CountedAutoencoder(AutoencoderTransformer):
    """Tells how often it was sent."""

    def __setstate__(self, state):
        super().__setstate__(state)
        count_load()


class CountedFrame(pd.DataFrame):
    """Tells how often it was sent."""

    def __setstate__(self, state):
        super().__setstate__(state)
        count_load()


# ------------------------------------------------------------------------------------ rows


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples"])
@pytest.mark.parametrize("chunks", [(100, 64), (7, 64), (128, 10), (300, 64)])
def test_blocks_have_the_results_of_the_whole(fitted, method, chunks):
    found = map_rows(fitted, da.from_array(X, chunks=chunks), method)
    expected = getattr(fitted, method)(X)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert_array_equal(found.compute(), expected)


def test_codes_are_decoded_in_blocks(fitted):
    codes = fitted.transform(X)
    found = map_rows(fitted, da.from_array(codes, chunks=(64, 4)), "inverse_transform")
    assert_array_equal(found.compute(), fitted.inverse_transform(codes))


@pytest.mark.parametrize("estimator", [AutoencoderTransformer(3, **QUICK), PCA(3)])
def test_data_frames(estimator):
    estimator.fit(FRAME)
    frame = dd.from_pandas(FRAME, npartitions=4)
    found = map_rows(estimator, frame).compute()
    assert_allclose(found, estimator.transform(FRAME), atol=1e-4)
    estimator.set_output(transform="pandas")
    found, expected = map_rows(estimator, frame), estimator.transform(FRAME)
    assert list(found.columns) == list(expected.columns)
    pd.testing.assert_frame_equal(found.compute(), expected, atol=1e-4)
    assert reconstruction_r2(estimator, frame).compute() == pytest.approx(
        metrics.reconstruction_r2(estimator, FRAME)
    )


def test_blocks_without_rows_and_of_unknown_length(fitted):
    rows = da.from_array(X, chunks=(50, 64))
    few = rows[rows[:, 10] > X[:100, 10].max() - 1]
    expected = fitted.transform(X[X[:, 10] > X[:100, 10].max() - 1])
    assert_array_equal(map_rows(fitted, few).compute(), expected)
    nothing = da.concatenate([rows[:50], rows[50:50], rows[50:]])
    assert_array_equal(map_rows(fitted, nothing).compute(), fitted.transform(X))
    frame = dd.from_pandas(pd.DataFrame(X).assign(row=range(len(X))), npartitions=3)
    found = map_rows(fitted, frame[frame.row < 100].drop(columns="row")).compute()
    assert_array_equal(found, fitted.transform(X[:100]))
    assert reconstruction_r2(fitted, nothing).compute() == pytest.approx(fitted.score(X))


def test_rows_that_only_local_methods_took():
    nullable = FRAME.convert_dtypes(dtype_backend="numpy_nullable")
    autoencoder = AutoencoderTransformer(3, **QUICK).fit(FRAME)
    expected = autoencoder.transform(FRAME)
    for frame in (nullable, FRAME.astype(object)):
        found = map_rows(autoencoder, dd.from_pandas(frame, npartitions=3)).compute()
        assert_allclose(found, expected, atol=1e-4)
    pipeline = make_pipeline(FunctionTransformer(np.log), AutoencoderTransformer(3, **QUICK))
    positive = X[:, 20:30] + 1
    expected = pipeline.fit(positive).transform(positive)
    found = map_rows(pipeline, da.from_array(positive, chunks=(100, 10))).compute()
    assert_array_equal(found, expected)


def test_rows_of_which_the_result_has_to_be_told():
    frame = FRAME.assign(kind=np.where(np.arange(len(FRAME)) % 2, "odd", "even"))
    encode = ColumnTransformer([("kind", OneHotEncoder(), ["kind"])], remainder="passthrough")
    pipeline = make_pipeline(encode, AutoencoderTransformer(3, **QUICK)).fit(frame)
    rows = dd.from_pandas(frame, npartitions=3)
    with pytest.raises(ValueError, match=r"row of ones.* as meta"):
        map_rows(pipeline, rows)
    found = map_rows(pipeline, rows, meta=np.empty((0, 3), np.float32)).compute()
    assert_allclose(found, pipeline.transform(frame), atol=1e-4)


def test_arrays_stay_arrays_where_frames_were_asked_for(fitted):
    with_names = copy.deepcopy(fitted).set_output(transform="pandas")
    found = map_rows(with_names, da.from_array(X, chunks=(100, 64)))
    assert_array_equal(found.compute(), fitted.transform(X))


def test_pipelines():
    pipeline = make_pipeline(StandardScaler(), DenoisingAutoencoder(4, **QUICK)).fit(X)
    rows = da.from_array(X, chunks=(100, 64))
    assert_array_equal(map_rows(pipeline, rows).compute(), pipeline.transform(X))


@pytest.mark.parametrize("offset", [0, 1e6])
def test_score_of_blocks_is_that_of_the_whole(offset):
    rows = np.column_stack([X + offset, np.full(len(X), 0.1)])
    fitted = AutoencoderTransformer(4, **QUICK).fit(rows)
    found = reconstruction_r2(fitted, da.from_array(rows, chunks=(70, 65)))
    assert found.compute() == pytest.approx(fitted.score(rows), abs=1e-6)


def test_score_where_nothing_varies():
    rows = np.ones((20, 3))
    fitted = AutoencoderTransformer(1, **QUICK).fit(rows)
    assert reconstruction_r2(fitted, da.from_array(rows)).compute() == fitted.score(rows)


@pytest.mark.parametrize("n_rows", [0, 1])
def test_score_of_fewer_than_two_rows_is_undefined(fitted, n_rows):
    assert np.isnan(reconstruction_r2(fitted, da.from_array(X)[:n_rows]).compute())


def test_nothing_is_computed_before_it_is_asked_for(fitted):
    read = []

    def block(block_info=None):
        read.append(block_info)
        return X[:50]

    rows = da.map_blocks(block, chunks=((50,) * 6, (64,)), dtype=X.dtype, meta=X[:0])
    codes, score = map_rows(fitted, rows), reconstruction_r2(fitted, rows)
    assert not read
    assert codes[:50].compute(scheduler="synchronous").shape == (50, 4)
    assert len(read) == 1
    score.compute(scheduler="synchronous")
    assert len(read) == 1 + 6  # each block once, whatever is computed of it


# Dask calls what the latest pandas deprecates
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")
def test_from_parquet_to_parquet(tmp_path):
    estimator = AutoencoderTransformer(3, **QUICK).fit(FRAME).set_output(transform="pandas")
    dd.from_pandas(FRAME, npartitions=3).to_parquet(tmp_path / "in")
    map_rows(estimator, dd.read_parquet(tmp_path / "in")).to_parquet(tmp_path / "out")
    found = dd.read_parquet(tmp_path / "out").compute()
    pd.testing.assert_frame_equal(found, estimator.transform(FRAME), atol=1e-4)


def test_training_by_partial_fit_on_blocks():
    blocks = da.from_array(X, chunks=(100, 64)).blocks
    autoencoder = AutoencoderTransformer(4, **QUICK)
    for block in blocks:
        autoencoder.partial_fit(block.compute())
    assert autoencoder.n_iter_ == 3


def test_bad_input(fitted):
    rows = da.from_array(X)
    with pytest.raises(ValueError, match=r"method must be one of .*'transform'"):
        map_rows(fitted, rows, "fit")
    with pytest.raises(TypeError, match="no method 'reconstruct'"):
        map_rows(PCA().fit(X), rows, "reconstruct")
    with pytest.raises(TypeError, match="must be a Dask array"):
        map_rows(fitted, X)
    with pytest.raises(ValueError, match="63 features, but"):
        map_rows(fitted, rows[:, 1:])
    with pytest.raises(ValueError, match="not fitted"):
        map_rows(AutoencoderTransformer(), rows)


# -------------------------------------------------------------------------------- searches


@pytest.fixture(scope="module")
def client():
    """Two worker processes of one thread."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def search(kind, cv=3, **params):
    autoencoder = AutoencoderTransformer(**QUICK)
    return kind(autoencoder, {"n_components": [2, 4, 8]}, cv=cv, **params)


@pytest.fixture
def in_one_thread():
    with one_thread():
        yield


@pytest.mark.slow
def test_search_finds_what_it_finds_on_one_machine(client, in_one_thread):
    expected = search(HalvingGridSearchCV, random_state=0).fit(X)
    with parallel_config("dask"):
        found = search(HalvingGridSearchCV, random_state=0, n_jobs=2).fit(X)
    assert found.best_params_ == expected.best_params_
    for name in ("mean_test_score", "split0_test_score"):
        assert_array_equal(found.cv_results_[name], expected.cv_results_[name])
    assert_array_equal(found.transform(X), expected.transform(X))


@pytest.mark.slow
def test_code_size_curve_is_that_of_one_machine(client, in_one_thread):
    estimator, sizes = AutoencoderTransformer(**QUICK), [2, 4]
    expected = code_size_curve(estimator, X, n_components=sizes, cv=2)
    with parallel_config("dask"):
        found = code_size_curve(estimator, X, n_components=sizes, cv=2, n_jobs=2)
    assert_array_equal(found.reconstruction_score, expected.reconstruction_score)


def test_what_a_search_sends_is_small():
    assert len(pickle.dumps(search(GridSearchCV))) < 2_000


@pytest.mark.slow
def test_a_worker_uses_its_threads(client):
    def threads_of_a_fit():
        AutoencoderTransformer(2, **QUICK).fit(X)
        return torch.get_num_threads()

    assert set(client.run(threads_of_a_fit).values()) == {1}


@pytest.mark.slow
def test_rows_on_a_cluster(client):
    fitted = CountedAutoencoder(4, **QUICK).fit(X)
    rows = da.from_array(X, chunks=(10, 64))
    n_loads(client)
    assert_allclose(map_rows(fitted, rows).compute(), fitted.transform(X), atol=1e-5)
    assert n_loads(client) in ({1}, {0, 1})


@pytest.mark.slow
def test_rows_of_a_search_are_sent_once(client):
    rows = CountedFrame(X)
    n_loads(client)
    with parallel_config("dask", scatter=[rows]):
        search(GridSearchCV, n_jobs=2).fit(rows)
    assert n_loads(client) in ({1}, {0, 1})


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_tasks_time_alone(client, in_one_thread):
    splits = list(KFold(3).split(X))
    long = {"estimator__max_epochs": 20, "estimator__early_stopping": False}
    expected = search(GridSearchCV, cv=splits).set_params(**long).fit(X)
    found = search(GridSearchCV, cv=splits, n_jobs=2).set_params(**long)
    # to all workers, and left there: what only one of them has is lost with it
    scattered = [X, *(rows for split in splits for rows in split)]
    client.amm.stop()

    def fit():
        with parallel_config("dask", scatter=scattered):
            found.fit(X)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    while thread.is_alive() and not any(client.processing().values()):
        time.sleep(0.01)
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    assert thread.is_alive()
    thread.join(300)
    assert not thread.is_alive()
    assert found.best_params_ == expected.best_params_
    for name in ("mean_test_score", "split0_test_score"):
        assert_array_equal(found.cv_results_[name], expected.cv_results_[name])
