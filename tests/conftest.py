import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from zoo import scale_to_unit_interval


@pytest.fixture(scope="session")
def digits():
    """The digits' images, split into training and test rows."""
    X_train, X_test = train_test_split(load_digits().data, random_state=0)
    return X_train, X_test


@pytest.fixture
def X():
    """Correlated columns of different variance around different means."""
    rng = np.random.RandomState(0)
    return rng.normal(size=(60, 4)) @ rng.normal(size=(4, 10)) + rng.uniform(-3, 3, size=10)


@pytest.fixture
def unit_X(X):
    """The same in [0, 1]."""
    return scale_to_unit_interval(X)


@pytest.fixture(scope="session")
def unit_digits(digits):
    """The digits' images in [0, 1]."""
    return tuple(images / 16 for images in digits)
