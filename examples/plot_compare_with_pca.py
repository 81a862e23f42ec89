"""
=============================================
Beyond PCA: the same code size, less is lost
=============================================

scikit-learn's digits, 8 x 8 pixels, through codes of 2 to 32 numbers. For each size: how
much of the held-out images' variance the code keeps, and how well a classifier in a
pipeline reads it. PCA is where the autoencoder starts; both see the same rows.
"""

# %%
# Both reducers in the same pipeline
# ----------------------------------
# `score` is R² on both sides: for PCA the share of the variance that its components explain.
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
code_sizes = [2, 4, 8, 16, 32]
reducers = {"PCA": PCA, "autoencoder": AutoencoderTransformer}


def reduce_then_classify(reducer):
    steps = [
        ("reduce", reducer),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression(max_iter=1000)),
    ]
    return Pipeline(steps)


r2 = {name: [] for name in reducers}
accuracy = {name: [] for name in reducers}
print(f"{'code size':>9}   {'R², held out':^21}   {'accuracy':^21}")
print(f"{'':9}   {'PCA':>9} {'autoencoder':>11}   {'PCA':>9} {'autoencoder':>11}")
for size in code_sizes:
    for name, reducer in reducers.items():
        pipeline = reduce_then_classify(reducer(size, random_state=0)).fit(X_train, y_train)
        fitted = pipeline["reduce"]
        X_reconstructed = fitted.inverse_transform(fitted.transform(X_test))
        r2[name].append(r2_score(X_test, X_reconstructed, multioutput="variance_weighted"))
        accuracy[name].append(pipeline.score(X_test, y_test))
    row = [values[name][-1] for values in (r2, accuracy) for name in reducers]
    print("{:9}   {:9.3f} {:11.3f}   {:9.3f} {:11.3f}".format(size, *row), flush=True)

# %%
# As curves
# ---------
# The gain is largest where the code is small. It shrinks where PCA already keeps nearly
# all, and the classifier, itself linear, then has nothing more to gain.
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
styles = {"PCA": ("#7f7f7f", "s", "--"), "autoencoder": ("#1f4e9c", "o", "-")}
for ax, values, label in zip(
    axes, (r2, accuracy), ("R² of the reconstruction, held out", "test accuracy"), strict=True
):
    for name, (color, marker, line) in styles.items():
        ax.plot(code_sizes, values[name], color=color, marker=marker, ls=line, label=name)
    ax.set_xscale("log", base=2)
    ax.set_xticks(code_sizes, code_sizes)
    ax.set_xlabel("code size")
    ax.set_ylabel(label)
    ax.grid(alpha=0.3)
axes[0].legend(loc="lower right")
figure.suptitle("Digits: 64 pixels through a small code")
path = Path("compare_with_pca.png").resolve()
figure.savefig(path, dpi=150)
print(f"\nThe curves are drawn in {path}\n")

# %%
# One search over both
# --------------------
# The reducer is a step like any other: a grid search swaps it and its code size together.
search = GridSearchCV(
    reduce_then_classify(PCA()),
    {
        "reduce": [PCA(random_state=0), AutoencoderTransformer(random_state=0)],
        "reduce__n_components": [2, 4, 8],
    },
    cv=2,
    n_jobs=2,
).fit(X_train, y_train)
for mean, params in zip(
    search.cv_results_["mean_test_score"], search.cv_results_["params"], strict=True
):
    name = type(params["reduce"]).__name__
    print(f"{name:23} n_components={params['reduce__n_components']:<3} accuracy {mean:.3f}")
winner = search.best_params_
print(
    f"Winner: {type(winner['reduce']).__name__} with {winner['reduce__n_components']} components, "
    f"test accuracy {search.score(X_test, y_test):.3f}"
)
