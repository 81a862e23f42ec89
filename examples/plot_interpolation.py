"""
===================================
Interpolation between two codes
===================================

What does the decoder make of codes between those of two images? Half-way between the codes of a 2
and a 7 there may be a digit, or one digit drawn over the other. The last plot shows the effect of
each code unit by itself.
"""

# %%
# From one image to another
# -------------------------
# The codes are equal steps on the straight line between the codes of the two images. PCA decodes
# them to a straight line of images, which only fades one digit into the other. The autoencoder
# decodes them to a curve.
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
# For 200 pairs of different digits, compute the distance of the half-way image to the nearest
# training image. For comparison, compute it for the reconstructions and the held-out images too.
# The half-way image of the autoencoder is nearer to a training image than that of PCA. But its
# distance exceeds that of its own reconstructions by more: the straight line between two codes
# leaves the region of the digits.
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
# The effect of each code unit
# ----------------------------
# Starting from the code of one image, each code unit is varied by two standard deviations to both
# sides. Training does not require single units to have a meaning. Each of them changes several
# strokes at once, and its effect differs from image to image.
traversal = CodeTraversalDisplay.from_estimator(
    reducers["autoencoder"], X_test, row=0, components=range(4), image_shape=(8, 8)
)
plt.show()
