"""Models: what they compute, and that they need nothing of training."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from test_imports import PACKAGE, own_imports
from zoo import ESTIMATORS, make_estimator, scale_to_unit_interval

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._model import ROW_MULTIPLE, run_padded
from sklearn_ae._rows import make_rows


def test_a_model_knows_nothing_of_skorch():
    seen, waiting = set(), {"_model"}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        path = PACKAGE / f"{name}.py"
        assert "skorch" not in path.read_text().replace("knows nothing of skorch", "").replace(
            "Knows nothing of skorch", ""
        )
        waiting |= {module for _, module in own_imports(path)} - seen
    assert "_training" not in seen


@pytest.mark.parametrize("name", ESTIMATORS)
def test_methods_are_those_of_the_model(name, X):
    X = scale_to_unit_interval(X)
    fitted = make_estimator(name, 3, max_epochs=1).fit(X)
    model, rows = fitted._model_, torch.as_tensor(X)
    codes = model.encode(rows)
    assert_array_equal(fitted.transform(X), codes)
    assert_array_equal(fitted.inverse_transform(codes.numpy()), model.decode(codes, fitted.clip))
    restored = model.reconstruct(rows, fitted.clip)
    assert_array_equal(fitted.reconstruct(X), restored)
    if not hasattr(fitted, "beta"):  # whose scores are likelihoods
        assert_allclose(model.compute_scores(rows, fitted.clip), fitted.score_samples(X))


def test_loading_makes_a_model_and_no_net(X, monkeypatch):
    data = pickle.dumps(AutoencoderTransformer(3, max_epochs=1, random_state=0).fit(X))
    expected = pickle.loads(data).partial_fit(X).transform(X)

    def refuse(*args):
        raise AssertionError("A net was made.")

    with monkeypatch.context() as patch:
        patch.setattr("sklearn_ae._base.make_net", refuse)
        loaded = pickle.loads(data)
        loaded.transform(X)
        loaded.score(X)
        loaded = pickle.loads(pickle.dumps(loaded))  # and so on, without a net
    assert loaded.net_ is loaded.net_
    assert_array_equal(loaded.partial_fit(X).transform(X), expected)


def test_rows_are_computed_in_multiples():
    seen = []
    layer = torch.nn.Linear(3, 2)
    layer.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    rows = torch.randn(2 * ROW_MULTIPLE + 5, 3, generator=torch.Generator().manual_seed(0))
    for n_rows in (1, ROW_MULTIPLE, len(rows)):
        assert len(run_padded(layer, rows[:n_rows])) == n_rows
    assert seen == [ROW_MULTIPLE, ROW_MULTIPLE, 3 * ROW_MULTIPLE]


def test_parts_cover_the_rows(X):
    model = AutoencoderTransformer(3, max_epochs=0).fit(X)._model_
    model.row_width = 2**15  # 64 rows a part
    rows = make_rows(np.tile(X, (4, 1)))
    assert_array_equal(torch.cat([part for _, part in model.read_parts(rows)]), np.tile(X, (4, 1)))
    doubled = torch.empty(rows.shape, dtype=torch.float64)
    model.map_rows(lambda block: 2 * block, rows, doubled)
    assert_array_equal(doubled, 2 * np.tile(X, (4, 1)))
