"""
=====================================
Anomalies: what cannot be rebuilt
=====================================

An autoencoder rebuilds well what is like its training rows. What it rebuilds badly is unlike
them: `score_samples`, minus the squared error of each row, is an anomaly score.
"""

# %%
# A digit that was never seen
# ---------------------------
# Train on nine of the ten digits, then ask among held-out images for the tenth. The area
# under the ROC curve is the chance that an image of the new digit has a lower score than another
# one: 0.5 is guessing. The same for PCA, and for scikit-learn's isolation forest.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import ReconstructionDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)


def squared_error(reducer, X):
    return ((X - reducer.inverse_transform(reducer.transform(X))) ** 2).mean(axis=1)


auc = {"PCA": [], "autoencoder": [], "isolation forest": []}
print(f"{'new digit':>9}" + "".join(f"{name:>18}" for name in auc))
for digit in range(10):
    known, new = X_train[y_train != digit], y_test == digit
    autoencoder = AutoencoderTransformer(16, random_state=0).fit(known)
    forest = IsolationForest(random_state=0).fit(known)
    anomaly = {
        "PCA": squared_error(PCA(16, random_state=0).fit(known), X_test),
        "autoencoder": -autoencoder.score_samples(X_test),
        "isolation forest": -forest.score_samples(X_test),
    }
    for name, scores in anomaly.items():
        auc[name].append(roc_auc_score(new, scores))
    print(f"{digit:9}" + "".join(f"{areas[-1]:18.3f}" for areas in auc.values()))
print(f"{'mean':>9}" + "".join(f"{np.mean(areas):18.3f}" for areas in auc.values()))

# %%
# By digit
# --------
# Every digit is told better than by PCA. One, nine and six are hardest: they are like others
# with a stroke moved, and what the network can rebuild it does not find strange. So the code has
# to be small: one of 64 numbers could copy anything.
styles = {"PCA": "s--", "autoencoder": "o-", "isolation forest": "^-."}
colors = {"PCA": "#7f7f7f", "autoencoder": "#1f4e9c", "isolation forest": "#e69f00"}
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for name, areas in auc.items():
    ax.plot(range(10), areas, styles[name], color=colors[name], label=name)
ax.axhline(0.5, color="black", linewidth=0.8, linestyle=":", label="guessing")
ax.set_xticks(range(10))
ax.set_xlabel("digit that was never seen")
ax.set_ylabel("area under the ROC curve")
ax.legend(loc="lower center", ncols=2)
ax.grid(alpha=0.3)
plt.show()

# %%
# What is strange
# ---------------
# The last model has seen no nine. The images that it rebuilds worst, of all held-out ones, and what
# it makes of them:
strangest = X_test[np.argsort(autoencoder.score_samples(X_test))[:10]]
display = ReconstructionDisplay.from_estimators(
    {"autoencoder": autoencoder}, strangest, n_samples=10, image_shape=(8, 8)
)
plt.show()
