"""
=======================================================
Anomalies: a threshold that keeps its word, and reasons
=======================================================

`AutoencoderDetector` is fitted to rows of the kind that is normal. It then scores new rows, calls
the strangest ones anomalies, and says which columns make them strange. This example compares it
with four detectors of scikit-learn on five data sets, counts false alarms, and draws the reasons.
"""

# %%
# Five data sets
# --------------
# In four of them the anomalies are real: malignant tumours among benign ones, and a wine, an iris
# or a digit of a class that is not in training. In the fifth they are made: each anomaly is a real
# patient with half of the measurements of other patients. Each value is then plausible by itself,
# and only their combination is not.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from sklearn_ae import AutoencoderDetector
from sklearn_ae.inspection import AnomalyDisplay


def leave_classes_out(X, y, classes):
    for one in classes:
        yield X[y != one], X[y == one]


def mix_rows(X, n_repeats=2):
    for seed in range(n_repeats):
        rng = np.random.default_rng(seed)
        others = rng.permuted(X, axis=0)
        columns = np.tile(np.arange(X.shape[1]) % 2 == 0, (len(X), 1))
        yield X, np.where(rng.permuted(columns, axis=1), others, X)


cancer = load_breast_cancer(as_frame=True)
data_sets = {
    "breast cancer": leave_classes_out(cancer.data.to_numpy(), cancer.target, [0] * 2),
    "wine": leave_classes_out(*load_wine(return_X_y=True), range(3)),
    "iris": leave_classes_out(*load_iris(return_X_y=True), range(3)),
    "digits": leave_classes_out(*load_digits(return_X_y=True), (1, 8)),
    "diabetes": mix_rows(load_diabetes().data),
}

# %%
# Five detectors
# --------------
# Nothing is tuned by looking at anomalies, which are rarely known in advance. The area under the
# ROC curve is the probability that an anomaly is scored lower than a new row of the known kind; 0.5
# is guessing. `AutoencoderDetector` needs no scaling; it maps each column to its normal scores.


def make_detectors(seed):
    others = {
        "isolation forest": IsolationForest(random_state=seed),
        "local outlier factor": LocalOutlierFactor(novelty=True),
        "one-class SVM": OneClassSVM(nu=0.05),
        "elliptic envelope": EllipticEnvelope(random_state=seed, support_fraction=0.9),
    }
    return {
        "AutoencoderDetector": AutoencoderDetector(random_state=seed),
        **{name: make_pipeline(StandardScaler(), detector) for name, detector in others.items()},
    }


areas, alarms = {}, {}
for title, pairs in data_sets.items():
    found = {}
    for seed, (known, anomalies) in enumerate(pairs):
        train, new = train_test_split(known, random_state=seed)
        varies = train.std(axis=0) > 0
        train, new, anomalies = (rows[:, varies] for rows in (train, new, anomalies))
        rows = np.concatenate([new, anomalies])
        is_known = np.arange(len(rows)) < len(new)
        for name, detector in make_detectors(seed).items():
            scores = detector.fit(train).score_samples(rows)
            found.setdefault(name, []).append(roc_auc_score(is_known, scores))
            if name == "AutoencoderDetector":
                is_alarm = detector.predict(rows) == -1
                counts = is_alarm[is_known].mean(), is_alarm[~is_known].mean()
                alarms.setdefault(title, []).append(counts)
    areas[title] = {name: np.mean(values) for name, values in found.items()}
print(f"{'':14}" + "".join(f"{name:>22}" for name in found))
for title, means in areas.items():
    print(f"{title:14}" + "".join(f"{m:22.3f}" for m in means.values()))

# %%
markers = dict(zip(found, "os^Dv", strict=True))
colors = dict(
    zip(
        found,
        ("#1f4e9c", "#e69f00", "#009e73", "#d55e00", "#7f7f7f"),
        strict=True,
    )
)
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, marker in markers.items():
    values = [means[name] for means in areas.values()]
    style = {"color": colors[name], "ms": 9, "mew": 1.5}
    if name != "AutoencoderDetector":
        style["mfc"] = "none"
    ax.plot(values, range(len(areas)), marker, label=name, **style)
ax.axvline(0.5, color="black", linewidth=0.8, linestyle=":")
ax.set_yticks(range(len(areas)), areas)
ax.invert_yaxis()
ax.set_xlabel("area under the ROC curve (0.5 is guessing)")
ax.grid(alpha=0.3)
figure.legend(loc="outside upper center", ncols=3)
plt.show()

# %%
# False alarms
# ------------
# With `contamination=0.05`, which is what "auto" means, one new row of the known kind in twenty
# should raise an alarm. The threshold is a quantile of the scores of rows that were held out, and
# holds for new rows:
print(f"{'':14} false alarms   anomalies found")
for title, counts in alarms.items():
    shares = np.mean(counts, axis=0)
    print(f"{title:14} {shares[0]:12.3f} {shares[1]:17.3f}")

# %%
# The reasons
# -----------
# `explain` divides the score of a row among its columns. The Display draws the columns that add
# most, with the value of the row and what was expected in its place. These are the strangest of the
# malignant tumours, for a detector that knows benign ones only. "p" is the share of benign tumours
# that are at least as strange.
benign = cancer.data[cancer.target == 1]
malignant = cancer.data[cancer.target == 0]
detector = AutoencoderDetector(random_state=0).fit(benign)
AnomalyDisplay.from_estimator(detector, malignant, n_rows=2)
plt.show()
