"""
==========================
Digits as two-number codes
==========================

PCA and the autoencoder encode images of 64 pixels as points in the plane, which are coloured by
their digit. Neither of the two uses the labels.
"""

# %%
# Two maps
# --------
# The accuracy of a classifier that uses the five nearest training points of each test image
# measures how well a map separates the digits.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import CodeScatterDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
reducers = {"PCA": PCA(2, random_state=0), "autoencoder": AutoencoderTransformer(2, random_state=0)}
for ax, (name, reducer) in zip(axes, reducers.items(), strict=True):
    pipeline = make_pipeline(reducer, StandardScaler(), KNeighborsClassifier())
    accuracy = pipeline.fit(X_train, y_train).score(X_test, y_test)
    display = CodeScatterDisplay.from_estimator(
        reducer, X_test, y_test, ax=ax, legend=name != "PCA"
    )
    ax.set_title(f"{name}: 5 neighbours, accuracy {accuracy:.2f}")
    print(f"{name:12} accuracy of 5 nearest neighbours {accuracy:.3f}")
plt.show()

# %%
# The autoencoder separates most digits into groups of their own. It is not made for maps: unlike
# t-SNE it does not optimise neighbourhoods, distances between groups mean little, and points of
# different digits still mix in the middle. But it can encode new images and decode any point of the
# plane.
