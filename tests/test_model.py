"""Models: what they compute, and that they need nothing of training."""

import pickle
import re

import pytest
import skorch
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from test_imports import PACKAGE, own_imports
from zoo import ESTIMATORS, make_estimator, quick


def test_a_model_knows_nothing_of_skorch():
    seen, waiting = set(), {"_model"}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        path = PACKAGE / f"{name}.py"
        assert not re.search(r"^\s*(import|from) skorch\b", path.read_text(), re.MULTILINE)
        waiting |= {module for _, module in own_imports(path)} - seen
    assert "_training" not in seen


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_module_of_the_net_maps_standardised_rows(name, unit_X):
    fitted = make_estimator(name, 3, max_epochs=1).fit(unit_X).set_params(clip=False)
    u = torch.as_tensor((unit_X - fitted.mean_) / fitted.scale_, dtype=torch.float32)
    with torch.no_grad():
        output = fitted.net_.module_(u).double().numpy()
    has_logits = fitted.loss == "binary_cross_entropy"
    expected = expit(output) if has_logits else output * fitted.scale_ + fitted.mean_
    assert_allclose(fitted.reconstruct(unit_X), expected, rtol=1e-5, atol=1e-6)


def test_loading_makes_a_model_and_no_net(X, monkeypatch):
    def refuse(net):
        raise AssertionError("A net was made.")

    data = pickle.dumps(quick(max_epochs=1).fit(X))
    expected = pickle.loads(data).partial_fit(X).transform(X)
    with monkeypatch.context() as patch:
        patch.setattr(skorch.NeuralNet, "initialize", refuse)
        loaded = pickle.loads(data)
        loaded.transform(X)
        loaded.score(X)
        loaded = pickle.loads(pickle.dumps(loaded))  # and so on, without a net
        with pytest.raises(AssertionError, match="A net was made"):
            getattr(loaded, "net_")  # noqa: B009
    assert loaded.net_ is loaded.net_
    assert_array_equal(loaded.partial_fit(X).transform(X), expected)
