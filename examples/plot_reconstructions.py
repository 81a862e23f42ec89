"""
==========================================
Reconstructions from eight code units
==========================================

PCA, the autoencoder and a textbook autoencoder without the linear path encode images of 64 pixels
as 8 numbers and decode them again. The second part shows rows that are not images.
"""

# %%
# Images
# ------
# `ReconstructionDisplay` draws reconstructions under the originals. All reducers have the same code
# size and the same training images; the images in the plot were held out.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import ReconstructionDisplay
from sklearn_ae.metrics import reconstruction_r2

X_train, X_test = train_test_split(load_digits().data, random_state=0)
reducers = {
    "PCA": PCA(8, random_state=0),
    "textbook": AutoencoderTransformer(8, init="random", random_state=0),
    "autoencoder": AutoencoderTransformer(8, clip=True, random_state=0),
}
for name, reducer in reducers.items():
    r2 = reconstruction_r2(reducer.fit(X_train), X_test)
    print(f"{name:12} R² of the reconstruction, held out: {r2:.3f}")

display = ReconstructionDisplay.from_estimators(reducers, X_test, n_samples=10, image_shape=(8, 8))
plt.show()

# %%
# PCA blurs strokes and leaves shadows on the background. The textbook network draws clear digits,
# but not always the right one. `clip=True` keeps pixels between black and white.
#
# Rows of a table
# ---------------
# Without `image_shape`, rows are drawn as lines over the features. The wines are 178 rows of 13
# standardised measurements. On so few rows training mostly finds no improvement that it can
# distinguish from chance, and `best_epoch_` is 0. The autoencoder then is what it started as: PCA,
# here with a correction in closed form.
X_wine = StandardScaler().fit_transform(load_wine().data)
X_wine_train, X_wine_test = train_test_split(X_wine, random_state=0)
pca = PCA(3, random_state=0).fit(X_wine_train)
autoencoder = AutoencoderTransformer(3, random_state=0).fit(X_wine_train)
print(f"\nwine: best_epoch_ {autoencoder.best_epoch_}")
print(f"PCA R² {reconstruction_r2(pca, X_wine_test):.3f}, ", end="")
print(f"autoencoder R² {reconstruction_r2(autoencoder, X_wine_test):.3f}")

display = ReconstructionDisplay.from_estimators(
    {"PCA": pca, "autoencoder": autoencoder}, X_wine_test, n_samples=4
)
plt.show()
