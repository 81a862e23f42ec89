"""
============================
Likelihood of four densities
============================

`VariationalAutoencoder`, PCA, mixtures of Gaussians and kernels are all densities, and their
likelihoods compare: `score` is the mean log-density of rows, in nats. This example fits them to the
digits and scores rows that none has seen, over code sizes.
"""

# %%
# Over code sizes
# ---------------
# `code_size_curve` takes the likelihood as `scoring`. PCA is fitted once in each fold and cut.
# Forty epochs and one held-out tenth keep the example short.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KernelDensity

from sklearn_ae import VariationalAutoencoder
from sklearn_ae.inspection import code_size_curve
from sklearn_ae.metrics import find_active_units, log_likelihood

X = load_digits().data
X = X[:, X.std(axis=0) > 0.5]  # pixels that are nearly always white say nothing
cv = KFold(3, shuffle=True, random_state=0)
sizes = [2, 4, 8, 16, 32]
autoencoder = VariationalAutoencoder(max_epochs=40, validation_fraction=0.1, random_state=0)
reducers = {"PCA": PCA(), "variational autoencoder": autoencoder}
curve = code_size_curve(reducers, X, n_components=sizes, cv=cv, scoring=log_likelihood, n_jobs=2)

# %%
# Mixtures and kernels have no code. Their own parameters are searched in each fold.
others = {
    "mixture of Gaussians": GridSearchCV(
        GaussianMixture(random_state=0),
        {"n_components": [1, 5, 10], "reg_covar": [0.1, 1]},
        cv=3,
        n_jobs=2,
    ),
    "kernels": GridSearchCV(KernelDensity(), {"bandwidth": [1, 2, 4, 8]}, cv=3, n_jobs=2),
}
levels = {
    name: np.mean([log_likelihood(search.fit(X[a]), X[b]) for a, b in cv.split(X)])
    for name, search in others.items()
}

# %%
# The picture shows means over the folds.
figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for name, scores, style in zip(
    curve.estimators, curve.reconstruction_score, ("o--", "s-"), strict=True
):
    ax.plot(sizes, scores.mean(axis=1), style, label=name)
for (name, level), style in zip(levels.items(), (":", "-."), strict=True):
    ax.axhline(level, color="0.35", linestyle=style, label=name)
ax.set_xscale("log", base=2)
ax.set_xticks(sizes, sizes)
ax.set(xlabel="code size", ylabel="log-likelihood of new rows (nats)")
ax.legend()
plt.show()

# %%
# At every code size the bound of the autoencoder is above the likelihood of PCA, and least so for
# the largest code. The mixture is best: each of its centres has a covariance of its own, while the
# noise of the autoencoder is the same in all pixels. Kernels, which need no fit, are as good as the
# autoencoder with 16 or 32 numbers.
scores = curve.reconstruction_score.mean(axis=2)
print(f"{'code size':26}" + "".join(f"{size:9}" for size in sizes))
for name, row in zip(curve.estimators, scores, strict=True):
    print(f"{name:26}" + "".join(f"{score:9.1f}" for score in row))
for name, level in levels.items():
    print(f"{name:26}{level:9.1f}")

# %%
# The score of the autoencoder is a lower bound. More draws of the code per row tighten it:
train, test = next(iter(cv.split(X)))
model = clone(autoencoder).set_params(n_components=8).fit(X[train])
for n in (1, 10, 100):
    print(f"{n:4} draws: {model.score_samples(X[test], n_importance_samples=n).mean():.1f}")

# %%
# What beta does
# --------------
# A larger `beta` weighs the divergence of the codes from their prior more. Codes become fewer: a
# number whose information does not pay for its divergence collapses: all rows have the same mean
# there. `find_active_units` counts the others. The price is the likelihood: where all have
# collapsed, the density is one Gaussian with equal noise in all pixels.
for beta in (0.5, 1, 4, 16):
    model = clone(autoencoder).set_params(n_components=16, beta=beta).fit(X[train])
    active = find_active_units(model, X[test]).sum()
    print(f"beta {beta:4}: {active:2} of 16 units active, score {model.score(X[test]):.1f}")
