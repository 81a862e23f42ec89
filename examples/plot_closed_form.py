"""
=================================
PCA, the closed form and training
=================================

Three models with a code of one number: PCA, PCA with the decoder's correction in closed form, and
the trained network. Which of the last two is kept is decided by rows that are new to them.
"""

# %%
# A bent cloud of points
# ----------------------
# A code of one number can only describe a curve: `inverse_transform` of all codes draws it. PCA's
# is a straight line. The closed form leaves PCA's codes as they are and bends the curve, by a ridge
# regression of what PCA misses on random functions of the code. Training changes the codes, too.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from sklearn_ae import AutoencoderTransformer


def draw_points(n_samples, seed):
    """Return points around three quarters of a spiral."""
    rng = np.random.RandomState(seed)
    angle = 1.5 * np.pi * rng.uniform(size=n_samples)
    radius = 1 + angle / 5
    points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return points + 0.08 * rng.normal(size=points.shape)


X_train, X_test = draw_points(500, 0), draw_points(500, 1)
models = {
    "PCA": PCA(1),
    "closed form": AutoencoderTransformer(1, max_epochs=0, random_state=0),
    "trained": AutoencoderTransformer(1, random_state=0),
}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.6), layout="constrained", sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    codes = model.fit_transform(X_train)
    grid = np.linspace(codes.min(), codes.max(), 300)[:, None]
    curve = model.inverse_transform(grid)
    rest = X_test - model.inverse_transform(model.transform(X_test))
    r2 = 1 - np.square(rest).sum() / np.square(X_test - X_train.mean(axis=0)).sum()
    ax.scatter(*X_test.T, s=6, color="0.65", linewidths=0)
    ax.plot(*curve.T, color="tab:blue", linewidth=2.5)
    ax.set(title=f"{name}: R² {r2:.2f}", aspect="equal", xlabel="first feature")
    print(f"{name:12} R² of new points {r2:.3f}")
axes[0].set_ylabel("second feature")
plt.show()

# %%
# The closed form needs no gradient step, and its curve is no longer straight; but points that PCA
# gives the same code still share one reconstruction, which lies between them. Only training, which
# moves the codes, tells the two arms apart. Its curve is smooth and ends before the band does.
