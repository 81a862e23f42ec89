"""Cross-fitting: networks trained side by side are those that each would become alone."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from zoo import Perceptron, draw_fewer, get_weights, quick, standardize

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae import _training as training
from sklearn_ae._batches import Batches
from sklearn_ae._evidence import MIN_GROUPS_FOR_FOLDS, N_FOLDS, CrossFit, split_rows
from sklearn_ae._folds import FoldBatches, LeftOutBatches, Networks
from sklearn_ae._losses import ReconstructionLoss
from sklearn_ae._plan import MAX_FEATURES_FOR_FOLDS
from sklearn_ae.corruption import GaussianNoise

MAX_ROWS_FOR_FOLDS = 2000

BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])

STACKED = {
    "default": {},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "two layers": {"hidden_layer_sizes": (7, 5), "activation": "silu"},
    "cross-entropy": {"loss": "binary_cross_entropy"},
    "textbook": {"init": "random", "activation": "tanh"},
    "squashed": {"code_activation": "relu", "output_activation": "logistic"},
    "clipped": {"clip": True},
    "absolute error": {"loss": "absolute_error"},
}
IN_TURN = {
    "convolutional": {"conv_filters": (3,), "image_shape": (1, 1, -1)},
    "custom": {"encoder": Perceptron, "decoder": Perceptron},
}


def make_models(X, n_models=3, **params):
    """Return models of one architecture, each fitted for an epoch to rows of its own."""
    how = {"early_stopping": False, "max_epochs": 1, "batch_size": 8, **params}
    fitted = quick(2, **how).fit(X)
    models = [copy.deepcopy(fitted.net_.module_) for _ in range(n_models)]
    generator = torch.Generator().manual_seed(0)
    for model in models:
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data += 0.05 * noise
    offsets = 0.1 * torch.randn(n_models, X.shape[1], generator=generator)
    return models, offsets


def compute_alone(model, offset, rows):
    """Return the output of a model that has an origin of its own."""
    output = model(rows - offset)
    return output if model.units.has_logits else output + offset


# ---------------------------------------------------------------- what they compute


@pytest.mark.parametrize("name", STACKED)
@given(n_rows=st.integers(1, 20), n_models=st.integers(1, 5), seed=st.integers(0, 2**31))
@draw_fewer(0.1)
def test_stacked_networks_compute_what_each_does(name, n_rows, n_models, seed):
    X = np.random.RandomState(0).uniform(size=(30, 6))
    models, offsets = make_models(X, n_models, **STACKED[name])
    u = torch.randn(n_models, n_rows, 6, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        alone = [compute_alone(*args) for args in zip(models, offsets, u, strict=True)]
        for as_one in (True, False):
            output = Networks(copy.deepcopy(models), offsets, offsets, as_one).eval()(u)
            assert_allclose(output, torch.stack(alone), rtol=1e-4, atol=1e-5)


def test_stacked_networks_decode_each_size_of_an_ordered_code_as_each_does(X):
    fitted = AutoencoderTransformer(4, ordered=True, max_epochs=0, random_state=0).fit(X)
    models = [copy.deepcopy(fitted._model_) for _ in range(3)]
    offsets = torch.randn(3, X.shape[1], generator=torch.Generator().manual_seed(0))
    for i, model in enumerate(models, start=1):
        model.decoder[1].solved.weight *= i
    u, sizes = torch.randn(3, 7, X.shape[1]), [1, 2, 3, 4]
    with torch.no_grad():
        alone = [
            [output + offset for output in model.eval().reconstruct_sizes(rows - offset, sizes)]
            for model, offset, rows in zip(models, offsets, u, strict=True)
        ]
        expected = [torch.stack(outputs) for outputs in zip(*alone, strict=True)]
        for as_one in (True, False):
            networks = Networks(copy.deepcopy(models), offsets, offsets, as_one).eval()
            for output, of_size in zip(networks.reconstruct_sizes(u, sizes), expected, strict=True):
                assert_allclose(output, of_size, rtol=1e-4, atol=1e-4)
    networks.release()


def test_stacked_networks_of_sparse_rows_compute_what_each_does():
    X = sparse.random_array((40, 30), density=0.02, format="csr", rng=0)
    models, offsets = make_models(X)
    assert any(type(layer).__name__ == "RowLinear" for layer in models[0].modules())
    u = torch.randn(3, 7, 30)
    with torch.no_grad():
        alone = [compute_alone(*args) for args in zip(models, offsets, u, strict=True)]
        output = Networks(models, offsets, offsets, True)(u)
    assert_allclose(output, torch.stack(alone), rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------ how they train

OPTIMIZERS = {
    "Adam": (torch.optim.Adam, {"lr": 0.01}),
    "AdamW": (torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    "SGD": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ["default", "cross-entropy", "textbook", "clipped"])
def test_stacked_networks_train_as_each_does_in_a_loop_of_torch(name, optimizer):
    X = np.random.RandomState(0).uniform(size=(30, 6))
    params = STACKED[name]
    models, offsets = make_models(X, **params)
    loss = ReconstructionLoss(
        params.get("loss", "squared_error"), models[0].units, params.get("clip", False)
    )
    generator = torch.Generator().manual_seed(1)
    batches = [0.5 * torch.randn(3, 8, 6, generator=generator) for _ in range(12)]
    make_optimizer, options = OPTIMIZERS[optimizer]

    def train(parameters, compute_loss):
        stepping = make_optimizer(list(parameters), **options)
        for batch in batches:
            stepping.zero_grad()
            compute_loss(batch).backward()
            stepping.step()

    alone = copy.deepcopy(models)
    for i, (model, offset) in enumerate(zip(alone, offsets, strict=True)):
        train(model.parameters(), lambda u: loss(compute_alone(model, offset, u[i]), u[i]))  # noqa: B023
    u = torch.randn(3, 5, 6, generator=generator)
    with torch.no_grad():
        expected = torch.stack(
            [compute_alone(*args) for args in zip(alone, offsets, u, strict=True)]
        )
    for as_one in (True, False):
        networks = Networks(copy.deepcopy(models), offsets, offsets, as_one)
        train(networks.parameters(), lambda u: 3 * loss(networks(u), u))  # noqa: B023
        with torch.no_grad():
            assert_allclose(networks(u), expected, atol=2e-4)
        networks.release()
        with torch.no_grad():  # the last model is the one to keep
            assert_allclose(networks.models[-1](u[-1]), alone[-1](u[-1]), atol=2e-4)


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        *((AutoencoderTransformer, name) for name in STACKED),
        *((DenoisingAutoencoder, name) for name in STACKED if name != "squashed"),
    ],
)
def test_fits_as_one_and_in_turn_are_the_same(monkeypatch, unit_X, estimator, name):
    autoencoder = quick(estimator=estimator, optimizer="sgd", learning_rate=0.05, **STACKED[name])
    as_one = clone(autoencoder).fit(unit_X)
    monkeypatch.setattr("sklearn_ae._folds.can_stack", lambda architecture: False)
    in_turn = clone(autoencoder).fit(unit_X)
    assert_allclose(as_one.validation_loss_curve_, in_turn.validation_loss_curve_, rtol=1e-4)
    assert_allclose(as_one.loss_curve_, in_turn.loss_curve_, rtol=1e-4)
    assert as_one.best_epoch_ == in_turn.best_epoch_
    assert_allclose(get_weights(as_one), get_weights(in_turn), atol=1e-4)


@pytest.mark.parametrize("name", IN_TURN)
@BOTH
def test_networks_that_cannot_be_stacked_are_cross_fitted_in_turn(estimator, name, X):
    trials = []

    class Watched(training.CrossFitTrial):
        def __init__(self, *args):
            super().__init__(*args)
            trials.append(self.network)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "CrossFitTrial", Watched)
        fitted = quick(estimator=estimator, **IN_TURN[name], max_epochs=2).fit(X)
    (networks,) = trials
    assert not networks.trains_as_one
    assert len(networks.models) == N_FOLDS + 1
    assert len(fitted.validation_loss_curve_) == 2
    assert np.isfinite(fitted.transform(X)).all()


@given(st.integers(900, 1100))
@draw_fewer(0.2)
def test_a_fifth_of_many_rows_judges_an_ordered_code(n_rows):
    rows = np.arange(n_rows)
    assert len(split_rows(rows, None, None, np.random.RandomState(0)).valid) == N_FOLDS
    split = split_rows(rows, None, None, np.random.RandomState(0), ordered=True)
    assert isinstance(split, CrossFit)
    if n_rows < 1000:
        assert len(split.valid) == N_FOLDS
        assert_array_equal(np.sort(np.concatenate(split.valid)), np.arange(n_rows))
    else:
        assert len(split.valid) == 1
        assert len(split.valid[0]) == pytest.approx(n_rows / 5, abs=1)
    for train, valid in zip(split.train, split.valid, strict=True):
        assert_array_equal(np.sort(np.concatenate([train, valid])), np.arange(n_rows))


def test_one_fold_trains_one_network_beside_that_of_all_rows(monkeypatch):
    trials = []
    close = training.CrossFitTrial.close
    monkeypatch.setattr(training.CrossFitTrial, "close", lambda t: (trials.append(t), close(t)))
    rng = np.random.RandomState(0)
    Z = rng.normal(size=(1200, 2))
    rows = np.hstack([Z, Z**2, Z @ rng.normal(size=(2, 3))])
    fitted = AutoencoderTransformer(2, ordered=True, max_epochs=3, random_state=0).fit(rows)
    (trial,) = trials
    assert len(trial.network.models) == 2
    assert trial.held_out.is_judging.sum() == 240
    assert len(fitted.validation_loss_curve_) == 3


# ------------------------------------------------------------------------- batches


@given(st.integers(1, 300), st.integers(1, 64))
def test_batches_are_about_equally_large(n_rows, batch_size):
    dataset = standardize(np.arange(n_rows, dtype=float)[:, None], np.zeros(1))
    batches = Batches(dataset, batch_size, torch.Generator().manual_seed(0), None)
    sizes = [len(batch.targets) for batch in batches]
    assert sum(sizes) == n_rows
    assert len(batches) == len(sizes)
    assert max(sizes) - min(sizes) <= 1
    # no single row, and no more rows than asked for except to join one that would be single
    assert min(sizes) > 1 or batch_size == 1 or n_rows == 1
    assert max(sizes) <= batch_size or (batch_size == 2 and n_rows % 2 and max(sizes) == 3)


@given(st.integers(10, 60), st.integers(1, 70), st.integers(0, 1000))
@draw_fewer(0.5)
def test_batches_of_folds_hold_each_networks_own_rows(n_rows, batch_size, seed):
    rng = np.random.RandomState(seed)
    members = [np.flatnonzero(rng.uniform(size=n_rows) < share) for share in (0.5, 0.9)]
    members = [torch.from_numpy(rows if len(rows) else np.array([0])) for rows in members]
    members.append(torch.arange(n_rows))
    dataset = standardize(np.arange(n_rows, dtype=float)[:, None], np.zeros(1))
    batches = FoldBatches(dataset, batch_size, torch.Generator().manual_seed(seed), None, members)
    seen = torch.cat([batch.targets for batch in batches], dim=1).squeeze(-1).int().tolist()
    assert len(seen) == 3
    for rows, own in zip(seen, members, strict=True):
        assert len(rows) == n_rows
        assert set(rows) <= set(own.tolist())
        counts = np.bincount(rows, minlength=n_rows)[own.numpy()]
        assert counts.max() - counts.min() <= 1
    first, second = (torch.cat([b.targets for b in batches], dim=1) for _ in range(2))
    assert n_rows < 20 or not torch.equal(first, second)


@given(st.integers(5, 60), st.integers(2, 5), st.integers(0, 1000))
@draw_fewer(0.5)
def test_rows_left_out_are_judged_by_the_network_of_their_fold(n_rows, n_folds, seed):
    order = np.random.RandomState(seed).permutation(n_rows)
    folds = [torch.from_numpy(fold) for fold in np.array_split(order, n_folds)]
    dataset = standardize(np.arange(n_rows, dtype=float)[:, None], np.zeros(1))
    batches = LeftOutBatches(dataset, torch.Generator(), None, folds)
    batches.batch_size = 7
    losses = np.concatenate(
        [1000.0 * np.arange(n_folds + 1)[:, None] + b.targets.squeeze(-1).numpy() for b in batches],
        axis=1,
    )
    fold_of = np.empty(n_rows)
    for number, fold in enumerate(folds):
        fold_of[fold.numpy()] = number
    assert_array_equal(batches.arrange(losses), 1000 * fold_of + np.arange(n_rows))


def test_rows_left_out_have_one_corruption():
    dataset = standardize(np.zeros((30, 2)), np.zeros(2))
    folds = [torch.arange(15), torch.arange(15, 30)]
    batches = LeftOutBatches(dataset, torch.Generator().manual_seed(0), GaussianNoise(1.0), folds)
    first, second = (torch.cat([b.inputs for b in batches], dim=1) for _ in range(2))
    assert torch.equal(first, second)
    assert first.std() == pytest.approx(1, abs=0.3)
    assert not torch.cat([b.targets for b in batches], dim=1).any()


# ------------------------------------------------------------------ where it applies


def watch_split(monkeypatch):
    """Return a list that takes the splits that nets train with."""
    splits = []
    run = training.AutoencoderNet.fit_loop

    def fit_loop(net, *args, **kwargs):
        splits.append(net.train_split)
        return run(net, *args, **kwargs)

    monkeypatch.setattr(training.AutoencoderNet, "fit_loop", fit_loop)
    return splits


ONE_NETWORK = {
    "a share": {"validation_fraction": 0.1},
    "warm start": {"warm_start": True},
    "callbacks": {"net_params": {"callbacks": [Callback()]}},
    "L-BFGS": {"optimizer": torch.optim.LBFGS, "schedule": "constant", "learning_rate": 0.1},
}


@BOTH
def test_small_tables_are_cross_fitted(monkeypatch, X, estimator):
    splits = watch_split(monkeypatch)
    autoencoder = quick(estimator=estimator, max_epochs=1)
    clone(autoencoder).fit(X)
    clone(autoencoder).fit(X, groups=np.arange(60) % MIN_GROUPS_FOR_FOLDS)
    clone(autoencoder).set_params(optimizer=torch.optim.RMSprop).fit(X)
    assert [type(split) for split in splits] == [CrossFit] * 3
    del splits[:]
    clone(autoencoder).fit(X, groups=np.arange(60) % (MIN_GROUPS_FOR_FOLDS - 1))
    clone(autoencoder).fit(X[: MIN_GROUPS_FOR_FOLDS - 1])
    clone(autoencoder).fit(X, X_val=X + 0.5)
    for params in ONE_NETWORK.values():
        clone(autoencoder).set_params(**params).fit(X)
    assert len(splits) == 3 + len(ONE_NETWORK)
    assert not any(isinstance(split, CrossFit) for split in splits)


@pytest.mark.parametrize(
    "shape",
    [(MAX_ROWS_FOR_FOLDS, 2), (MAX_ROWS_FOR_FOLDS + 1, 2), (60, MAX_FEATURES_FOR_FOLDS + 1)],
)
def test_large_tables_have_a_share_held_out(monkeypatch, shape):
    splits = watch_split(monkeypatch)
    X = np.random.RandomState(0).normal(size=shape)
    quick(1, max_epochs=1).fit(X)
    is_small = shape[0] <= MAX_ROWS_FOR_FOLDS and shape[1] <= MAX_FEATURES_FOR_FOLDS
    assert isinstance(splits[0], CrossFit) == is_small
    if not is_small:
        assert len(splits[0].valid) == math.ceil(0.1 * len(X))


# --------------------------------------------------------------------- what is kept


@BOTH
def test_nothing_of_the_folds_is_left_after_a_fit(estimator, unit_X):
    fitted = quick(estimator=estimator).fit(unit_X)
    net = fitted.net_
    assert net.train_split is None
    assert not hasattr(net, "trial_")
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


def test_start_loss_is_that_of_rows_that_pca_has_not_seen(X):
    seen = -quick(2, init="linear", max_epochs=0).fit(X).score_samples(X).mean()
    assert quick(2, init="linear", max_epochs=1).fit(X).start_loss_ > 1.02 * seen


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
