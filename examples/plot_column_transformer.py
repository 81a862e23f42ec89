"""
==================================
Encoding some columns of a table
==================================

The table has a category, single measurements and a group of related measurements. Only the related
ones go through the autoencoder. A `ColumnTransformer` joins all columns to one data frame, for
which you need `pip install pandas`.
"""

# %%
# The table
# ---------
# The 442 patients of scikit-learn's diabetes data: age, sex, body mass index, blood pressure and
# six blood values, which are correlated.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_ae import AutoencoderTransformer

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X["sex"] = X["sex"].map({1: "a", 2: "b"})
blood = [f"s{i}" for i in range(1, 7)]
print(X.head(3).to_string())

# %%
# Encoding the blood values
# -------------------------
# Each group of columns has its own transformer; the six blood values become three code units. With
# `set_output` the result is a data frame.
columns = ColumnTransformer(
    [
        ("blood", Pipeline([("scale", StandardScaler()), ("reduce", PCA())]), blood),
        ("other", StandardScaler(), ["age", "bmi", "bp"]),
        ("sex", OneHotEncoder(drop="first", sparse_output=False), ["sex"]),
    ],
    verbose_feature_names_out=False,
).set_output(transform="pandas")
columns.set_params(blood__reduce=AutoencoderTransformer(3, random_state=0))
print(columns.fit_transform(X).head(3).round(2).to_string())

# %%
# Searching for the best reducer
# ------------------------------
# A grid search over the reducer of the blood values and its code size. The score is R² of a ridge
# regression that predicts the progression of the disease a year later.
model = make_pipeline(columns, RidgeCV(np.logspace(-2, 3, 6)))
reduce = "columntransformer__blood__reduce"
grid = {
    reduce: [PCA(random_state=0), AutoencoderTransformer(random_state=0)],
    f"{reduce}__n_components": [1, 2, 3, 5],
}
search = GridSearchCV(model, grid, cv=3, n_jobs=2).fit(X, y)
best = {name.split("__", 2)[-1]: str(value) for name, value in search.best_params_.items()}
print(f"\nbest: {best}, R² {search.best_score_:.3f}")

# %%
# On 442 rows the autoencoder can hardly distinguish an improvement from chance. It is PCA or nearly
# so, and the two curves nearly coincide. This is the purpose of the linear start: trying the
# autoencoder costs hardly any accuracy.
r2 = search.cv_results_["mean_test_score"].reshape(2, -1)
sizes = grid[f"{reduce}__n_components"]
figure, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
ax.plot(sizes, r2[1], "o-", color="#1f4e9c", label="autoencoder")
ax.plot(sizes, r2[0], "s--", color="#7f7f7f", label="PCA")
ax.set_xticks(sizes)
ax.set_xlabel("code size of the six blood values")
ax.set_ylabel("R² of the prediction, held out")
ax.legend()
ax.grid(alpha=0.3)
plt.show()
