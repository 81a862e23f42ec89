"""What counts as evidence: equal rows, groups, rows that the user holds out, the test."""

import math
import pickle
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.optim.optimizer import register_optimizer_step_pre_hook
from zoo import draw_fewer, get_weights, quick

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder, VariationalAutoencoder
from sklearn_ae import _rows as rows_module
from sklearn_ae._rows import make_rows
from sklearn_ae._split import are_clearly_lower, label_copies, label_equal, split_rows
from sklearn_ae.inspection import code_size_curve
from sklearn_ae.metrics import reconstruction_r2

BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
SEEDS = st.integers(0, 2**32 - 1)
MIN_GROUPS_FOR_FOLDS = 6

# ------------------------------------------------------------------------- equal rows


class Sliced:
    """A table of which only slices are read."""

    def __init__(self, X):
        self.X, self.shape, self.dtype, self.ndim = X, X.shape, X.dtype, X.ndim

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return self.X[index]


def memory_map(X):
    path = Path(tempfile.mkdtemp()) / "X"  # read while the test runs
    X.tofile(path)
    return np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape)


def store_zeros(X):
    """Return X as CSR with all its zeros stored."""
    n_rows, n_columns = X.shape
    starts = np.arange(n_rows + 1) * n_columns
    return sparse.csr_array((X.ravel(), np.tile(np.arange(n_columns), n_rows), starts), X.shape)


def store_some_zeros(X):
    """Return X as CSR of which every second row has its zeros stored."""
    entries = store_zeros(X)
    keep = (entries.data != 0) | (np.repeat(np.arange(len(X)), X.shape[1]) % 2 == 0)
    starts = np.concatenate([[0], np.cumsum(keep)])[entries.indptr]
    return sparse.csr_array((entries.data[keep], entries.indices[keep], starts), X.shape)


def store_in_parts(X):
    """Return X as CSR with every entry stored as two halves."""
    both = np.concatenate([X / 2, X / 2], axis=1)
    n_rows, n_columns = X.shape
    columns = np.tile(np.tile(np.arange(n_columns), 2), n_rows)
    starts = np.arange(n_rows + 1) * 2 * n_columns
    return sparse.csr_array((both.ravel(), columns, starts), X.shape)


FORMS = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "int64": lambda X: X.astype(np.int64),
    "int8": lambda X: X.astype(np.int8),
    "Fortran order": np.asfortranarray,
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "tensor": torch.from_numpy,
    "memory map": memory_map,
    "rows of a memory map": lambda X: memory_map(np.concatenate([X, X]))[len(X) :],
    "sliced": Sliced,
    "sliced, sparse": lambda X: Sliced(sparse.csr_array(X)),
    "Dask": lambda X: da.from_array(X, chunks=(3, -1)),
    "CSR": sparse.csr_array,
    "CSR, float32": lambda X: sparse.csr_array(X.astype(np.float32)),
    "CSR, zeros": store_zeros,
    "CSR, some zeros": store_some_zeros,
    "CSR, in parts": store_in_parts,
}

SMALL_TABLES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 20), st.integers(1, 4)),
    elements=st.sampled_from([-2.0, -0.0, 0.0, 1.0]),
)


@pytest.mark.parametrize("form", FORMS)
@given(X=SMALL_TABLES, part_entries=st.integers(1, 40))
@draw_fewer(0.5)
def test_equal_rows_are_those_of_unique(form, X, part_entries):
    with pytest.MonkeyPatch.context() as patch:
        # equal rows in several parts: a table that has them otherwise has a million entries
        patch.setattr(rows_module, "PART_ENTRIES", part_entries)
        labels = label_equal(make_rows(FORMS[form](X.copy())).compute_hashes())
    expected = np.unique(X + 0.0, axis=0, return_inverse=True)[1].ravel()
    assert_array_equal(labels[:, None] == labels, expected[:, None] == expected)
    _, first = np.unique(labels, return_index=True)  # in the order of the rows
    assert_array_equal(labels[np.sort(first)], np.arange(len(first)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_that_differ_in_the_last_bit_are_not_equal(dtype):
    X = np.ones((4, 3), dtype=dtype)
    X[2, 1] = np.nextafter(X[2, 1], dtype(2))
    assert_array_equal(label_equal(make_rows(X).compute_hashes()), [0, 0, 1, 0])
    assert_array_equal(label_equal(make_rows(sparse.csr_array(X)).compute_hashes()), [0, 0, 1, 0])


# ---------------------------------------------------------------- copies and repeats


def draw_answers(rng, n_rows, n_questions, n_values, one_hot):
    """Return answers that depend on two traits, as numbers or one-hot."""
    traits = rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, n_questions))
    answers = np.clip(np.round(traits + rng.normal(size=traits.shape)), 0, n_values - 1).astype(int)
    return np.eye(n_values)[answers].reshape(n_rows, -1) if one_hot else answers.astype(float)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_questions=st.integers(2, 5),
    n_values=st.integers(2, 4),
    one_hot=st.booleans(),
)
@draw_fewer(1 / 4)
def test_answers_that_repeat_themselves_are_no_copies(seed, n_questions, n_values, one_hot):
    X = draw_answers(np.random.RandomState(seed), 600, n_questions, n_values, one_hot)
    assert_array_equal(label_copies([make_rows(X)]), np.arange(600))


@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(60, 400),
    n_columns=st.integers(2, 20),
    n_categories=st.integers(0, 3),
    decimals=st.integers(2, 10),
)
@draw_fewer(1 / 4)
def test_measurements_that_were_copied_are_copies(seed, n_rows, n_columns, n_categories, decimals):
    rng = np.random.RandomState(seed)
    measured = rng.normal(size=(n_rows, n_columns)).round(decimals)
    X = np.hstack([measured, rng.randint(2, size=(n_rows, n_categories))])
    X = X[rng.randint(n_rows, size=2 * n_rows)]
    labels = label_copies([make_rows(X)])
    assert len(np.unique(labels)) == len(np.unique(X, axis=0))


def test_digits_that_were_copied_are_copies(digits):
    labels = label_copies([make_rows(np.repeat(digits[0][:300], 3, axis=0))])
    assert_array_equal(labels, np.repeat(np.arange(300), 3))


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [AutoencoderTransformer(2), VariationalAutoencoder(2)])
def test_repeated_answers_are_learnt(estimator):
    rng = np.random.RandomState(0)
    t = np.abs(rng.normal(size=(4000, 2)))
    levels = np.clip(np.round(np.c_[t, t[:, :1] * t[:, 1:]] * 0.7 + 0.5), 0, 2).astype(int)
    X = np.eye(3)[levels].reshape(4000, -1)
    estimator = clone(estimator).set_params(random_state=0)
    kept = estimator.fit(X[:2000]).score(X[2000:])
    always = estimator.set_params(early_stopping=False).fit(X[:2000]).score(X[2000:])
    assert kept > always - 0.03
    assert kept > PCA(2).fit(X[:2000]).score(X[2000:]) or not hasattr(estimator, "posterior")


# ----------------------------------------------------------------------------- splits


@st.composite
def labelled_rows(draw):
    """Return labels of equal rows and groups, or None for these."""
    n_rows = draw(st.integers(2, 120))
    rng = np.random.default_rng(draw(SEEDS))
    equal = number(rng.integers(draw(st.integers(1, 2 * n_rows)), size=n_rows))
    if draw(st.booleans()):
        return equal, None
    return equal, number(rng.integers(draw(st.integers(1, n_rows)), size=n_rows))


def number(labels):
    return np.unique(labels, return_inverse=True)[1]


def split(equal, groups, share, seed):
    """Return how rows are split: a share of them is held out, or they are folded if it is None."""
    plan = SimpleNamespace(
        cross_fits=share is None, has_large_folds=False, validation_fraction=share or 0.1
    )
    table = SimpleNamespace(groups=groups, strata=None, may_hold_out=True)
    return split_rows(equal, table, plan, np.random.RandomState(seed))


@given(labelled_rows(), st.none() | st.floats(0.01, 0.9), SEEDS)
def test_no_group_stands_on_both_sides(labelled, share, seed):
    equal, groups = labelled
    kinds = equal if groups is None else groups
    n_groups = len(np.unique(kinds))
    if n_groups == 1 and groups is not None:
        with pytest.raises(ValueError, match=r"one group.*X_val.*early_stopping=False"):
            split(equal, groups, share, seed)
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = split(equal, groups, share, seed)
    if n_groups == 1:  # rows of one kind, which no test can judge by
        return
    assert found.is_cross_fit == (share is None and n_groups >= MIN_GROUPS_FOR_FOLDS)
    assert len(found.train) == (3 if found.is_cross_fit else 1)
    for train, valid in zip(found.train, found.valid, strict=True):
        assert min(len(train), len(valid)) > 0
        assert not set(kinds[train]) & set(kinds[valid])
        assert caught or not set(equal[train]) & set(equal[valid])
        left_out = np.setdiff1d(np.arange(len(equal)), np.r_[train, valid])
        assert set(equal[left_out]) <= set(equal[train])  # they judge nothing, for they are known
        assert groups is not None or len(left_out) == 0
    judging = np.sort(np.concatenate(found.valid)) if found.is_cross_fit else found.valid[0]
    assert len(np.unique(judging)) == len(judging)
    for labels, all_labels in zip(found.labelings, [groups, equal][groups is None :], strict=True):
        assert_array_equal(labels, all_labels[judging])


@given(st.integers(10, 500), SEEDS)
def test_folds_are_balanced(n_rows, seed):
    sizes = list(map(len, split(np.arange(n_rows), None, None, seed).valid))
    assert max(sizes) - min(sizes) <= 1
    groups = number(np.random.RandomState(seed).randint(60, size=n_rows))
    if len(np.unique(groups)) < MIN_GROUPS_FOR_FOLDS:
        return
    sizes = list(map(len, split(np.arange(n_rows), groups, None, seed).valid))
    assert max(sizes) - min(sizes) <= np.bincount(groups).max()


@given(st.lists(st.integers(1, 30), min_size=2, max_size=40), st.floats(0.01, 0.99), SEEDS)
def test_a_fraction_is_a_share_of_rows(sizes, share, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    equal = np.arange(len(groups))
    found = split(equal, groups, share, seed)
    assert not found.is_cross_fit
    (train,), (valid,) = found.train, found.valid
    n_wanted = min(math.ceil(share * len(groups)), len(groups) - 1)
    n_held_out = len(valid)
    assert n_held_out <= max(n_wanted, min(sizes))
    assert len(train) == len(groups) - n_held_out > 0
    if n_wanted >= max(sizes):  # the next group would be too much
        assert n_held_out > n_wanted - max(sizes)
    (alone,) = split(equal, None, share, seed).valid
    assert len(alone) == n_wanted


def test_seeds_draw_different_splits():
    first, second, third = (split(np.arange(200), None, 0.1, seed).valid[0] for seed in (0, 0, 1))
    assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_rows_of_one_kind_are_split_as_if_they_differed():
    for share, n_valid in ((0.2, 6), (None, 30)):
        assert sum(map(len, split(np.zeros(30, int), None, share, 0).valid)) == n_valid


@BOTH
def test_rows_of_one_kind_are_fitted(estimator):
    X = np.ones((30, 4))
    for validation_fraction in ("auto", 0.1):
        fitted = quick(2, estimator=estimator, validation_fraction=validation_fraction).fit(X)
        np.testing.assert_allclose(fitted.reconstruct(X), X, rtol=0.02)


# ------------------------------------------------------------------------- the test


def test_clearly_lower_is_a_paired_test():
    difficulty = np.random.RandomState(0).exponential(size=50)
    assert are_clearly_lower(0.9 * difficulty, difficulty)  # though the rows differ far more
    assert not are_clearly_lower(difficulty, difficulty)
    assert not are_clearly_lower(1.1 * difficulty, difficulty)
    assert not are_clearly_lower(np.array([0.5]), np.array([1.0]))
    outlier = difficulty.copy()
    outlier[0] -= 5  # a lower mean by one row's doing
    assert not are_clearly_lower(outlier, difficulty)


@pytest.mark.parametrize("n_rows", [5, 20, 100])
def test_chance_is_rarely_taken_for_progress(n_rows):
    rng = np.random.RandomState(0)
    found = [
        are_clearly_lower(rng.normal(size=n_rows), rng.normal(size=n_rows)) for _ in range(5000)
    ]
    assert np.mean(found) < 0.003  # the level is 0.001; 5,000 draws


@given(SEEDS, st.integers(5, 40), st.integers(2, 12))
def test_copies_never_make_a_difference_clearer(seed, n_rows, n_copies):
    rng = np.random.RandomState(seed)
    losses = rng.exponential(size=n_rows)
    others = losses * rng.lognormal(0.2, 0.3, size=n_rows)
    labels = np.repeat(np.arange(n_rows), n_copies)
    copied = np.repeat(losses, n_copies), np.repeat(others, n_copies)
    alone = are_clearly_lower(losses, others)
    assert are_clearly_lower(*copied, [labels]) == alone
    assert are_clearly_lower(*copied, [np.arange(len(labels)), labels]) <= alone
    assert are_clearly_lower(*copied) >= alone  # which the labels prevent


def test_groups_count_and_not_their_rows():
    rng = np.random.RandomState(0)
    gain_of_group = rng.normal(0.1, 1, size=20)
    groups = np.repeat(np.arange(20), 100)
    others = np.zeros(2000)
    losses = -gain_of_group[groups] + 0.01 * rng.normal(size=2000)
    assert are_clearly_lower(losses, others)
    assert not are_clearly_lower(losses, others, [groups])
    assert are_clearly_lower(losses - 3, others, [groups])
    assert not are_clearly_lower(losses - 3, others, [np.zeros(2000, int)])  # one observation


def test_a_gain_of_small_groups_is_none_if_rows_lose():
    groups = np.r_[np.arange(50), np.full(500, 50)]
    gain = np.where(groups == 50, -0.5, 1.0)
    assert not are_clearly_lower(-gain, np.zeros(550), [groups])


# ------------------------------------------------------------- fits on dependent rows


def make_repeated(rng, noise=0.0):
    """Return 20 readings of each of 60 things, which thing each is of, and new rows."""
    things = np.repeat(np.arange(60), 20)
    readings = rng.normal(size=(60, 30))[things] + noise * rng.normal(size=(1200, 30))
    return readings, things, rng.normal(size=(400, 30))


@BOTH
@pytest.mark.parametrize("validation_fraction", ["auto", 0.2])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_repeated_rows_are_no_worse_than_pca_on_new_ones(estimator, validation_fraction, noise):
    X, things, new = make_repeated(np.random.RandomState(0), noise)
    autoencoder = estimator(
        8, random_state=0, max_epochs=12, validation_fraction=validation_fraction
    )
    autoencoder.fit(X, groups=things if noise else None)
    start = clone(autoencoder).set_params(init="linear", max_epochs=0).fit(X)
    assert autoencoder.score(new) >= start.score(new) - 0.005


@BOTH
def test_rows_held_out_by_the_user_are_those_that_judge(estimator):
    X, _, new = make_repeated(np.random.RandomState(0))
    autoencoder = estimator(8, random_state=0, max_epochs=12).fit(X, X_val=new)
    assert autoencoder.best_epoch_ == 0
    assert len(autoencoder.validation_loss_curve_) == autoencoder.n_iter_
    if estimator is AutoencoderTransformer:
        expected = -autoencoder.score_samples(new).mean()
        assert autoencoder.best_loss_ == pytest.approx(expected, rel=1e-5)


def test_the_weights_that_are_kept_are_those_of_the_best_epoch(digits):
    X, new = digits[0][:300], digits[1][:100]
    how = {"learning_rate": 0.02, "schedule": "constant", "init": "linear"}
    how |= {"masking_rate": 0, "linear_weight": 0.1}
    fitted = quick(max_epochs=40, **how).fit(X, X_val=new)
    best = fitted.best_epoch_
    assert 1 < best < fitted.n_iter_
    assert fitted.best_loss_ == min(fitted.validation_loss_curve_) < fitted.start_loss_
    shorter = quick(max_epochs=best, **how).fit(X, X_val=new)
    assert shorter.best_epoch_ == best
    assert_array_equal(get_weights(fitted), get_weights(shorter))


@BOTH
def test_all_rows_are_trained_on_beside_those_held_out(estimator, digits):
    X, new = digits[0][:300], digits[1][:100]
    autoencoder = quick(estimator=estimator, init="linear", max_epochs=3)
    expected = clone(autoencoder).set_params(early_stopping=False).fit(X)
    found = autoencoder.fit(X, X_val=new)
    np.testing.assert_allclose(found.mean_, X.mean(axis=0))
    # the corruption of the rows held out is drawn, too
    rtol = 1e-5 if estimator is AutoencoderTransformer else 5e-3
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=rtol)


def test_groups_do_not_matter_beside_rows_held_out(digits):
    X, new = digits[0][:300], digits[1][:100]
    plain = quick().fit(X, X_val=new)
    grouped = quick().fit(X, X_val=new, groups=np.arange(300) % 7)
    assert_array_equal(get_weights(grouped), get_weights(plain))


@pytest.mark.parametrize(
    "convert",
    [
        list,
        lambda groups: [f"subject {label:02}" for label in groups],
        lambda groups: groups[:, None],
        lambda groups: 2.5 * groups,
        lambda groups: np.array([f"{label:03}" for label in groups], dtype=object),
        lambda groups: pytest.importorskip("pandas").Series(groups, index=groups[::-1]),
        lambda groups: groups.astype(np.uint8),
        torch.from_numpy,
    ],
)
def test_labels_of_any_kind(X, convert):
    groups = np.arange(60) % 12
    labels = groups, convert(groups), None
    expected, found, alone = (quick(max_epochs=1).fit(X, groups=each) for each in labels)
    assert found.start_loss_ == expected.start_loss_ != alone.start_loss_  # those of the folds
    assert found.validation_loss_curve_ == expected.validation_loss_curve_
    assert_array_equal(get_weights(found), get_weights(expected))


@pytest.mark.parametrize("convert", [sparse.csr_array, Sliced, memory_map, np.ndarray.tolist])
def test_held_out_rows_of_any_kind(digits, convert):
    X, new = digits[0][:200], digits[1][:100]
    expected = quick(max_epochs=2).fit(X, X_val=new)
    found = quick(max_epochs=2).fit(X, X_val=convert(new))
    np.testing.assert_allclose(
        found.validation_loss_curve_, expected.validation_loss_curve_, rtol=1e-5
    )


# ---------------------------------------------------------------------------- errors

ONE_NAN = np.where(np.arange(600).reshape(60, 10) == 7, np.nan, 0.5)
ERRORS = {
    "too few labels": ({"groups": np.arange(59)}, {}, r"one label for each row.*\(60,\).*\(59,\)"),
    "two labels a row": ({"groups": np.zeros((60, 2))}, {}, "one label for each row"),
    "one group": ({"groups": np.zeros(60)}, {}, "all rows into one group.*X_val"),
    "a label that is None": ({"groups": [None, *"ab" * 29, "c"]}, {}, "groups"),
    "a label that is NaN": ({"groups": np.r_[np.nan, np.arange(59)]}, {}, "groups"),
    "other columns": ({"X_val": np.zeros((5, 9))}, {}, "X_val .*9 features"),
    "one row": ({"X_val": np.zeros((1, 10))}, {}, "X_val .*minimum of 2"),
    "no row": ({"X_val": np.zeros((0, 10))}, {}, "X_val .*minimum of 2"),
    "a NaN": ({"X_val": ONE_NAN}, {}, "X_val .*missing values, and X has none"),
    "NaN only": ({"X_val": np.full((60, 10), np.nan)}, {}, "X_val .*no value at all"),
    "one dimension": ({"X_val": np.zeros(10)}, {}, "X_val .*2D"),
    "text": ({"X_val": np.full((5, 10), "a")}, {}, "X_val"),
    "nothing held out": ({"X_val": np.zeros((5, 10))}, {"early_stopping": False}, "early_stopping"),
    "out of range": (
        {"X_val": np.full((5, 10), 2.0)},
        {"loss": "binary_cross_entropy"},
        r"X_val .*\[0, 1\]",
    ),
}


@BOTH
@pytest.mark.parametrize("name", ERRORS)
def test_errors_come_before_training_and_change_nothing(unit_X, estimator, name):
    arguments, params, message = ERRORS[name]
    autoencoder = quick(estimator=estimator, **params)
    watch = register_optimizer_step_pre_hook(lambda *_: pytest.fail("It trained."))
    try:
        with pytest.raises(ValueError, match=f"(?s){message}"):
            autoencoder.fit(unit_X, **arguments)
    finally:
        watch.remove()
    assert not [attribute for attribute in vars(autoencoder) if attribute.endswith("_")]
    autoencoder.fit(unit_X)
    before, codes = pickle.dumps(autoencoder), autoencoder.transform(unit_X)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        autoencoder.fit(unit_X[:, ::-1], **arguments)
    assert_array_equal(autoencoder.transform(unit_X), codes)
    assert pickle.dumps(autoencoder) == before


@pytest.mark.parametrize("groups", [3, "abc", []])
def test_a_single_label_is_an_error(X, groups):
    with pytest.raises(ValueError, match="one label for each row"):
        quick().fit(X, groups=groups)


def test_names_of_columns_are_checked(X):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(10)])
    quick(max_epochs=1).fit(frame, X_val=frame[:20] + 0.5)
    with pytest.raises(ValueError, match=r"(?s)X_val.*feature names"):
        quick().fit(frame, X_val=frame[frame.columns[::-1]])


def test_groups_with_the_same_rows(X):
    repeated = np.tile(X[:5], (4, 1))  # every group has every row
    with pytest.warns(UserWarning, match="equal to rows of other groups") as caught:
        quick().fit(repeated, groups=np.repeat(np.arange(4), 5))
    assert caught[0].filename == __file__


def test_copies_in_other_groups_cost_no_rows_to_train_on():
    kinds = np.random.RandomState(0).randint(20, size=3000)  # of which each group has many
    kinds[-60:] = np.arange(20, 80)
    found = split(kinds, np.arange(3000) // 5, 0.1, seed=0)
    assert len(found.train[0]) == 2700
    assert 0 < len(found.valid[0]) < 20


def test_copies_of_training_rows_judge_nothing(digits):
    X, new = digits[0][:300], digits[1][:100]
    plain = quick().fit(X, X_val=new)
    mixed = quick().fit(X, X_val=np.vstack([new, X[:40]]))
    assert mixed.start_loss_ == pytest.approx(plain.start_loss_)
    with pytest.warns(UserWarning, match="equal to rows of X") as caught:
        quick().fit(X, X_val=X[::2])
    assert caught[0].filename == __file__


def test_chunks_have_no_groups(X):
    for arguments in ({"groups": np.arange(60)}, {"X_val": X}):
        with pytest.raises(TypeError, match="unexpected keyword"):
            quick().partial_fit(X, **arguments)


@BOTH
def test_nothing_is_asked_of_groups_where_nothing_is_held_out(estimator, X):
    plain = quick(estimator=estimator, early_stopping=False)
    expected = get_weights(plain.fit(X))
    assert_array_equal(get_weights(clone(plain).fit(X, groups=np.zeros(60))), expected)


# -------------------------------------------------------------- scikit-learn's routing


class Recorder(AutoencoderTransformer):
    """Records what `fit` is given."""

    seen = []

    def fit(self, X, y=None, *, groups=None, X_val=None):
        self.seen.append((len(X), groups, None if X_val is None else np.asarray(X_val)))
        return super().fit(X, y, groups=groups, X_val=X_val)


@pytest.fixture
def seen():
    Recorder.seen.clear()
    with config_context(enable_metadata_routing=True):
        yield Recorder.seen


def record(**request):
    return Recorder(2, hidden_layer_sizes=(4,), max_epochs=1, random_state=0).set_fit_request(
        **request
    )


def test_groups_pass_through_a_search(X, seen):
    groups = np.arange(60) % 12
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", record(groups=True))])
    grid = {"reduce__n_components": [1, 2]}
    # the score of a pipeline without y is an error of scikit-learn's while routing is on
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(3), scoring=reconstruction_r2)
    search.fit(X, groups=groups)
    assert len(seen) == 2 * 3 + 1
    for n_rows, part, X_val in seen:
        assert X_val is None
        assert len(part) == n_rows
        assert len(set(part)) in (8, 12)
    assert search.best_estimator_["reduce"].validation_loss_curve_


def test_groups_pass_through_cross_validation(X, seen):
    groups = np.arange(60) % 12
    found = cross_validate(record(groups=True), X, params={"groups": groups}, cv=GroupKFold(3))
    assert len(found["test_score"]) == 3
    assert [len(set(part)) for _, part, _ in seen] == [8] * 3
    pipeline = make_pipeline(PCA(5), record(groups=True))
    how = {"cv": GroupKFold(3), "scoring": reconstruction_r2}
    cross_validate(pipeline, X, params={"groups": groups}, **how)
    assert [len(set(part)) for _, part, _ in seen] == [8] * 6


def test_held_out_rows_are_transformed_by_the_steps_before(X, seen):
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("reduce", record(X_val=True))], transform_input=["X_val"]
    )
    X_val = X[:20] + 0.5
    pipeline.fit(X, X_val=X_val)
    ((n_rows, groups, found),) = seen
    assert (n_rows, groups) == (60, None)
    np.testing.assert_allclose(found, pipeline["scale"].transform(X_val))


def test_nothing_is_passed_without_being_asked_for(X, seen):
    with pytest.raises(ValueError, match="set_fit_request"):
        cross_validate(quick(), X, params={"groups": np.arange(60)}, cv=GroupKFold(3))
    ignoring = record(groups=False)
    cross_validate(ignoring, X, params={"groups": np.arange(60)}, cv=GroupKFold(3))
    assert all(groups is None for _, groups, _ in seen)


def test_a_step_takes_groups_without_routing(X):
    groups = np.arange(60) % 12
    pipeline = make_pipeline(StandardScaler(), quick())
    pipeline.fit(X, autoencodertransformer__groups=groups)
    alone = quick().fit(StandardScaler().fit_transform(X), groups=groups)
    assert_array_equal(get_weights(pipeline[-1]), get_weights(alone))


@pytest.mark.parametrize("routing", [False, True])
def test_code_size_curve_passes_groups_to_all_that_take_them(X, routing):
    Recorder.seen.clear()
    autoencoder = Recorder(hidden_layer_sizes=(4,), max_epochs=1, random_state=0)
    reducers = {
        "alone": autoencoder,
        "in a pipeline": make_pipeline(StandardScaler(), clone(autoencoder)),
        "PCA": PCA(),
    }
    groups = np.arange(60) % 12
    with config_context(enable_metadata_routing=routing):
        code_size_curve(reducers, X, n_components=[2], groups=groups, cv=GroupKFold(3))
    assert [len(set(part)) for _, part, _ in Recorder.seen] == [8] * 6


# --------------------------------------------------------------------- what fits warn of


def caught(function):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        function()
    return found


@BOTH
def test_the_warning_points_at_the_line_of_the_user(estimator):
    X, things, _ = make_repeated(np.random.RandomState(0), 0.01)
    autoencoder = quick(estimator=estimator, max_epochs=1)
    for fit in (lambda: autoencoder.fit(X), lambda: autoencoder.fit(X, X_val=X[:100])):
        (warning,) = caught(fit)
        assert warning.category is UserWarning
        assert warning.filename == __file__
        assert "X_val" in str(warning.message)
    assert not caught(lambda: autoencoder.fit(X, groups=things))


@pytest.mark.parametrize("params", [{"early_stopping": False}, {"init": "linear", "max_epochs": 0}])
def test_where_nothing_decides_nothing_is_warned_of(params):
    X, _, _ = make_repeated(np.random.RandomState(0), 0.01)
    quick(**{"max_epochs": 1, **params}).fit(X)
    quick().partial_fit(X)
