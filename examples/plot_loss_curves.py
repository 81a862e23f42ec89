"""
============================
Loss curves and their start
============================

The loss on held-out rows starts at that of the best model in closed form, and training ends with a
lower one. The textbook network starts at random weights and does not come so far. On a small table
training may find no clear improvement. The start is then kept.
"""

# %%
# Digits, 32 code units
# ---------------------
# `LossCurveDisplay` takes fitted estimators. The dashed line is the loss of the start, PCA with a
# correction in closed form, on the rows held out for early stopping. In the first epochs the loss
# may be above it. The dot marks the epoch whose weights were kept.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import LossCurveDisplay

X = load_digits().data
ours = AutoencoderTransformer(32, random_state=0).fit(X)
textbook = AutoencoderTransformer(32, init="random", random_state=0).fit(X)

figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
display = LossCurveDisplay.from_estimator(ours, ax=ax, name="autoencoder")
display = LossCurveDisplay.from_estimator(textbook, ax=ax, name="textbook", color="#d55e00")
ax.set_ylim(0, 4)
ax.set_title("Digits, 32 code units")
plt.show()
for name, autoencoder in {"autoencoder": ours, "textbook": textbook}.items():
    print(f"{name:12} best loss {autoencoder.best_loss_:.3f} in epoch {autoencoder.best_epoch_}")
print(f"{'closed form':12} loss      {ours.start_loss_:.3f}")

# %%
# Two small tables
# ----------------
# On 178 wines the training loss falls much faster than the loss on held-out rows, but this one
# falls, too, and by more than chance might explain. On 150 irises it falls by less. So the best
# epoch is 0, the start, and the estimator is PCA.
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
tables = {"Wine, 4 code units": (load_wine(), 4), "Iris, 2 code units": (load_iris(), 2)}
for ax, (title, (table, n_components)) in zip(axes, tables.items(), strict=True):
    rows = StandardScaler().fit_transform(table.data)
    small = AutoencoderTransformer(n_components, random_state=0).fit(rows)
    LossCurveDisplay.from_estimator(small, ax=ax)
    ax.set_title(title)
plt.show()
