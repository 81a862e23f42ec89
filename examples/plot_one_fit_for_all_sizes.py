"""
===========================
One fit for all code sizes
===========================

PCA is fitted once and cut anywhere. With ``ordered=True`` an autoencoder is, too: the first k
numbers of its code are a code of size k. The example compares one such fit with separate fits for
each code size and with PCA, on scikit-learn's digits, and shows what the first numbers stand for.
"""

# %%
# The curve of one fit
# --------------------
# `code_size_curve` fits PCA and the ordered autoencoder once in each fold, with 32 numbers, and
# cuts them. The other autoencoder is fitted for each code size. Sixty epochs and a held-out fifth
# of the rows keep the example short.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import CodeSizeCurveDisplay, CodeTraversalDisplay, code_size_curve

X, y = load_digits(return_X_y=True)
params = {"max_epochs": 60, "validation_fraction": 0.2, "random_state": 0}
ordered = AutoencoderTransformer(ordered=True, **params)
reducers = {
    "PCA, one fit": PCA(random_state=0),
    "ordered, one fit": ordered,
    "separate fits": AutoencoderTransformer(**params),
}
sizes = [1, 2, 4, 8, 16, 32]
curve = code_size_curve(reducers, X, y, n_components=sizes, cv=2, n_jobs=2)

display = CodeSizeCurveDisplay(curve).plot()
display.figure_.suptitle("Digits: one fit, cut, and separate fits")
plt.show()

# %%
# For any size the cut code keeps more than PCA. From four numbers on it keeps nearly as much as a
# code that was trained for this size; shorter codes are further behind, and most so after only 60
# epochs. The seconds are those of a fold; a fit that serves all sizes counts once. On a table as
# small as this it takes about as long as six separate fits, and each of 32 sizes would need one.
seconds = curve.fit_time.mean(axis=2)
print(f"{'R², held out':18}" + "".join(f"{size:8}" for size in sizes) + "   seconds")
for name, scores, times in zip(
    curve.estimators, curve.reconstruction_score.mean(axis=2), seconds, strict=True
):
    total = times.sum() if name == "separate fits" else times[0]
    print(f"{name:18}" + "".join(f"{score:8.3f}" for score in scores) + f"{total:10.2f}")

# %%
# How many numbers are enough
# ---------------------------
# `explained_variance_ratio_` is what each number adds to the share of the variance that is kept.
# PCA counts it on its own rows, the autoencoder on rows that are new to it.
ordered = ordered.set_params(n_components=32).fit(X)
pca = PCA(32, random_state=0).fit(X)
kept = {"PCA": pca.explained_variance_ratio_, "ordered": ordered.explained_variance_ratio_}
for name, shares in kept.items():
    needed = [int((shares.cumsum() < share).sum()) + 1 for share in (0.5, 0.7, 0.9)]
    print("{}: {} numbers keep 50 %, {} keep 70 %, {} keep 90 %".format(name, *needed))

# %%
# Walks along the first numbers
# -----------------------------
# Each line varies one number of a code of two, or of eight, and the others keep their mean. PCA
# adds one and the same picture, in any strength. The autoencoder's numbers lead from one digit to
# another, the more directly the fewer there are.
figure, axes = plt.subplots(
    2, 2, figsize=(9.5, 6), layout="constrained", gridspec_kw={"height_ratios": (2, 6)}
)
for row, (size, components) in zip(axes, {2: [0, 1], 8: [0, 1, 2, 3, 5, 7]}.items(), strict=True):
    models = {"PCA": PCA(size).fit(X), "ordered": ordered.truncated(size)}
    for ax, (name, model) in zip(row, models.items(), strict=True):
        CodeTraversalDisplay.from_estimator(
            model, X, components=components, image_shape=(1, 8, 8), ax=ax
        )
        ax.set_title(f"{name}, code of {size} numbers")
plt.show()
