"""What `DenoisingAutoencoder` promises."""

import copy
import functools
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA, KernelPCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error
from sklearn.preprocessing import StandardScaler
from torch import nn
from zoo import BY_HAND, CORRUPTIONS, quick, train_by_hand

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae.corruption import Downscale, Grayscale, corrupt

BUILT_IN = {
    "gaussian": ("gaussian", 0.3, None),
    "gaussian, clipped": ("gaussian", 0.5, (0, 1)),
    "masking": ("masking", 0.5, None),
    "salt and pepper": ("salt_and_pepper", 0.3, None),
}


quick = functools.partial(quick, estimator=DenoisingAutoencoder)


def untrained(n_components, corruption, level=0.5, corruption_range=None, **params):
    return DenoisingAutoencoder(
        n_components,
        corruption=corruption,
        corruption_level=level,
        corruption_range=corruption_range,
        init="linear",
        max_epochs=0,
        random_state=0,
        **params,
    )


@pytest.fixture(scope="session")
def raw_table():
    X = load_breast_cancer().data
    order = np.random.RandomState(0).permutation(len(X))
    return X[order[:400]], X[order[400:]]


@pytest.fixture(scope="session")
def table(raw_table):
    scaler = StandardScaler().fit(raw_table[0])
    return tuple(scaler.transform(X) for X in raw_table)


class Recorder:
    """A corruption that keeps what it is given and what it returns."""

    def __init__(self):
        self.batches, self.results = [], []

    def __call__(self, batch, generator):
        self.batches.append(batch.clone())
        self.results.append(batch + torch.randn(batch.shape, generator=generator))
        return self.results[-1]


# ------------------------------------------------------------------------ the linear start


@pytest.mark.parametrize("corruption", BUILT_IN.values(), ids=BUILT_IN)
@pytest.mark.parametrize("n_components", [1, 4, 16])
@pytest.mark.parametrize("data", ["unit_digits", "table", "few rows"])
def test_start_restores_no_worse_than_pca(request, data, corruption, n_components):
    X, X_test = request.getfixturevalue("unit_digits" if data == "few rows" else data)
    X = X[:100] if data == "few rows" else X
    X_noisy = corrupt(X_test, *corruption, random_state=1)
    pca = PCA(n_components).fit(X)
    error = mean_squared_error(X_test, pca.inverse_transform(pca.transform(X_noisy)))
    start = untrained(n_components, *corruption).fit(X)
    # the test rows are others than those of the fit: a hair's breadth of luck
    assert mean_squared_error(X_test, start.reconstruct(X_noisy)) <= 1.005 * error


@pytest.mark.parametrize("n_rows", [60, 400])
@pytest.mark.parametrize("level", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("n_components", [1, 2, 8])
def test_start_is_as_good_as_pca_where_noise_is_low(raw_table, n_components, level, n_rows):
    """Features of very different variance, noise from far below to the mean one."""
    X, X_test = raw_table[0][:n_rows], np.tile(raw_table[1], (10, 1))
    noise = level * np.sqrt(X.var(axis=0).mean())
    X_noisy = corrupt(X_test, "gaussian", noise, random_state=1)
    pca = PCA(n_components).fit(X)
    error = mean_squared_error(X_test, pca.inverse_transform(pca.transform(X_noisy)))
    start = untrained(n_components, "gaussian", noise).fit(X)
    # what 60 rows tell of 30 features is mostly luck
    luck = 1.02 if n_rows == 400 else 1.05
    assert mean_squared_error(X_test, start.reconstruct(X_noisy)) <= luck * error


def test_start_approaches_wiener_shrunk_pca():
    """Components shrunk by λ / (λ + σ²), in closed form from what the data were drawn from."""
    rng = np.random.RandomState(0)
    axes = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    variances, noise, mean = np.linspace(4, 0.5, 8) ** 2, 2.0, rng.normal(size=8)
    X = rng.normal(size=(20_000, 8)) * np.sqrt(variances) @ axes.T + mean
    start = untrained(5, "gaussian", noise).fit(X)
    X_noisy = corrupt(X[:2000], "gaussian", noise, random_state=1)
    wiener = axes[:, :5] * (variances / (variances + noise**2))[:5] @ axes[:, :5].T
    expected = (X_noisy - mean) @ wiener + mean
    pca = PCA(5).fit(X)
    from_pca = pca.inverse_transform(pca.transform(X_noisy))
    distance = np.square(start.reconstruct(X_noisy) - expected).mean()
    assert distance < 0.02 * np.square(from_pca - expected).mean()


def lossy(batch, generator):
    return (batch @ torch.linspace(-1, 1, 12).reshape(6, 2)) @ torch.ones(2, 6)


def test_start_is_the_regression_of_clean_on_corrupted_rows():
    """For a corruption that is linear and not random, in full rank: least squares."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(2000, 6)) @ rng.normal(size=(6, 6)) + 3
    for corruption in (Downscale((1, 2, 3), 1), lambda batch, _generator: batch * 0.5 + 1, lossy):
        corrupted = corrupt(X, corruption)
        expected = LinearRegression().fit(corrupted, X).predict(corrupted)
        restored = untrained(6, corruption).fit(X).reconstruct(corrupted)
        assert_allclose(restored, expected, atol=0.02 * X.std())
    assert mean_squared_error(X, expected) > 0.1 * X.var(axis=0).mean()


def test_start_has_the_best_rank():
    """Reduced-rank regression: no other projection of the prediction loses less."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(3000, 6)) @ rng.normal(size=(6, 6))

    def masked_half(batch, generator):
        return batch * torch.tensor([1.0, 1, 1, 0, 0, 0])

    corrupted = corrupt(X, masked_half)
    prediction = LinearRegression().fit(corrupted, X).predict(corrupted)
    for rank in (1, 2, 3):
        pca = PCA(rank).fit(prediction)
        best = mean_squared_error(X, pca.inverse_transform(pca.transform(prediction)))
        restored = untrained(rank, masked_half).fit(X).reconstruct(corrupted)
        assert mean_squared_error(X, restored) == pytest.approx(best, rel=1e-3)


def test_without_corruption_the_start_is_pca(unit_digits):
    X, X_test = unit_digits
    pca = PCA(8).fit(X)
    expected = pca.inverse_transform(pca.transform(X_test))
    for corruption in CORRUPTIONS:
        restored = untrained(8, corruption, 0.0).fit(X).reconstruct(X_test)
        assert np.square(restored - expected).mean() < 1e-4 * np.square(X_test - expected).mean()


@pytest.mark.parametrize("corruption", BUILT_IN.values(), ids=BUILT_IN)
def test_wider_code_restores_no_worse(unit_digits, corruption):
    X, X_test = unit_digits
    X_noisy = corrupt(X_test, *corruption, random_state=1)
    errors = [
        mean_squared_error(X_test, untrained(size, *corruption).fit(X).reconstruct(X_noisy))
        for size in (1, 2, 4, 8, 16, 32, 64)
    ]
    assert np.all(np.diff(errors) < 1e-4 * errors[0])


def test_share_of_variance_and_overcomplete_codes(unit_digits):
    X, _ = unit_digits
    sizes = [untrained(share, "gaussian", 0.3).fit(X).n_components_ for share in (0.5, 0.9, 0.99)]
    assert sizes == sorted(sizes)
    assert 1 < sizes[0] < sizes[2] < 64
    start = untrained(80, "gaussian", 0.3).fit(X)
    codes = start.transform(X)
    assert codes.shape == (len(X), 80)
    assert_array_equal(codes[:, 64:], 0)


# -------------------------------------------------------------------------------- training


@pytest.fixture(scope="module")
def default(unit_digits):
    """The default, trained once."""
    return DenoisingAutoencoder(16, corruption_level=0.3, random_state=0).fit(unit_digits[0])


@pytest.mark.slow
def test_default_beats_pca_and_kernel_pca(unit_digits, default):
    X, X_test = unit_digits
    X_noisy = corrupt(X_test, "gaussian", 0.3, random_state=10)
    rivals = [PCA(size) for size in (8, 16, 32)] + [
        KernelPCA(size, kernel="rbf", gamma=gamma, alpha=alpha, fit_inverse_transform=True)
        for size in (16, 64)
        for gamma in (0.03, 0.1)
        for alpha in (0.005, 0.1)
    ]
    errors = [
        mean_squared_error(X_test, rival.inverse_transform(rival.fit(X).transform(X_noisy)))
        for rival in rivals
    ]
    restored = default.reconstruct(X_noisy)
    assert mean_squared_error(X_test, restored) < 0.9 * min(errors)


@pytest.mark.slow
def test_codes_hold_against_noise(unit_digits, default):
    """Codes of a row and of its noisy copy are closer, in units of the spread of the codes."""
    X, X_test = unit_digits
    X_noisy = corrupt(X_test, "gaussian", 0.3, random_state=1)

    def shift(reducer):
        clean, noisy = reducer.transform(X_test), reducer.transform(X_noisy)
        return np.square(noisy - clean).mean() / clean.var(axis=0).mean()

    assert shift(default) < 0.8 * shift(PCA(16).fit(X))


@pytest.mark.parametrize("params", [{}, {"init": "random"}], ids=["linear start", "textbook"])
def test_corruption_is_fresh_in_every_batch(X, params):
    recorder = Recorder()
    quick(corruption=recorder, batch_size=60, max_epochs=3, validation_fraction=0.2, **params).fit(
        X
    )
    assert all(batch.dtype == torch.float32 for batch in recorder.batches)
    training = [i for i, batch in enumerate(recorder.batches) if len(batch) == 44]
    assert len(training) == 3  # one batch of 48 an epoch, of which a tenth stays clean
    noise = [
        (recorder.results[i] - recorder.batches[i])[recorder.batches[i][:, 0].argsort()]
        for i in training
    ]
    assert not any(torch.allclose(noise[i], noise[j]) for i, j in [(0, 1), (0, 2), (1, 2)])
    validation = [batch for batch in recorder.batches if len(batch) == 12]
    assert len(validation) == 1  # one copy for all epochs
    for i in training:  # in units of X, up to float32
        rows = recorder.batches[i].numpy()
        assert np.abs(rows[:, None] - X[None]).max(axis=2).min(axis=1).max() < 1e-5


@pytest.mark.slow
def test_clean_rows_have_the_codes_of_their_corrupted_copies(unit_digits):
    """Clipped noise moves every row far away from the clean ones."""
    X, X_test = unit_digits
    noise = {"corruption_level": 0.5, "corruption_range": (0, 1)}
    X_noisy = corrupt(X_test, "gaussian", **noise, random_state=1)
    autoencoder = DenoisingAutoencoder(16, **noise, max_epochs=10, random_state=0).fit(X)
    clean, noisy = autoencoder.transform(X_test), autoencoder.transform(X_noisy)
    shift = np.square((noisy - clean).mean(axis=0)).sum()
    pca = PCA(16).fit(X)
    from_pca = np.square((pca.transform(X_noisy) - pca.transform(X_test)).mean(axis=0)).sum()
    assert shift < 0.5 * from_pca


def test_targets_are_clean(X):
    """A network that is told nothing can but return the mean of the clean rows."""
    zeros = quick(corruption=lambda batch, _generator: 0 * batch, max_epochs=20).fit(X)
    assert_allclose(zeros.reconstruct(0 * X), np.tile(X.mean(axis=0), (60, 1)), atol=0.3)


def halved(batch, generator):
    return batch * 0.5


def test_training_is_that_of_a_plain_torch_loop(X):
    autoencoder = quick(corruption=halved, max_epochs=0, **BY_HAND)
    X = X[:9]  # of which none stays clean
    module = copy.deepcopy(autoencoder.fit(X).net_.module_)
    mean, scale = X.mean(axis=0), np.sqrt(X.var(axis=0).mean())
    clean, halves = (
        torch.as_tensor((rows - mean) / scale, dtype=torch.float32) for rows in (X, X / 2)
    )
    losses = train_by_hand(module, halves, clean) * scale**2
    curve = autoencoder.set_params(max_epochs=10).fit(X).loss_curve_
    assert_allclose(curve, losses, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_callable_that_works_in_place_spoils_nothing(X, dtype):
    def in_place(batch, generator):
        return batch.mul_(0.5)

    X = X.astype(dtype)
    before = X.copy()
    X.flags.writeable = False
    one, other = quick(corruption=in_place).fit(X), quick(corruption=halved).fit(X)
    assert_array_equal(X, before)
    assert_array_equal(one.transform(X), other.transform(X))


@pytest.mark.parametrize("corruption", BUILT_IN.values(), ids=BUILT_IN)
def test_offset_and_scale_of_X_do_not_matter(X, corruption):
    kind, level, corruption_range = corruption

    def restored(shift, scale):
        moved = corruption_range and tuple(scale * bound + shift for bound in corruption_range)
        autoencoder = quick(
            corruption=kind,
            corruption_level=level * scale if kind == "gaussian" else level,
            corruption_range=moved,
        )
        Z = scale * X + shift
        return (autoencoder.fit(Z).reconstruct(Z) - shift) / scale

    assert_allclose(restored(0.0, 1000.0), restored(0.0, 1.0), atol=0.01)
    # X + 1e8 itself is rounded to 1.5e-8
    assert_allclose(restored(1e8, 1.0), restored(0.0, 1.0), atol=0.01)


@pytest.mark.parametrize(
    "params",
    [
        {"output_activation": "logistic", "max_epochs": 40},
        {"loss": "binary_cross_entropy"},
        {"loss": "absolute_error", "clip": True},
        {"early_stopping": False},
        {"schedule": "constant", "optimizer": "sgd", "learning_rate": 0.01},
    ],
    ids=str,
)
@pytest.mark.parametrize("corruption", BUILT_IN.values(), ids=BUILT_IN)
def test_goes_with_every_other_parameter(unit_digits, params, corruption):
    X, X_test = unit_digits[0][:300], unit_digits[1][:100]
    kind, level, corruption_range = corruption
    autoencoder = quick(
        8,
        corruption=kind,
        corruption_level=level,
        corruption_range=corruption_range,
        **{"max_epochs": 15, **params},
    ).fit(X)
    X_noisy = corrupt(X_test, *corruption, random_state=1)
    error = mean_squared_error(X_test, autoencoder.reconstruct(X_noisy))
    assert error < mean_squared_error(X_test, np.tile(X.mean(axis=0), (100, 1)))


# ----------------------------------------------------------------------- states and chunks


def test_same_seed_same_result(X):
    one, other = quick().fit(X), quick().fit(X)
    assert_array_equal(one.transform(X), other.transform(X))
    assert one.loss_curve_ == other.loss_curve_
    assert quick(random_state=1).fit(X).loss_curve_ != one.loss_curve_
    assert clone(one).fit(X).loss_curve_ == one.loss_curve_


@pytest.mark.parametrize("corruption", BUILT_IN.values(), ids=BUILT_IN)
def test_global_generators_are_left_alone(X, corruption):
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    torch_state = torch.get_rng_state()
    kind, level, corruption_range = corruption
    quick(corruption=kind, corruption_level=level, corruption_range=corruption_range).fit(X)
    assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_pickled_equals_original(X):
    autoencoder = quick(corruption="masking").fit(X)
    again = pickle.loads(pickle.dumps(autoencoder))
    assert_array_equal(again.reconstruct(X), autoencoder.reconstruct(X))
    weights = sum(weight.nbytes for weight in autoencoder.net_.module_.parameters())
    assert len(pickle.dumps(autoencoder)) < 1.1 * weights + 20_000


def test_partial_fit_draws_anew_and_follows_the_parameters(X):
    recorder = Recorder()
    autoencoder = quick(corruption=recorder, batch_size=60).partial_fit(X)
    # the last draw, which is the same in all calls, finds the range of what the network sees
    draws = [recorder.results[-2] - recorder.batches[-2]]
    autoencoder.partial_fit(X)
    draws.append(recorder.results[-2] - recorder.batches[-2])
    first, second = (draw.flatten().sort().values for draw in draws)
    assert not torch.allclose(first, second)
    n_calls = len(recorder.batches)
    autoencoder.set_params(corruption=halved).partial_fit(X)
    assert len(recorder.batches) == n_calls


def test_warm_start_may_change_the_corruption(unit_digits):
    X, X_test = unit_digits
    X_masked = corrupt(X_test, "masking", 0.5, random_state=1)
    autoencoder = DenoisingAutoencoder(16, warm_start=True, max_epochs=20, random_state=0).fit(X)
    before = mean_squared_error(X_test, autoencoder.reconstruct(X_masked))
    autoencoder.set_params(corruption="masking").fit(X)
    assert mean_squared_error(X_test, autoencoder.reconstruct(X_masked)) < before


# -------------------------------------------------------------------------------- bad input


class CountingAdam(torch.optim.Adam):
    """Counts the steps of all trainings."""

    n_steps = 0

    def step(self, closure=None):
        CountingAdam.n_steps += 1
        return super().step(closure)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"corruption": "gausian"}, "corruption'? .*must be"),
        ({"corruption_level": -0.1}, "corruption_level'? .*must be"),
        ({"corruption_level": np.nan}, "corruption_level'? .*must be"),
        ({"corruption": "masking", "corruption_level": 1.5}, "share, 0 to 1"),
        ({"corruption": "salt_and_pepper", "corruption_level": 1.5}, "share, 0 to 1"),
        ({"corruption_range": (1, 0)}, r"low < high.*got \(1, 0\)"),
        ({"corruption_range": (0, 1, 2)}, "pair"),
        ({"corruption_range": 1}, "corruption_range'? .*must be"),
        ({"corruption": Grayscale((3, 2, 2))}, "3 x 2 x 2 = 12 features, but X has 10"),
        ({"corruption": Downscale((1, 4, 4), 2)}, "1 x 4 x 4 = 16 features, but X has 10"),
        ({"corruption_level": 1e20}, "too large for X"),
        ({"corruption": lambda batch, _: batch[:, 1:]}, "lambda.*shape"),
        ({"corruption": lambda batch, _: batch.double()}, "lambda.*dtype"),
        ({"corruption": lambda batch, _: batch.to("meta")}, "lambda.*device"),
        ({"corruption": lambda batch, _: batch / 0}, "lambda.*not finite"),
    ],
)
def test_bad_corruption_is_an_error_before_training(X, params, message, method):
    autoencoder = quick(optimizer=CountingAdam, **params)
    before = CountingAdam.n_steps
    with pytest.raises(ValueError, match=message):
        getattr(autoencoder, method)(X)
    assert CountingAdam.n_steps == before
    assert not hasattr(autoencoder, "net_")
    good = quick(optimizer=CountingAdam).fit(X)
    assert CountingAdam.n_steps > before
    codes = good.transform(X)
    with pytest.raises(ValueError, match=message):
        getattr(good.set_params(**params), method)(X)
    assert_array_equal(good.transform(X), codes)


def test_values_beyond_float32_are_not_blamed_on_the_callable(X):
    with pytest.raises(ValueError, match="too large for a callable corruption"):
        quick(corruption=halved).fit(X * 1e39)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_callable_that_fails_late_loses_nothing(X, method):
    calls = []

    def failing(batch, generator):
        calls.append(len(batch))
        return batch / 0 if len(calls) > 6 else batch

    autoencoder = quick(batch_size=8).fit(X)
    codes = autoencoder.transform(X)
    with pytest.raises(ValueError, match="failing returned values that are not finite"):
        getattr(autoencoder.set_params(corruption=failing), method)(X)
    assert_array_equal(autoencoder.transform(X), codes)


def test_its_network_is_that_of_the_autoencoder(X):
    denoising = quick().fit(X)
    plain = AutoencoderTransformer(3, hidden_layer_sizes=(16,), activation="relu").fit(X)
    for part in ("encoder_", "decoder_"):
        kinds = [
            [type(layer) for layer in getattr(fitted, part).modules()]
            for fitted in (denoising, plain)
        ]
        assert kinds[0] == kinds[1]
    assert isinstance(denoising.encoder_, nn.Module)
