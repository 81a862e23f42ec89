"""Cross-fitting: networks trained side by side are those that each would become alone."""

import copy
import itertools
import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from zoo import Perceptron, draw_fewer, get_weights, quick, scale_to_unit_interval

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder, VariationalAutoencoder

MAX_ROWS_FOR_FOLDS = 2000
MAX_FEATURES_FOR_FOLDS = 1000
MIN_GROUPS_FOR_FOLDS = 6
N_FOLDS = 3

BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])

STACKED = {
    "default": {},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "two layers": {"hidden_layer_sizes": (7, 5), "activation": "silu"},
    "cross-entropy": {"loss": "binary_cross_entropy"},
    "clipped": {"clip": True},
    "absolute error": {"loss": "absolute_error"},
}
LINEAR = {"cross-entropy": "auto"}  # how to ask for a start without correction, if not by "linear"
IN_TURN = {
    "convolutional": {"conv_filters": (3,), "image_shape": (1, 1, -1)},
    "custom": {"encoder": Perceptron, "decoder": Perceptron},
}
ONE_NETWORK = {
    "a share": {"init": "linear", "validation_fraction": 0.1},
    "warm start": {"init": "linear", "warm_start": True},
    "callbacks": {"init": "linear", "net_params": {"callbacks": [Callback()]}},
    "textbook": {"init": "random"},
    "squashed code": {"code_activation": "tanh"},
}


class SGDInTurn(torch.optim.SGD):
    """The same steps by a class that the package does not know: networks train in turn."""


# ------------------------------------------------------------------- what can be watched


def draw_curved_rows(n_rows):
    rng = np.random.RandomState(0)
    Z = rng.normal(size=(n_rows, 2))
    bent = np.hstack([Z, Z**2, Z @ rng.normal(size=(2, 3))])
    return bent + 0.1 * rng.normal(size=bent.shape)


class Watched:
    """What a fit computes, as hooks of torch see it.

    Attributes
    ----------
    calls : list of (module, bool, tensor)
        Each call of a module: whether it is in training, and its first argument.
    before, after : list of tensor
        What the optimizer trains, before its first step and after its last.
    """

    def __init__(self):
        self.calls, self.before, self.after = [], [], []

    def note_call(self, module, inputs):
        if inputs and isinstance(inputs[0], torch.Tensor):
            rows = inputs[0].detach().as_subclass(torch.Tensor)
            self.calls.append((module, module.training, rows.clone()))

    def note_step(self, optimizer, args, kwargs):
        groups = [group["params"] for group in optimizer.param_groups]
        self.after = list(itertools.chain.from_iterable(groups))
        self.before = self.before or [tensor.detach().clone() for tensor in self.after]

    def note_end_of_step(self, optimizer, args, kwargs):
        self.after = [tensor.detach().clone() for tensor in self.after]

    def count_networks(self, fitted):
        """Return how many networks were trained side by side, of which one is that of fitted."""
        own = list(fitted.net_.module_.parameters())
        n_networks, rest = divmod(count_numbers(self.before), count_numbers(own))
        assert rest == 0
        assert len(self.before) in (len(own), n_networks * len(own))
        return n_networks

    def trains_as_one(self, fitted):
        """Tell whether the weights of all networks were in the same tensors."""
        return len(self.before) == len(list(fitted.net_.module_.parameters()))

    def list_encoded(self, fitted):
        """Return whether encoders were in training, and the rows (..., n, n_features), by calls.

        The rows of networks that train as one have a dimension in front.
        """
        kind = type(fitted.encoder_)
        calls = [call[1:] for call in self.calls if isinstance(call[0], kind)]
        return [(training, rows) for training, rows in calls if rows.any()]  # others are no rows

    def list_trained_rows(self, fitted):
        """Return the rows of each training step."""
        return [rows for training, rows in self.list_encoded(fitted) if training]

    def get_judging_rows(self, fitted):
        """Return the rows that judge the start."""
        calls = self.list_encoded(fitted)
        judging = itertools.takewhile(lambda call: not call[0], calls)
        return torch.cat([rows for _, rows in judging], dim=-2)


@contextmanager
def watch():
    """Give a `Watched` of the fits in the block."""
    watched = Watched()
    hooks = [
        register_module_forward_pre_hook(watched.note_call),
        register_optimizer_step_pre_hook(watched.note_step),
        register_optimizer_step_post_hook(watched.note_end_of_step),
    ]
    try:
        yield watched
    finally:
        for hook in hooks:
            hook.remove()


def count_numbers(tensors):
    return sum(tensor.numel() for tensor in tensors)


def count_networks(autoencoder, X, **arguments):
    """Fit, and return how many networks were trained side by side."""
    with watch() as watched:
        fitted = autoencoder.fit(X, **arguments)
    return watched.count_networks(fitted)


def standardize(fitted, X):
    """Return rows as the network of all rows sees them."""
    return ((X - fitted.mean_) / fitted.scale_).astype(np.float32)


def identify(seen, u):
    """Return which rows were seen, and how far all of them had been moved from where they were.

    Each network has its own origin, the mean of the rows that it trains on.
    """
    for offset in u - seen[0]:
        if cdist(seen[:5] + offset, u).min(axis=1).max() < 1e-4:
            distances = cdist(seen + offset, u)
            if distances.min(axis=1).max() < 1e-4:
                return distances.argmin(axis=1), offset
    raise AssertionError("These are no rows of X.")


# --------------------------------------------------------------- whose rows each one sees


@given(st.integers(6, 60), st.integers(1, 70), st.integers(0, 1000))
@draw_fewer(0.5)
def test_networks_train_on_their_own_rows_and_are_judged_by_others(n_rows, batch_size, seed):
    X = np.random.RandomState(seed).normal(size=(n_rows, 4))
    how = {"init": "linear", "max_epochs": 2, "batch_size": batch_size, "random_state": seed}
    how["masking_rate"] = 0.0
    with watch() as watched:
        fitted = quick(2, **how).fit(X)
    assert watched.count_networks(fitted) == N_FOLDS + 1
    u, steps = standardize(fitted, X), watched.list_trained_rows(fitted)
    n_steps = len(steps) // 2
    seen = torch.stack([torch.cat(steps[:n_steps], dim=1), torch.cat(steps[n_steps:], dim=1)])
    judging = watched.get_judging_rows(fitted).numpy()
    judged = []
    for number, of_network in enumerate(seen.transpose(0, 1).numpy()):  # (2, n_rows, n_features)
        rows, offset = identify(of_network.reshape(-1, 4), u)
        own = np.unique(rows)
        assert_allclose(offset, u[own].mean(axis=0), atol=1e-5)
        first, second = rows[:n_rows], rows[n_rows:]
        for order in (first, second):  # as many rows in an epoch as X has, each about as often
            counts = np.bincount(order, minlength=n_rows)[own]
            assert counts.max() - counts.min() <= 1
        assert n_rows < 20 or not np.array_equal(first, second)
        if number == N_FOLDS:
            assert len(own) == n_rows
            break
        new = np.unique(cdist(judging[number] + offset, u).argmin(axis=1))
        assert_allclose(cdist(judging[number] + offset, u).min(axis=1), 0, atol=1e-4)
        assert_array_equal(np.sort(np.concatenate([own, new])), np.arange(n_rows))
        judged.extend(new)
    assert_array_equal(np.sort(judged), np.arange(n_rows))


@given(st.integers(900, 1100))
@draw_fewer(0.2)
def test_a_fifth_of_many_rows_judges_an_ordered_code(n_rows):
    X = np.random.RandomState(n_rows).normal(size=(n_rows, 3))
    how = {"hidden_layer_sizes": (4,), "max_epochs": 1, "batch_size": 500, "init": "linear"}
    assert count_networks(quick(2, **how), X) == N_FOLDS + 1
    with watch() as watched:
        fitted = quick(2, ordered=True, **how).fit(X)
    n_networks = watched.count_networks(fitted)
    assert n_networks == (N_FOLDS + 1 if n_rows < 1000 else 2)
    assert len(fitted.validation_loss_curve_) == 1
    u = standardize(fitted, X)
    trained = torch.cat(watched.list_trained_rows(fitted), dim=1).numpy()
    judging = watched.get_judging_rows(fitted).numpy()
    judged = []
    for own, new in zip(trained[:-1], judging[:-1], strict=True):
        rows, offset = identify(own, u)
        new = np.unique(cdist(new + offset, u).argmin(axis=1))
        assert_array_equal(np.sort(np.concatenate([np.unique(rows), new])), np.arange(n_rows))
        judged.extend(new)
    if n_rows < 1000:
        assert_array_equal(np.sort(judged), np.arange(n_rows))
    else:
        assert len(judged) == pytest.approx(n_rows / 5, abs=1)


GOING_ON = quick(2, init="random", early_stopping=False, max_epochs=1, warm_start=True)


@example(7, 2)
@example(1, 8)
@given(st.integers(1, 300), st.integers(1, 64))
def test_batches_are_about_equally_large(n_rows, batch_size):
    X = np.random.RandomState(0).normal(size=(300, 3))
    if not hasattr(GOING_ON, "net_"):
        GOING_ON.fit(X)
    with watch() as watched:  # only the first fit needs more than one row
        GOING_ON.set_params(batch_size=batch_size).fit(X[:n_rows])
    batches = watched.list_trained_rows(GOING_ON)
    sizes = list(map(len, batches))
    rows, _ = identify(torch.cat(batches).numpy(), standardize(GOING_ON, X))
    assert_array_equal(np.sort(rows), np.arange(n_rows))
    assert max(sizes) - min(sizes) <= 1
    # no single row, and no more rows than asked for except to join one that would be single
    assert min(sizes) > 1 or batch_size == 1 or n_rows == 1
    assert max(sizes) <= batch_size or (batch_size == 2 and n_rows % 2 and max(sizes) == 3)


def test_rows_left_out_have_one_corruption():
    X = 1e-3 * np.random.RandomState(0).normal(size=(60, 2))  # nothing beside the noise
    how = {"corruption": "gaussian", "corruption_level": 1.0, "batch_size": 16}
    with watch() as watched:
        fitted = quick(1, estimator=DenoisingAutoencoder, init="linear", **how).fit(X)
    assert watched.count_networks(fitted) == N_FOLDS + 1
    calls = watched.list_encoded(fitted)
    judging = [rows for training, rows in calls if not training and rows.shape[-2] == 20]
    assert len(judging) == 6  # before the first of five epochs, and after each
    assert all(torch.equal(rows, judging[0]) for rows in judging)
    assert fitted.scale_ * judging[0][:N_FOLDS].std() == pytest.approx(1, abs=0.3)
    trained = watched.list_trained_rows(fitted)
    assert not any(torch.equal(rows, trained[0]) for rows in trained[1:])
    assert fitted.start_loss_ < 0.01  # the targets are clean: otherwise it would be about 1


# ------------------------------------------------------------------ where they start


def split_unequally(rng):
    """Return rows in groups of different sizes around means of their own, and the groups.

    As no two groups are equally large, their folds do not depend on chance.
    """
    groups = rng.permutation(np.repeat(np.arange(7), [3, 5, 6, 8, 11, 14, 18]))
    means = rng.normal(size=(7, 10))
    return means[groups] + rng.normal(size=(65, 4)) @ rng.normal(size=(4, 10)), groups


def test_folds_start_as_the_pca_of_the_other_rows():
    X, groups = split_unequally(np.random.RandomState(0))
    errors = np.empty(len(X))
    for train, valid in GroupKFold(N_FOLDS).split(X, groups=groups):
        pca = PCA(3).fit(X[train])
        restored = pca.inverse_transform(pca.transform(X[valid]))
        errors[valid] = np.square(X[valid] - restored).mean(axis=1)
    fitted = quick(3, init="linear", max_epochs=1).fit(X, groups=groups)
    assert fitted.start_loss_ == pytest.approx(errors.mean(), rel=1e-5)


@pytest.mark.parametrize("name", [name for name in STACKED if name != "clipped"])
def test_folds_start_as_fits_of_the_other_rows(name):
    # to the range of X, by which reconstructions are clipped, the rows left out belong, too
    X, groups = split_unequally(np.random.RandomState(0))
    X = scale_to_unit_interval(X)
    how = {"init": LINEAR.get(name, "linear"), "max_epochs": 1, **STACKED[name]}
    fitted = quick(3, **how).fit(X, groups=groups)
    total = 0.0
    for train, valid in GroupKFold(N_FOLDS).split(X, groups=groups):
        alone = quick(3, **how).fit(X[train], X_val=X[valid])
        total += len(valid) * alone.start_loss_
    assert fitted.start_loss_ == pytest.approx(total / len(X), rel=1e-4)


def test_sizes_of_an_ordered_code_are_judged_by_the_pca_of_the_other_rows():
    X, groups = split_unequally(np.random.RandomState(0))
    restored = np.empty((4, *X.shape))
    for train, valid in GroupKFold(N_FOLDS).split(X, groups=groups):
        pca = PCA(4).fit(X[train])
        codes = pca.transform(X[valid])
        for k in range(1, 5):
            restored[k - 1, valid] = codes[:, :k] @ pca.components_[:k] + pca.mean_
    expected = [r2_score(X, rows, multioutput="variance_weighted") for rows in restored]
    assert (np.diff(expected) > 0).all()
    fitted = quick(4, ordered=True, init="linear", max_epochs=0).fit(X, groups=groups)
    assert_allclose(fitted.explained_variance_ratio_.cumsum(), expected, rtol=1e-5)


def test_start_loss_is_that_of_rows_that_pca_has_not_seen(X):
    seen = -quick(2, init="linear", max_epochs=0).fit(X).score_samples(X).mean()
    assert quick(2, init="linear", max_epochs=1).fit(X).start_loss_ > 1.02 * seen


# ------------------------------------------------------------------ how they train


# What the names stand for, with the linear path and seven features.
OPTIMIZERS = {
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.01, weight_decay=0.1, eps=0.001 / 7),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01, weight_decay=0.1, eps=0.001 / 7),
    "sgd": lambda groups: torch.optim.SGD(
        groups, lr=0.01, weight_decay=0.1, momentum=0.9, nesterov=True
    ),
}


def list_parameters(encoder, decoder):
    """Return the parameters of the linear path, and the others."""
    return [
        [*getattr(encoder, part).parameters(), *getattr(decoder, part).parameters()]
        for part in ("linear", "correction")
    ]


class ByHand:
    """Encoder and decoder that plain torch trains.

    Parameters
    ----------
    name : str
        In `STACKED`, for the loss.
    optimizer : str
        In `OPTIMIZERS`.
    fitted : AutoencoderTransformer
        Whose layers these have.
    weights : list of tensor
        Their weights, first those of the linear path.
    X : ndarray of shape (n_rows, n_features)
    rows : ndarray of int
        Those that are trained on, whose mean becomes the origin.
    """

    def __init__(self, name, optimizer, fitted, weights, X, rows):
        self.name = name
        self.X, self.u = torch.from_numpy(X).float(), torch.from_numpy(standardize(fitted, X))
        self.offset = self.u[rows].mean(dim=0)
        self.bounds = self.u.min(dim=0).values, self.u.max(dim=0).values
        self.encoder, self.decoder = copy.deepcopy((fitted.encoder_, fitted.decoder_))
        # as in training: fitted networks are linear beyond its rows
        self.encoder.train(), self.decoder.train()
        path, others = list_parameters(self.encoder, self.decoder)
        self.parameters = [*path, *others]
        with torch.no_grad():
            for parameter, weight in zip(self.parameters, weights, strict=True):
                parameter.copy_(weight)
        # weight decay draws to the linear path
        groups = [{"params": path, "weight_decay": 0.0}, {"params": others}]
        self.optimizer = OPTIMIZERS[optimizer](groups)

    def measure(self, index):
        """Return the loss of rows at an index."""
        u = self.u[index]
        output = self.decoder(self.encoder(u - self.offset))
        if self.name == "cross-entropy":
            return F.binary_cross_entropy_with_logits(output, self.X[index])
        output = output + self.offset
        if self.name == "absolute error":
            return F.l1_loss(output, u)
        if self.name == "clipped":  # the gradient passes straight through the clipping
            u = u + (output - output.clamp(*self.bounds)).detach()
        return F.mse_loss(output, u)

    def step(self, index):
        """Make a step, and return the loss before it."""
        self.optimizer.zero_grad()
        loss = self.measure(index)
        loss.backward()
        self.optimizer.step()
        return loss.item()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", STACKED)
def test_networks_train_as_each_does_in_a_loop_of_torch(name, optimizer):
    X = scale_to_unit_interval(draw_curved_rows(90))
    how = {"init": LINEAR.get(name, "linear"), "linear_weight": 0.0, **STACKED[name]}
    how["masking_rate"] = 0.0
    how |= {"optimizer": optimizer, "learning_rate": 0.01, "schedule": "constant"}
    with watch() as watched:
        fitted = quick(2, max_epochs=3, batch_size=16, weight_decay=0.1, **how).fit(X)
    assert watched.count_networks(fitted) == N_FOLDS + 1
    assert watched.trains_as_one(fitted)
    steps = torch.cat(watched.list_trained_rows(fitted), dim=1)
    order = np.stack([identify(rows.numpy(), standardize(fitted, X))[0] for rows in steps])
    members = list(map(np.unique, order))
    folds = [np.setdiff1d(np.arange(90), rows) for rows in members[:-1]]
    alone = [
        ByHand(name, optimizer, fitted, weights, X, rows)
        for weights, rows in zip(zip(*watched.before, strict=True), members, strict=True)
    ]
    unit = fitted.scale_ ** {"cross-entropy": 0, "absolute error": 1}.get(name, 2)
    for epoch, indices in enumerate(np.split(order, 3, axis=1)):
        losses = [
            network.step(rows)
            for batch in np.array_split(indices, 6, axis=1)
            for network, rows in zip(alone, batch, strict=True)
        ]
        with torch.no_grad():
            pairs = zip(alone[:-1], folds, strict=True)
            judged = [network.measure(row) for network, fold in pairs for row in fold[:, None]]
        assert fitted.loss_curve_[epoch] == pytest.approx(unit * np.mean(losses), rel=1e-4)
        expected = unit * np.mean(judged)
        assert fitted.validation_loss_curve_[epoch] == pytest.approx(expected, rel=1e-4)
    for network, weights in zip(alone, zip(*watched.after, strict=True), strict=True):
        for weight, expected in zip(weights, network.parameters, strict=True):
            assert_allclose(weight, expected.detach(), atol=2e-4)
    if fitted.best_epoch_ == 3:  # the network of all rows is the one that is kept
        kept = itertools.chain(*list_parameters(fitted.encoder_, fitted.decoder_))
        for weight, expected in zip(kept, alone[-1].parameters, strict=True):
            assert_allclose(weight.detach(), expected.detach(), atol=2e-4)


def fit_both_ways(autoencoder, X, **arguments):
    """Return fits whose networks train as one, and in turn."""
    how = {"learning_rate": 0.05, "net_params": {"optimizer__momentum": 0.9}}
    fits = []
    for optimizer in (torch.optim.SGD, SGDInTurn):
        with watch() as watched:
            params = {**how, "optimizer": optimizer}
            fitted = clone(autoencoder).set_params(**params).fit(X, **arguments)
        assert watched.count_networks(fitted) == N_FOLDS + 1
        assert watched.trains_as_one(fitted) == (optimizer is torch.optim.SGD)
        fits.append(fitted)
    return fits


def assert_same_fits(first, second):
    assert first.start_loss_ == pytest.approx(second.start_loss_, rel=1e-4)
    assert_allclose(first.validation_loss_curve_, second.validation_loss_curve_, rtol=1e-4)
    assert_allclose(first.loss_curve_, second.loss_curve_, rtol=1e-4)
    assert first.best_epoch_ == second.best_epoch_
    assert_allclose(get_weights(first), get_weights(second), atol=1e-4)


@pytest.mark.parametrize("name", STACKED)
@BOTH
def test_fits_as_one_and_in_turn_are_the_same(estimator, name):
    X = scale_to_unit_interval(draw_curved_rows(90))
    as_one, in_turn = fit_both_ways(quick(2, estimator=estimator, **STACKED[name]), X)
    assert_same_fits(as_one, in_turn)


def test_fits_of_pairs_as_one_and_in_turn_are_the_same(X):
    clean = X @ np.random.RandomState(0).normal(size=(10, 6)) + 1
    pairs = quick(estimator=DenoisingAutoencoder)
    assert_same_fits(*fit_both_ways(pairs, X, X_clean=clean))


def test_fits_of_sparse_rows_as_one_and_in_turn_are_the_same():
    X = sparse.random_array((60, 30), density=0.02, format="csr", rng=0)
    assert_same_fits(*fit_both_ways(quick(), X))


@pytest.mark.parametrize("params", [{"ordered": True}, {"estimator": VariationalAutoencoder}])
def test_codes_that_draw_are_judged_alike_as_one_and_in_turn(X, params):
    # in training each network has draws of its own, or all have the same: only starts compare
    as_one, in_turn = fit_both_ways(quick(**params, max_epochs=1), X)
    assert as_one.start_loss_ == pytest.approx(in_turn.start_loss_, rel=1e-4)


def test_sizes_of_solved_layers_are_judged_alike_as_one_and_in_turn():
    X = draw_curved_rows(300)
    shares = []
    for optimizer in (torch.optim.SGD, SGDInTurn):
        ordered = quick(4, ordered=True, max_epochs=0, optimizer=optimizer).fit(X)
        assert ordered.decoder_.solved.weight.any()
        shares.append(ordered.explained_variance_ratio_)
    assert_allclose(*shares, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", IN_TURN)
@BOTH
def test_networks_that_cannot_be_stacked_are_cross_fitted_in_turn(estimator, name, X):
    with watch() as watched:
        fitted = quick(estimator=estimator, **IN_TURN[name], max_epochs=2).fit(X)
    assert watched.count_networks(fitted) == N_FOLDS + 1
    assert not watched.trains_as_one(fitted)
    assert len(fitted.validation_loss_curve_) == 2
    assert np.isfinite(fitted.transform(X)).all()


# ------------------------------------------------------------------ where it applies


@BOTH
def test_small_tables_are_cross_fitted(X, estimator):
    autoencoder = quick(estimator=estimator, max_epochs=1)
    assert count_networks(clone(autoencoder), X) == N_FOLDS + 1
    groups = np.arange(60) % MIN_GROUPS_FOR_FOLDS
    assert count_networks(clone(autoencoder), X, groups=groups) == N_FOLDS + 1
    other = clone(autoencoder).set_params(optimizer=torch.optim.RMSprop)
    assert count_networks(other, X) == N_FOLDS + 1
    groups = np.arange(60) % (MIN_GROUPS_FOR_FOLDS - 1)
    assert count_networks(clone(autoencoder), X, groups=groups) == 1
    assert count_networks(clone(autoencoder), X[: MIN_GROUPS_FOR_FOLDS - 1]) == 1
    assert count_networks(clone(autoencoder), X, X_val=X + 0.5) == 1


@pytest.mark.parametrize("name", ONE_NETWORK)
@BOTH
def test_one_network_has_a_tenth_held_out(X, estimator, name):
    with watch() as watched:
        fitted = quick(estimator=estimator, max_epochs=1, **ONE_NETWORK[name]).fit(X)
    assert watched.count_networks(fitted) == 1
    assert len(watched.get_judging_rows(fitted)) == 6
    assert sum(map(len, watched.list_trained_rows(fitted))) == 54
    assert len(fitted.validation_loss_curve_) == 1


@pytest.mark.parametrize(
    "shape",
    [(MAX_ROWS_FOR_FOLDS, 2), (MAX_ROWS_FOR_FOLDS + 1, 2), (60, MAX_FEATURES_FOR_FOLDS + 1)],
)
def test_large_tables_have_a_share_held_out(shape):
    X = np.random.RandomState(0).normal(size=shape)
    with watch() as watched:
        fitted = quick(1, max_epochs=1).fit(X)
    is_small = shape[0] <= MAX_ROWS_FOR_FOLDS and shape[1] <= MAX_FEATURES_FOR_FOLDS
    assert watched.count_networks(fitted) == (N_FOLDS + 1 if is_small else 1)
    if not is_small:
        n_held_out = math.ceil(0.1 * len(X))
        assert len(watched.get_judging_rows(fitted)) == n_held_out
        assert sum(map(len, watched.list_trained_rows(fitted))) == len(X) - n_held_out


# --------------------------------------------------------------------- what is kept


@BOTH
def test_nothing_of_the_folds_is_left_after_a_fit(estimator, unit_X):
    fitted = quick(estimator=estimator).fit(unit_X)
    net = fitted.net_
    assert net.train_split is None
    assert len({parameter.data_ptr() for parameter in net.module_.parameters()}) == len(
        list(net.module_.parameters())
    )
    for parameter in net.module_.parameters():
        assert parameter.untyped_storage().nbytes() == parameter.nbytes
        assert parameter.is_leaf
    held = [parameter for group in net.optimizer_.param_groups for parameter in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in net.module_.parameters()}
    before = get_weights(fitted)
    fitted.partial_fit(unit_X)
    assert not np.array_equal(get_weights(fitted), before)


@BOTH
def test_noise_leaves_the_start_of_all_rows(estimator):
    noise = np.random.RandomState(0).normal(size=(80, 10))
    fitted = quick(estimator=estimator, max_epochs=20).fit(noise)
    start = clone(fitted).set_params(init="linear", max_epochs=0).fit(noise)
    assert (fitted.best_epoch_, fitted.init_) == (0, "linear")
    assert_allclose(fitted.transform(noise), start.transform(noise), atol=1e-5)


def test_losses_of_rows_left_out_count_for_their_own_groups():
    # a network is much better than PCA on every second group, and no better on the others
    rng = np.random.RandomState(0)
    groups, scale = np.arange(400) % 8, rng.normal(size=(1, 6))
    bent = groups % 2 == 0
    Z = rng.normal(size=(400, 1))
    X = np.hstack([Z, bent[:, None] * (3 * np.abs(Z) + scale)]) + 0.05 * rng.normal(size=(400, 7))
    autoencoder = quick(1, init="linear", max_epochs=30)
    assert clone(autoencoder).fit(X).best_epoch_ > 0
    fitted = autoencoder.fit(X, groups=groups)
    assert min(fitted.validation_loss_curve_) < 0.9 * fitted.start_loss_
    assert fitted.best_epoch_ == 0


def test_a_few_hundred_rows_gain_where_a_tenth_held_out_finds_nothing():
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    new, X = X[:200], X[200:]
    autoencoder = AutoencoderTransformer(4, max_epochs=30, random_state=0)
    how = {"init": "linear", "validation_fraction": 0.1}
    held_out = clone(autoencoder).set_params(**how).fit(X)
    assert held_out.best_epoch_ == 0
    assert autoencoder.fit(X).score(new) > held_out.score(new) + 0.01


def test_fits_repeat(unit_X):
    for estimator in (AutoencoderTransformer, DenoisingAutoencoder):
        first, second = (quick(estimator=estimator).fit(unit_X) for _ in range(2))
        assert_array_equal(get_weights(first), get_weights(second))
        other = quick(estimator=estimator, random_state=1).fit(unit_X)
        assert not np.array_equal(get_weights(other), get_weights(first))


def test_sparse_rows_are_cross_fitted_as_dense_ones():
    X = sparse.random_array((60, 30), density=0.02, format="csr", rng=0)
    how = {"optimizer": "sgd", "learning_rate": 0.05}
    dense, as_sparse = quick(**how).fit(X.toarray()), quick(**how).fit(X)
    assert_allclose(as_sparse.loss_curve_, dense.loss_curve_, rtol=1e-3)
    assert_allclose(as_sparse.validation_loss_curve_, dense.validation_loss_curve_, rtol=1e-3)


def test_an_offset_costs_no_precision(X):
    plain, moved = quick().fit(X), quick().fit(X + 1e6)
    assert_allclose(moved.validation_loss_curve_, plain.validation_loss_curve_, rtol=1e-3)
