"""
====================
Loss curves and PCA
====================

The loss on held-out rows starts at that of PCA and decreases from there. The textbook network
starts at random weights and needs most of its epochs to reach the loss of PCA. On a small table
training finds no clear improvement, and PCA is kept.
"""

# %%
# Digits, 32 code units
# ---------------------
# `LossCurveDisplay` takes fitted estimators. The dashed line is the loss of PCA on the rows held
# out for early stopping. The dot marks the epoch whose weights were kept.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, load_wine
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
print(f"{'PCA':12} loss      {ours.start_loss_:.3f}")

# %%
# A table too small to learn from
# -------------------------------
# The table has 178 wines. The training loss decreases, but the loss on held-out rows does not
# decrease by more than chance might explain. So the best epoch is 0, the start, and the estimator
# is PCA.
X_wine = StandardScaler().fit_transform(load_wine().data)
small = AutoencoderTransformer(4, random_state=0).fit(X_wine)
display = LossCurveDisplay.from_estimator(small)
display.ax_.set_title("Wine, 4 code units")
plt.show()
