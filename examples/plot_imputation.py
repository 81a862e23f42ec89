"""
======================
Filling missing values
======================

`AutoencoderImputer` fills each missing entry with its mean given the other entries of the row, each
column in terms of its normal scores, and lets a network correct that where it helps. This example
compares it with scikit-learn's imputers over the share of missing entries, on the breast cancer
table and on digits, and pools a regression over several imputations.
"""

# %%
# Errors over the share of missing entries
# ----------------------------------------
# Entries are removed at random, and the imputers fill them in rows that they have not seen. The
# error is that of the missing entries, in standard deviations of the table.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderImputer

table = StandardScaler().fit_transform(load_breast_cancer().data)
digits = load_digits().data[:, load_digits().data.std(axis=0) > 1]
digits = (digits - digits.mean(axis=0)) / digits.std()


def punch_holes(rows, share, seed):
    """Return rows with NaN in a share of their entries, and where these are."""
    holes = np.random.default_rng(seed).random(rows.shape) < share
    return np.where(holes, np.nan, rows), holes


imputers = {
    "SimpleImputer": SimpleImputer(),
    "KNNImputer": KNNImputer(),
    "IterativeImputer": IterativeImputer(max_iter=20, tol=0.1, random_state=0),
    "AutoencoderImputer": AutoencoderImputer(random_state=0),
}
shares = [0.1, 0.3, 0.5]
errors = {}
for title, X in (("breast cancer", table), ("digits", digits)):
    whole, whole_test = train_test_split(X, random_state=0)
    for name, imputer in imputers.items():
        if (title, name) == ("digits", "IterativeImputer"):
            continue  # takes a minute for each share
        for share in shares:
            train, _ = punch_holes(whole, share, 0)
            test, holes = punch_holes(whole_test, share, 1)
            filled = imputer.fit(train).transform(test)
            error = np.sqrt(np.square(filled - whole_test)[holes].mean())
            errors.setdefault((title, name), []).append(error)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", sharey=True)
styles = dict(zip(imputers, ("k:o", "C2-.^", "C0--D", "C1-s"), strict=True))
for (title, name), values in errors.items():
    ax = axes[int(title == "digits")]
    ax.plot(shares, values, styles[name], label=name)
    ax.set(title=title, xlabel="share of missing entries", xticks=shares, ylim=(0, 1.15))
axes[0].set_ylabel("error of the missing entries")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
plt.show()

# %%
# A regression for each pattern of holes, from one covariance, is hard to beat on the table. With
# many holes the regressions of `IterativeImputer`, which begin at means, fall behind.
for (title, name), values in errors.items():
    print(f"{title:14}{name:20}" + "".join(f"{value:8.3f}" for value in values))

# %%
# What is filled
# --------------
# Rows of the digits with half of their pixels missing, as they are filled, and as they were.
X = load_digits().data
whole, whole_test = train_test_split(X, random_state=0)
train, _ = punch_holes(whole, 0.5, 0)
test, _ = punch_holes(whole_test[:10], 0.5, 1)
imputer = AutoencoderImputer(max_epochs=20, random_state=0).fit(train)
filled = imputer.transform(test)

figure, axes = plt.subplots(3, 10, figsize=(8, 2.6), layout="constrained")
for row, pictures in zip(axes, (test, filled, whole_test[:10]), strict=True):
    for ax, picture in zip(row, pictures, strict=True):
        ax.set_facecolor("tab:blue")  # shows where pixels are missing
        ax.imshow(picture.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
for ax, title in zip(axes[:, 0], ("missing", "filled", "whole"), strict=True):
    ax.set_ylabel(title)
plt.show()

# %%
# Standard errors that know of the holes
# --------------------------------------
# What is filled in looks as sure as what was measured. `sample_posterior=True` draws the missing
# entries in place of their means, anew in each call. A regression is fitted to five such tables,
# and pooled by Rubin's rules: its variance is the mean of the five variances, plus 6/5 of the
# variance between the five coefficients. Here blood pressure predicts the progress of diabetes, and
# the true coefficient is that of the whole table.
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

X, y = load_diabetes(return_X_y=True)
X = StandardScaler().fit_transform(X)
damaged, _ = punch_holes(X, 0.3, 0)


def fit_regression(X):
    """Return the coefficient of blood pressure, and its variance."""
    regression = LinearRegression().fit(X, y)
    left = np.square(y - regression.predict(X)).sum() / (len(X) - 11)
    return regression.coef_[3], left * np.linalg.inv(X.T @ X)[3, 3]


imputer = AutoencoderImputer(sample_posterior=True, max_epochs=0, random_state=0).fit(
    np.column_stack([damaged, y])
)
tables = [imputer.transform(np.column_stack([damaged, y]))[:, :-1] for _ in range(5)]
found, variances = np.transpose([fit_regression(table) for table in tables])
pooled = variances.mean() + 6 / 5 * found.var(ddof=1)
whole, of_whole = fit_regression(X)
print(f"whole table: {whole:.1f}, standard error {of_whole**0.5:.1f}")
print(f"five imputations: {found.mean():.1f}, standard error {pooled**0.5:.1f}")
