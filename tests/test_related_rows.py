"""What held-out rows are not new is warned of, and nothing else."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_blobs,
    make_circles,
    make_s_curve,
    make_swiss_roll,
)
from sklearn.preprocessing import StandardScaler
from zoo import draw_fewer, quick

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae._related_rows import MIN_ROWS, find_copied_rows, find_related_rows
from sklearn_ae._rows import make_rows

SEEDS = st.integers(0, 2**32 - 1)


def find(X, X_val=None):
    return find_related_rows(make_rows(X)) if X_val is None else find_copied(X, X_val)


def find_copied(X, X_val):
    return find_copied_rows(make_rows(X), make_rows(X_val))


# ----------------------------------------------------------------- rows that are related


def draw_series(rng, n_steps, n_columns=None, memory=0.95):
    """Return a series, or several side by side, each step near the one before."""
    steps = rng.normal(size=(n_steps,) if n_columns is None else (n_steps, n_columns))
    for i in range(1, n_steps):
        steps[i] += memory * steps[i - 1]
    return steps


def read_things(rng, n_things=60, n_readings=20, n_columns=30, noise=0.01):
    things = np.repeat(rng.normal(size=(n_things, n_columns)), n_readings, axis=0)
    return things + noise * rng.normal(size=things.shape)


def slide(series, width):
    return np.lib.stride_tricks.sliding_window_view(series, width).copy()


RELATED = {
    "readings": lambda rng: read_things(rng),
    "readings, shuffled": lambda rng: rng.permutation(read_things(rng)),
    "readings with more noise": lambda rng: rng.permutation(read_things(rng, noise=0.1)),
    "pairs of readings": lambda rng: rng.permutation(read_things(rng, 500, 2)),
    "readings in units of their own": lambda rng: read_things(rng) * np.logspace(-5, 5, 30) + 1e3,
    "windows": lambda rng: slide(draw_series(rng, 1000, memory=0.9), 30),
    "windows, shuffled": lambda rng: rng.permutation(slide(draw_series(rng, 1000, memory=0.9), 30)),
    "windows of a sine": lambda rng: slide(
        np.sin(np.arange(1000) / 7) + 0.1 * rng.normal(size=1000), 30
    ),
    "a series in order": lambda rng: draw_series(rng, 1500, 10),
    "a random walk": lambda rng: draw_series(rng, 1500, 10, memory=1.0),
}


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", RELATED)
def test_related_rows_are_found(name, seed, convert):
    X = RELATED[name](np.random.RandomState(seed))
    assert "new" in find(convert(X))
    assert find(X[: MIN_ROWS - 1]) is None  # distances of so few tell nothing


def drop(rng, X, share):
    """Return rows of which a share of the entries is missing, and one row as a whole."""
    X = np.where(rng.uniform(size=X.shape) < share, np.nan, X)
    X[len(X) // 2] = np.nan
    return X


@pytest.mark.parametrize("share", [0.02, 0.2])
@pytest.mark.parametrize("name", RELATED)
def test_related_rows_with_missing_values_are_found(name, share):
    rng = np.random.RandomState(0)
    X = drop(rng, RELATED[name](rng), share)
    assert "new" in find(X)


def test_copies_with_other_missing_values_are_found():
    # they are no group, because they are not equal
    rng = np.random.RandomState(0)
    X = rng.normal(size=(300, 10))
    assert "near copies" in find(rng.permutation(drop(rng, np.repeat(X, 3, axis=0), 0.1)))
    assert "X_val" in find_copied(drop(rng, X, 0.1), drop(rng, X, 0.1))


def test_a_panel_is_found_though_a_column_has_a_long_tail():
    # countries over the years: nearly all have about the same population, next to the largest
    rng = np.random.RandomState(0)
    tail = np.exp(2.5 * rng.normal(size=(140, 1)))
    levels = np.repeat(np.hstack([np.log(rng.uniform(1, 9, size=(140, 3))), tail]), 12, axis=0)
    years = np.tile(np.arange(12), 140)[:, None]
    X = np.hstack([years, levels * (1 + 0.02 * years + 0.01 * rng.normal(size=(1680, 4)))])
    assert "nearer to the next row" in find(X)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
@pytest.mark.parametrize("validation_fraction", ["auto", 0.1])
def test_fits_warn_of_related_rows_unless_told_of_groups(estimator, validation_fraction):
    X = read_things(np.random.RandomState(0), n_columns=8)
    how = {"validation_fraction": validation_fraction, "max_epochs": 1}
    autoencoder = quick(estimator=estimator, **how)
    with pytest.warns(UserWarning, match=r"not new.*near copies.*groups.*X_val") as caught:
        autoencoder.fit(X)
    assert [warning.filename for warning in caught] == [__file__]
    autoencoder.fit(X, groups=np.repeat(np.arange(60), 20))
    autoencoder.fit(X, X_val=np.random.RandomState(1).normal(size=(100, 8)))


def test_the_warning_names_what_can_be_done():
    X = read_things(np.random.RandomState(0), n_columns=8)
    autoencoder = quick(estimator=DenoisingAutoencoder, max_epochs=1)
    with pytest.warns(
        UserWarning, match="what rows belong together, or X_val, rows of other things"
    ):
        autoencoder.fit(X)
    with pytest.warns(UserWarning, match=r"Pass another X_val, rows of other things\.$"):
        autoencoder.fit(X, X_val=X[::3] + 1e-6)
    with pytest.warns(UserWarning, match=r"Pass groups, which says what rows belong together\.$"):
        autoencoder.fit(X, X_clean=X)


@pytest.mark.parametrize("noise", [0.0, 1e-3])
@given(SEEDS, st.integers(4, 40), st.integers(100, 2000))
@draw_fewer(0.3)
def test_copies_among_rows_held_out_are_found(noise, seed, n_columns, n_rows):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_rows, n_columns))
    new = rng.normal(size=(300, n_columns))
    assert find_copied(X, new) is None
    few_rows = X[: min(n_rows, 400)]  # of more, X is not read as a whole
    copied = few_rows + noise * rng.normal(size=few_rows.shape)
    assert "X_val" in find_copied(few_rows, copied)
    some = np.where(rng.uniform(size=(len(copied), 1)) < 0.2, copied, rng.normal(size=copied.shape))
    assert find_copied(few_rows, some) is None


def test_readings_of_the_same_things_among_rows_held_out_are_found():
    rng = np.random.RandomState(0)
    X = rng.permutation(read_things(rng))
    assert "near copies" in find_copied(X[:1000], X[1000:])
    with pytest.warns(
        UserWarning, match=r"X_val are not new.*near copies.*another X_val"
    ) as caught:
        quick(max_epochs=1).fit(X[:1000], X_val=X[1000:])
    assert [warning.filename for warning in caught] == [__file__]


def test_copies_by_a_large_table_are_found():
    X = np.random.RandomState(0).normal(size=(20_000, 8))
    assert "X_val" in find_copied(X, X)


# ------------------------------------------------------------------ rows that are not

BUNDLED = {
    "iris": load_iris,
    "wine": load_wine,
    "digits": load_digits,
    "breast cancer": load_breast_cancer,
    "diabetes": load_diabetes,
}


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets_are_not_warned_of(name):
    X = BUNDLED[name]().data
    for table in (X, StandardScaler().fit_transform(X), np.random.RandomState(0).permutation(X)):
        for convert in (np.asarray, sparse.csr_array):
            assert find(convert(table)) is None
    half = np.random.RandomState(0).permutation(len(X)) < len(X) // 2
    assert find_copied(X[half], X[~half]) is None


def test_few_digits_are_not_warned_of():
    X = load_digits().data
    for n_rows in (50, 100, 300, 1000):
        assert find(X[:n_rows]) is None
        assert find(X[:n_rows] > 8) is None


INDEPENDENT = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "uniform": lambda rng, shape: rng.uniform(size=shape),
    "log-normal": lambda rng, shape: rng.lognormal(0, 1, size=shape),
    "heavy-tailed": lambda rng, shape: rng.standard_t(2, size=shape),
    "correlated": lambda rng, shape: (
        rng.normal(size=(shape[0], 3)) @ rng.normal(size=(3, shape[1]))
    ),
    "low rank and noise": lambda rng, shape: (
        rng.normal(size=(shape[0], 2)) @ rng.normal(size=(2, shape[1]))
        + 0.1 * rng.normal(size=shape)
    ),
    "smooth rows": lambda rng, shape: np.cumsum(rng.normal(size=shape), axis=1),
    "binary": lambda rng, shape: rng.randint(2, size=shape),
    "rare": lambda rng, shape: rng.uniform(size=shape) < 0.03,
    "counts": lambda rng, shape: rng.poisson(1.5, size=shape),
    "many zeros": lambda rng, shape: rng.normal(size=shape) * (rng.uniform(size=shape) < 0.1),
    "rounded": lambda rng, shape: rng.normal(size=shape).round(1),
    "one-hot": lambda rng, shape: np.eye(shape[1])[rng.randint(shape[1], size=shape[0])],
    "one-hot twice": lambda rng, shape: np.hstack(
        [np.eye(shape[1])[rng.randint(shape[1], size=shape[0])] for _ in range(2)]
    ),
    "constant": lambda rng, shape: np.full(shape, 3.5),
    "some constant": lambda rng, shape: rng.normal(size=shape) * (np.arange(shape[1]) % 2),
    "an outlier": lambda rng, shape: np.vstack(
        [rng.normal(size=(shape[0] - 1, shape[1])), np.full((1, shape[1]), 1e6)]
    ),
}


@pytest.mark.parametrize("name", INDEPENDENT)
@given(SEEDS, st.integers(50, 700), st.integers(1, 60))
@draw_fewer(0.3)
def test_independent_rows_are_not_warned_of(name, seed, n_rows, n_columns):
    X = INDEPENDENT[name](np.random.RandomState(seed), (n_rows, n_columns))
    assert find(X) is None


@pytest.mark.parametrize("name", INDEPENDENT)
@given(SEEDS, st.integers(100, 700), st.integers(1, 60))
@draw_fewer(0.2)
def test_independent_rows_held_out_are_not_warned_of(name, seed, n_rows, n_columns):
    X = INDEPENDENT[name](np.random.RandomState(seed), (n_rows, n_columns))
    assert find_copied(X[: n_rows // 2], X[n_rows // 2 :]) is None


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
@pytest.mark.parametrize("name", INDEPENDENT)
@given(SEEDS, st.integers(50, 700), st.integers(1, 60))
@draw_fewer(0.1)
def test_independent_rows_with_missing_values_are_not_warned_of(
    name, share, seed, n_rows, n_columns
):
    rng = np.random.RandomState(seed)
    X = drop(rng, INDEPENDENT[name](rng, (n_rows, n_columns)), share)
    assert find(X) is None
    assert find_copied(X[: n_rows // 2], X[n_rows // 2 :]) is None


@pytest.mark.parametrize("n_columns", [1, 2, 3])
@example(180571663, 50)
@given(SEEDS, st.integers(50, 700))
@draw_fewer(0.5)
def test_rows_of_few_columns_are_not_warned_of(n_columns, seed, n_rows):
    rng = np.random.RandomState(seed)
    assert find(rng.normal(size=(n_rows, n_columns))) is None
    assert find(np.exp(rng.normal(size=(n_rows, n_columns)))) is None


@pytest.mark.parametrize("cluster_std", [0.01, 1.0])
@given(SEEDS, st.integers(1, 30))
@draw_fewer(0.2)
def test_large_clusters_are_not_warned_of(cluster_std, seed, n_columns):
    # small ones are like readings of one thing
    X, _ = make_blobs(600, n_columns, centers=4, cluster_std=cluster_std, random_state=seed)
    assert find(X) is None
    assert find_copied(X[:300], X[300:]) is None


@pytest.mark.parametrize("make", [make_s_curve, make_swiss_roll, make_circles])
@given(st.integers(0, 2**31))
@draw_fewer(0.2)
def test_rows_on_a_surface_are_not_warned_of(make, seed):
    for n_rows in (50, 200, 1000):
        assert find(make(n_rows, noise=0.01, random_state=seed)[0]) is None


@pytest.mark.parametrize("n_copies", [2, 12])
def test_exact_copies_are_not_warned_of(n_copies):
    # they are one group without being asked
    X = np.random.RandomState(0).normal(size=(200, 10))
    assert find(np.repeat(X, n_copies, axis=0)) is None
    assert find(np.tile(X, (n_copies, 1))) is None


def test_sorted_rows_are_not_warned_of():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(500, 8))
    assert find(X[np.argsort(X[:, 0])]) is None
    classes = np.repeat(rng.normal(size=(5, 8)), 100, axis=0) + rng.normal(size=(500, 8))
    assert find(classes) is None


# -------------------------------------------------------------------------------- cost


def test_only_a_sample_is_read():
    class Counting:
        def __init__(self, X):
            self.X, self.shape, self.dtype, self.ndim = X, X.shape, X.dtype, X.ndim
            self.n_read = 0

        def __len__(self):
            return len(self.X)

        def __getitem__(self, index):
            rows = self.X[index]
            self.n_read += len(rows)
            return rows

    read = []
    for n_rows in (20_000, 40_000):
        X = Counting(np.zeros((n_rows, 3)))
        find(X)
        find_copied(X, X)
        read.append(X.n_read)
    assert read[0] == read[1] <= 5000
