"""
===============================================
Tutorial: from a CSV file to a tuned pipeline
===============================================

In ten minutes: read a table with missing values and categories, prepare it, compare an autoencoder
with PCA, search for the best pipeline, look at the codes, and save the model for new rows. You need
`pip install pandas palmerpenguins` beside the package with its plot extra, and no knowledge of
neural networks.
"""

# %%
# The file
# --------
# The table has 344 penguins of three species, measured at Palmer Station, Antarctica [1]_. The
# package palmerpenguins has it. We write it to a CSV file first; with your own file, begin at
# `pandas.read_csv`.
import tempfile
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from palmerpenguins import load_penguins_raw
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import CodeScatterDisplay, CodeSizeCurveDisplay, code_size_curve

folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "penguins.csv"
load_penguins_raw().to_csv(file, index=False)

table = pd.read_csv(file)
print(table.shape)

# %%
# Look at it
# ----------
# A column says what kind of value it holds, how many different values, and how many are missing.
summary = {"dtype": table.dtypes, "different": table.nunique(), "missing": table.isna().sum()}
print(pd.DataFrame(summary).to_string())

# %%
# We choose the columns by hand. Names, numbers and dates of the study tell rows apart and say
# nothing about penguins; Region and Stage have one value only; Comments are free text. Six
# measurements and three categories remain. The species is what we predict.
measurements = [
    "Culmen Length (mm)",
    "Culmen Depth (mm)",
    "Flipper Length (mm)",
    "Body Mass (g)",
    "Delta 15 N (o/oo)",
    "Delta 13 C (o/oo)",
]
categories = ["Island", "Sex", "Clutch Completion"]
X = table[measurements + categories]
y = table["Species"].str.split().str[0]  # "Adelie Penguin (Pygoscelis adeliae)"
print(X.head(4).T.to_string(header=False))
print(y.value_counts().to_string())

# %%
# Split
# -----
# A quarter of the rows is put aside now, and used once, at the end. Each penguin has one row here.
# If several rows came from one penguin, they would have to stay on one side of the split
# (:doc:`/user_guide/evidence`).
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# Prepare
# -------
# Like PCA, an autoencoder needs numbers, and columns of about equal variance: grams would hide
# millimetres.
#
# - Measurements are standardised. Missing ones stay NaN: our estimators take them.
# - Categories become columns of zeros and ones. To `OneHotEncoder` a missing value is one more
#   category, which is right here: nobody knows the sex of these birds.
prepare = make_column_transformer(
    (StandardScaler(), measurements),
    (
        OneHotEncoder(drop="if_binary", sparse_output=False, handle_unknown="ignore"),
        categories,
    ),
    verbose_feature_names_out=False,
)
prepared = prepare.set_output(transform="pandas").fit_transform(X_train)
print(prepared.head(4).T.round(2).to_string(header=False))

# %%
# The first code
# --------------
# An autoencoder replaces the columns of a row by a code of few numbers, from which it can restore
# the row. `score` is the share of the variance that is restored, R², as the explained variance is
# for PCA. `get_feature_names_out` and data frames work as usual.
autoencoder = AutoencoderTransformer(2, random_state=0).set_output(transform="pandas")
codes = autoencoder.fit_transform(prepared)
print(codes.head(4).round(2).to_string())
print(f"R² of new rows: {autoencoder.score(prepare.transform(X_test)):.2f}")

# %%
# Which code size?
# ----------------
# `code_size_curve` cross-validates reducers over code sizes: how much of the variance of rows that
# they have not seen is restored, and how accurate a logistic regression is on the codes. PCA takes
# no missing values, so both get rows that are filled with means here.
sizes = [1, 2, 3, 4]
filled = SimpleImputer().fit_transform(prepared)
reducers = {"PCA": PCA(), "autoencoder": AutoencoderTransformer(random_state=0)}
curve = code_size_curve(reducers, filled, y_train, n_components=sizes, cv=3)
for name, r2, accuracy in zip(
    curve.estimators, curve.reconstruction_score, curve.classifier_score, strict=True
):
    print(f"{name:12} R² {r2.mean(axis=1).round(2)}   accuracy {accuracy.mean(axis=1).round(3)}")
CodeSizeCurveDisplay(curve).plot()
plt.show()

# %%
# The table has three groups of rows that no straight line connects. One number on a curve keeps
# more of it than one number on a line, and tells the species apart far better. The more numbers,
# the smaller the difference: with four, PCA is as accurate. The bands are one standard deviation
# over the folds.

# %%
# A pipeline and a search
# -----------------------
# For prediction, all steps belong into one pipeline. Means, categories and codes are then learnt
# from the training part of each fold only. The search has two kinds of candidates: PCA, which needs
# an imputer, and the autoencoder, which needs none. Any other parameter can be searched likewise,
# such as ``reduce__hidden_layer_sizes`` (:ref:`sphx_glr_auto_examples_plot_grid_search.py`).
pipeline = Pipeline(
    [
        ("prepare", prepare),
        ("fill", SimpleImputer()),
        ("reduce", PCA()),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression(max_iter=1000)),
    ]
)
grid = [
    {"reduce": [PCA()], "reduce__n_components": [1, 2, 3]},
    {
        "fill": ["passthrough"],
        "reduce": [AutoencoderTransformer(random_state=0)],
        "reduce__n_components": [1, 2, 3],
    },
]
search = GridSearchCV(pipeline, grid, cv=3).fit(X_train, y_train)
results = pd.DataFrame(search.cv_results_)
results["reducer"] = [type(reducer).__name__ for reducer in results["param_reduce"]]
print(
    results.pivot(
        index="param_reduce__n_components", columns="reducer", values="mean_test_score"
    ).round(3)
)
best = search.best_params_
print(f"best: {type(best['reduce']).__name__}, {best['reduce__n_components']} numbers")

# %%
# The test
# --------
# Now the rows that were put aside. For comparison: each reducer with one number, and all columns
# without a reducer.
compared = {
    "the best of the search": search.best_estimator_,
    "autoencoder, 1 number": {
        "fill": "passthrough",
        "reduce": AutoencoderTransformer(1, random_state=0),
    },
    "PCA, 1 number": {"reduce": PCA(1)},
    "all columns": {"reduce": "passthrough"},
}
for name, model in compared.items():
    if isinstance(model, dict):
        compared[name] = model = clone(pipeline).set_params(**model).fit(X_train, y_train)
    print(f"{name:24}{model.score(X_test, y_test):.3f}")

# %%
# The search chose PCA, and no reducer is needed at all: the columns predict as well as its three
# numbers. Where a classifier may use all numbers, a code helps little, as here. The autoencoder is
# worth its seconds where the code has to be small: to look at rows, to store them, or to compare
# them.

# %%
# Look at the codes
# -----------------
# Codes of two numbers are points in the plane; the picture shows the test rows. Neither reducer
# has seen a species, and both show the three. The maps look alike, but more of a row can be
# restored from its place in the right one: R² was 0.80, and 0.71 for PCA.
test_rows = prepare.transform(X_test)  # a data frame, with NaN
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
pca = Pipeline([("fill", SimpleImputer()), ("reduce", PCA(2))]).fit(prepared)
for ax, (name, reducer) in zip(axes, {"PCA": pca, "autoencoder": autoencoder}.items(), strict=True):
    CodeScatterDisplay.from_estimator(reducer, test_rows, y_test, ax=ax, legend=name != "PCA")
    ax.set_title(name)
plt.show()

# %%
# What a number of the code stands for is seen from the rows that it decodes to. We decode nine
# codes from one end of the single number to the other, back to millimetres and grams.
one = compared["autoencoder, 1 number"]
code = one[:3].transform(X_train)
walk = np.quantile(code, np.linspace(0.02, 0.98, 9))[:, np.newaxis]
decoded = one["reduce"].inverse_transform(walk)[:, : len(measurements)]
scaler = one["prepare"].named_transformers_["standardscaler"]
penguins = pd.DataFrame(scaler.inverse_transform(decoded), columns=measurements)
penguins["Species"] = one[3:].predict(walk)
print(penguins.round(1).to_string())

# %%
# From end to end the single number leads through the species: from Chinstraps with their long
# culmens over the smaller Adelies to the heavy Gentoos. Culmens become shorter and longer again on
# the way, which no number of PCA can express: it changes all columns in proportion.

# %%
# Save, load, use
# ---------------
# joblib saves the whole pipeline in one file. :doc:`/user_guide/saving` shows how to load a file
# without trusting it, and how to export the network to ONNX.
joblib.dump(one, Path(folder.name) / "penguins.joblib")
loaded = joblib.load(Path(folder.name) / "penguins.joblib")

# %%
# New rows may lack values, as those in training did; here the first has no sex and no isotopes.
new = pd.DataFrame(
    [
        [39.0, 18.5, 185.0, 3600.0, None, None, "Torgersen", None, "Yes"],
        [47.5, 15.0, 218.0, 5200.0, 8.2, -26.1, "Biscoe", "MALE", "Yes"],
    ],
    columns=X.columns,
)
print(pd.DataFrame(loaded.predict_proba(new), columns=loaded.classes_).round(2).to_string())
folder.cleanup()

# %%
# What was found, and what not
# ----------------------------
# - One number of the autoencoder keeps much more of the table than one of PCA, and nearly tells the
#   species. From three numbers on, PCA is as good for prediction.
# - No code predicts better than the columns themselves. On other tables this may differ; the search
#   says so, since PCA and the columns can be candidates in it.
# - The test has 86 rows: one row more or less is 0.012 of accuracy. Differences as small as that
#   between two candidates are chance.
# - The training rows are few. With fewer than about a hundred, an autoencoder is mostly PCA
#   (:doc:`/user_guide/when_pca`).
#
# Next: :doc:`/user_guide/choosing` is about code size, network and loss, and
# :doc:`/user_guide/missing` about what happens to missing values.
#
# .. [1] Gorman, Williams and Fraser, "Ecological sexual dimorphism and environmental variability
#    within a community of Antarctic penguins (genus Pygoscelis)", PLoS ONE 9 (3), 2014.
