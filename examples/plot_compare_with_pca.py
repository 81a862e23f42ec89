"""
=============================================
Beyond PCA: the same code size, less is lost
=============================================

scikit-learn's digits, 8 x 8 pixels, through codes of 2 to 32 numbers. For each size: how
much of the held-out images' variance the code keeps, and how well a classifier reads it. PCA is
where the autoencoder starts; both see the same folds.
"""

# %%
# One call
# --------
# `code_size_curve` cross-validates any reducers over code sizes, here with two processes. R² of
# the reconstruction is, for PCA, the share of the variance that its components explain. What
# reads the codes is a logistic regression, unless another classifier is given.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import CodeSizeCurveDisplay, code_size_curve

X, y = load_digits(return_X_y=True)
reducers = {"PCA": PCA(random_state=0), "autoencoder": AutoencoderTransformer(random_state=0)}
curve = code_size_curve(reducers, X, y, n_components=[2, 4, 8, 16, 32], cv=3, n_jobs=2)

print(f"{'code size':>9}   {'R², held out':^21}   {'accuracy':^21}")
print(f"{'':9}   {'PCA':>9} {'autoencoder':>11}   {'PCA':>9} {'autoencoder':>11}")
r2 = curve.reconstruction_score.mean(axis=2)  # of each reducer and code size, over the folds
accuracy = curve.classifier_score.mean(axis=2)
for j, size in enumerate(curve.n_components):
    row = *r2[:, j], *accuracy[:, j]
    print("{:9}   {:9.3f} {:11.3f}   {:9.3f} {:11.3f}".format(size, *row))

# %%
# As curves
# ---------
# The gain is largest where the code is small. It shrinks where PCA already keeps nearly
# all, and the classifier, itself linear, then has nothing more to gain. The bands are one
# standard deviation over the folds.
display = CodeSizeCurveDisplay(curve).plot()
display.figure_.suptitle("Digits: 64 pixels through a small code")
plt.show()

# %%
# What it costs
# -------------
# A fit takes seconds where PCA takes milliseconds. To encode rows takes milliseconds for both.
seconds = curve.fit_time.mean(axis=(1, 2)), curve.transform_time.mean(axis=(1, 2))
for name, fit, transform in zip(curve.estimators, *seconds, strict=True):
    print(f"{name:12} fit {fit:7.3f} s, transform {transform:7.4f} s")
