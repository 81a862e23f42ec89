"""
======================================================
Grid search over code size, layers, units and loss
======================================================

Four hyperparameters of an autoencoder matter: the size of the code, the number of layers, the
number of units per layer, and the loss. One `GridSearchCV` over a pipeline with a classifier
searches them on scikit-learn's digits, with PCA among the candidates.
"""

# %%
# The pipeline and the grid
# -------------------------
# As in scikit-learn's `MLPClassifier`, one parameter holds the number of layers and their units:
# `hidden_layer_sizes`. The reducer itself is a parameter of the pipeline. PCA is therefore compared
# with the same classifier, the same folds and the same code sizes.
#
# A tenth of the rows is held out to stop training. By default an autoencoder of so few rows trains
# three more networks to judge the first. A search is quicker without them, and the candidate that
# it finds can be fitted again with the default.
import itertools

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

code_sizes, layers, units = [2, 4, 8], [1, 2], [64, 256]
losses = ["squared_error", "absolute_error"]
networks = [(width,) * depth for depth, width in itertools.product(layers, units)]
pipeline = Pipeline(
    [
        ("reduce", PCA()),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression(max_iter=1000)),
    ]
)
autoencoder = AutoencoderTransformer(max_epochs=20, validation_fraction=0.1, random_state=0)
grid = [
    {"reduce": [PCA(random_state=0)], "reduce__n_components": code_sizes},
    {
        "reduce": [autoencoder],
        "reduce__n_components": code_sizes,
        "reduce__hidden_layer_sizes": networks,
        "reduce__loss": losses,
    },
]
search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X_train, y_train)
print("best:", {name: str(value) for name, value in search.best_params_.items()})
print(f"its accuracy: {search.best_score_:.3f} in cross-validation, ", end="")
print(f"{search.score(X_test, y_test):.3f} on test images")

# %%
# The effect of each hyperparameter
# ---------------------------------
# The code size has the largest effect. The smaller the code, the more the autoencoder gains over
# PCA, and the more a second layer helps. With 8 code units one layer is enough, and the worst
# candidates are no better than PCA.
names = ["hidden_layer_sizes", "loss", "n_components"]
accuracy = {
    tuple(params.get(f"reduce__{name}") for name in names): mean
    for params, mean in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    )
}
pca = np.array([accuracy[None, None, size] for size in code_sizes])
ours = np.array(
    [[[accuracy[n, loss, size] for size in code_sizes] for loss in losses] for n in networks]
)
print(f"\n{'code size':>9} {'PCA':>8}   {'autoencoders, worst and best':>28}")
for size, of_pca, worst, best in zip(
    code_sizes, pca, ours.min(axis=(0, 1)), ours.max(axis=(0, 1)), strict=True
):
    print(f"{size:9} {of_pca:8.3f} {worst:22.3f} {best:7.3f}")

print(f"\n{'layers':>9} {'units':>8}   {'mean accuracy, by loss':>28}")
for network, means in zip(networks, ours.mean(axis=2), strict=True):
    text = ", ".join(f"{loss} {mean:.3f}" for loss, mean in zip(losses, means, strict=True))
    print(f"{len(network):9} {network[0]:8}   {text}")

# %%
# Plots
# -----
# Left: every candidate. Right: the effect of network and loss, averaged over the code sizes.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
places = np.arange(len(code_sizes))
markers = {"squared_error": "o", "absolute_error": "^"}
colors = ["#9ecae1", "#4a90c2", "#1f4e9c", "#0b2447"]
for (network, color), (j, loss) in itertools.product(
    zip(networks, colors, strict=True), enumerate(losses)
):
    i = networks.index(network)
    shift = 0.06 * (2 * i + j - 3.5)
    left.plot(places + shift, ours[i, j], markers[loss], color=color, ms=6)
left.plot(places, pca, "s--", color="#7f7f7f", label="PCA")
left.plot([], [], "o", color=colors[2], label="autoencoder, squared error")
left.plot([], [], "^", color=colors[2], label="autoencoder, absolute error")
left.set_xticks(places, code_sizes)
left.set_xlabel("code size")
left.set_ylabel("accuracy in cross-validation")
left.legend(loc="lower right")
left.grid(alpha=0.3)

heights = np.arange(len(networks))
for j, loss in enumerate(losses):
    for i, color in enumerate(colors):
        right.plot(ours[i, j].mean(), heights[i], markers[loss], color=color, ms=9)
right.set_yticks(heights, [f"{len(n)} of {n[0]} units" for n in networks])
right.set_ylim(-0.6, len(networks) - 0.4)
right.set_ylabel("hidden layers")
right.set_xlabel("accuracy, mean over the code sizes")
right.grid(alpha=0.3)
figure.suptitle("Digits: one search over code size, layers, units and loss")
plt.show()
