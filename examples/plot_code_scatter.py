"""
==========================
Digits on two numbers each
==========================

Images of 64 pixels, each encoded as a point in the plane and coloured by its digit: by PCA and by
the autoencoder. Neither has seen a label.
"""

# %%
# Two maps
# --------
# How well a map keeps digits apart is told by its neighbourhoods: the accuracy of a classifier
# that asks the five nearest training points of each test image.
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
# The autoencoder pulls most digits into groups of their own. It is no method made for maps: unlike
# t-SNE it does not ask who is near whom, distances between groups mean little, and points
# of different digits still mix in the middle. In return it encodes new images and decodes
# any point of the plane.
