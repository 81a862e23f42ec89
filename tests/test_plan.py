"""Plans: every choice of a fit, made once."""

import dataclasses
import math

import pytest
from zoo import ESTIMATORS

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae._plan import NETWORK_CHOICES, Plan, make_plan


def plan_of(estimator, n_samples=1000, n_features=12):
    params = {**estimator._fixed_params, **estimator.get_params(deep=False)}
    return make_plan(type(estimator).__name__, params, estimator._defaults, n_samples, n_features)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_nothing_is_left_open(name):
    plan = plan_of(ESTIMATORS[name])
    values = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    assert "auto" not in values.values()
    assert values["n_components"] is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.batch_size = 1
    assert Plan(**values) == plan  # as it is saved and loaded


def test_a_warm_start_compares_two_plans():
    plan = plan_of(AutoencoderTransformer(4))
    plan_of(AutoencoderTransformer(4, max_epochs=3, loss="huber"), 50).check_continues(plan)
    others = {
        "n_components": AutoencoderTransformer(5),
        "hidden_layer_sizes": AutoencoderTransformer(4, hidden_layer_sizes=(7,)),
        "init": AutoencoderTransformer(4, init="random"),
        "loss": AutoencoderTransformer(4, loss="binary_cross_entropy"),
        "image_shape": AutoencoderTransformer(4, image_shape=(1, 3, 4)),
    }
    for name, other in others.items():
        with pytest.raises(ValueError, match=f"with another {name}"):
            plan_of(other).check_continues(plan)
    assert set(NETWORK_CHOICES) <= {field.name for field in dataclasses.fields(Plan)}


@pytest.mark.parametrize(
    ("estimator", "n_components", "widths"),
    [
        (AutoencoderTransformer(), 7, [512, 256]),
        (AutoencoderTransformer(), 8, [512]),
        (DenoisingAutoencoder(), 2, [1024]),
        (AutoencoderTransformer(hidden_layer_sizes=5), 100, [5]),
        (AutoencoderTransformer(hidden_layer_sizes=()), 1, []),
    ],
)
def test_widths_follow_the_code_size_that_the_start_finds(estimator, n_components, widths):
    plan = plan_of(estimator.set_params(n_components=0.9), 5000)
    assert plan.make_architecture(n_components, None, False).hidden_layer_sizes == widths
    assert plan.hidden_layer_sizes[-1][0] == math.inf


def test_the_choices_of_a_fit_are_made_once(monkeypatch, X):
    made = []

    def make_and_count(*args):
        made.append(make_plan(*args))
        return made[-1]

    monkeypatch.setattr("sklearn_ae._base.make_plan", make_and_count)
    fitted = AutoencoderTransformer(3, max_epochs=1).fit(X)
    assert len(made) == 1
    assert fitted._plan_ is made[0]
    fitted.transform(X)
    fitted.score(X)
    assert len(made) == 1
