"""
=======================
Walks between two codes
=======================

What lies between two images? Half-way between the codes of a 2 and a 7 there may be a digit, or
one drawn over the other. And what does each number of the code do by itself?
"""

# %%
# From one image to another
# -------------------------
# The codes between are equal steps on the straight line; decoded they are a straight line of
# images for PCA, which only fades one digit into the other, and a curved one for the autoencoder.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import train_test_split

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import CodeTraversalDisplay, InterpolationDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
reducers = {
    "PCA": PCA(8, random_state=0).fit(X_train),
    "autoencoder": AutoencoderTransformer(8, clip=True, random_state=0).fit(X_train),
}
two_images = X_test[[np.flatnonzero(y_test == 2)[0], np.flatnonzero(y_test == 7)[0]]]
walks = InterpolationDisplay.from_estimators(reducers, two_images, image_shape=(8, 8))
plt.show()

# %%
# Is the middle a digit?
# ----------------------
# Over 200 pairs of different digits: how far the image half-way is from the nearest image of the
# training set, and for comparison how far reconstructions and held-out images themselves are.
# The autoencoder's middle is nearer to an image than PCA's, but it moves farther from what lies at
# its own ends: a straight line of codes does not keep to the digits.
first, second = np.random.RandomState(0).randint(len(X_test), size=(2, 400))
different = np.flatnonzero(y_test[first] != y_test[second])[:200]
print(f"{'distance to the nearest image':30}{'half-way':>10}{'reconstructed':>15}{'held out':>10}")
held_out = pairwise_distances(X_test, X_train).min(axis=1).mean()
for name, reducer in reducers.items():
    codes = reducer.transform(X_test)
    middle = reducer.inverse_transform((codes[first] + codes[second])[different] / 2)
    distances = [
        pairwise_distances(images, X_train).min(axis=1).mean()
        for images in (middle, reducer.inverse_transform(codes))
    ]
    print(f"{name:30}{distances[0]:10.1f}{distances[1]:15.1f}{held_out:10.1f}")

# %%
# Each number by itself
# ---------------------
# From the code of one image, each number moves two standard deviations to both sides. Nothing in
# the training asks the numbers to mean something one by one; what they do is a mixture of
# strokes, and not the same from another image.
traversal = CodeTraversalDisplay.from_estimator(
    reducers["autoencoder"], X_test, row=0, components=range(4), image_shape=(8, 8)
)
plt.show()
