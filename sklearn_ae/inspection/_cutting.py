"""One fit for all code sizes: PCA and ordered codes, cut after their first numbers."""

import copy

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline

# Attributes of PCA with one entry for each component.
PER_COMPONENT = (
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
)


def can_be_cut(reducer, parameter):
    """Tell whether a smaller code is part of a larger one that the reducer learns.

    Parameters
    ----------
    reducer : estimator
    parameter : str
        Name of the parameter that sets the code size.
    """
    if isinstance(reducer, Pipeline):
        name, *_ = reducer.steps[-1]
        step, _, rest = parameter.partition("__")
        return step == name and can_be_cut(reducer[-1], rest)
    # the components of a class that inherits from PCA may depend on their number
    is_pca = type(reducer) is PCA
    is_ordered = hasattr(reducer, "truncated") and getattr(reducer, "ordered", False)
    return parameter == "n_components" and bool(is_pca or is_ordered)


def cut_reducer(fitted, n_components):
    """Return a fitted reducer whose codes are the first numbers of those of another one."""
    if isinstance(fitted, Pipeline):
        name, last = fitted.steps[-1]
        cut = copy.copy(fitted)
        cut.steps = [*fitted.steps[:-1], (name, cut_reducer(last, n_components))]
        return cut
    return (
        cut_pca(fitted, n_components) if isinstance(fitted, PCA) else fitted.truncated(n_components)
    )


def cut_pca(pca, n_components):
    """Return a fitted PCA with the first components of another one."""
    cut = copy.copy(pca)
    cut.n_components = cut.n_components_ = n_components
    for name in PER_COMPONENT:
        setattr(cut, name, getattr(pca, name)[:n_components])
    # the mean variance of the directions that are left out
    rank = min(pca.n_samples_, pca.n_features_in_)
    left = pca.noise_variance_ * (rank - pca.n_components_)
    left += np.sum(pca.explained_variance_[n_components:])
    cut.noise_variance_ = left / (rank - n_components) if n_components < rank else 0.0
    return cut
