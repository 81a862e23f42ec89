"""
=========================================
Comparison with PCA at equal code sizes
=========================================

PCA and the autoencoder encode scikit-learn's digits, 8 x 8 pixels, with 2 to 32 code units. For
each size the example shows how much of the variance of held-out images the code keeps, and how
accurate a classifier is on it. Both reducers use the same folds, and are fitted once in each: the
first numbers of their codes are the smaller codes.
"""

# %%
# Computing the curves
# --------------------
# `code_size_curve` cross-validates any reducers over code sizes, here with two processes. With
# ``ordered=True`` the autoencoder can be cut after any number of its code, as PCA can. For PCA, R²
# of the reconstruction is the share of the variance that its components explain. The classifier is
# a logistic regression, unless another one is given. Sixty epochs keep the example short.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import CodeSizeCurveDisplay, code_size_curve

X, y = load_digits(return_X_y=True)
autoencoder = AutoencoderTransformer(ordered=True, max_epochs=60, random_state=0)
reducers = {"PCA": PCA(random_state=0), "autoencoder": autoencoder}
curve = code_size_curve(reducers, X, y, n_components=[2, 4, 8, 16, 32], cv=3, n_jobs=2)

print(f"{'code size':>9}   {'R², held out':^21}   {'accuracy':^21}")
print(f"{'':9}   {'PCA':>9} {'autoencoder':>11}   {'PCA':>9} {'autoencoder':>11}")
r2 = curve.reconstruction_score.mean(axis=2)  # by reducer and code size, mean over the folds
accuracy = curve.classifier_score.mean(axis=2)
for j, size in enumerate(curve.n_components):
    row = *r2[:, j], *accuracy[:, j]
    print("{:9}   {:9.3f} {:11.3f}   {:9.3f} {:11.3f}".format(size, *row))

# %%
# Plotting the curves
# -------------------
# The gain is largest for small codes. It is small where PCA already keeps nearly all of the
# variance. There the classifier, which is linear itself, gains nothing more. The bands are one
# standard deviation over the folds.
display = CodeSizeCurveDisplay(curve).plot()
display.figure_.suptitle("Digits: 64 pixels through a small code")
plt.show()

# %%
# Time
# ----
# A fit takes seconds, where PCA takes milliseconds. Encoding rows takes milliseconds with both.
seconds = curve.fit_time.mean(axis=(1, 2)), curve.transform_time.mean(axis=(1, 2))
for name, fit, transform in zip(curve.estimators, *seconds, strict=True):
    print(f"{name:12} fit {fit:7.3f} s, transform {transform:7.4f} s")
