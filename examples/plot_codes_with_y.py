"""
============================
Two numbers that keep labels
============================

PCA, the autoencoder, and the autoencoder with labels encode images of 64 pixels as points in the
plane. Shown are new images: their labels were not used.
"""

# %%
# Three maps of new rows
# ----------------------
# With ``target_weight=1`` the code also keeps what tells the digits apart. The accuracy of two
# classifiers on new images says how well they read the two numbers.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import CodeScatterDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
reducers = {
    "PCA": PCA(2, random_state=0),
    "autoencoder": AutoencoderTransformer(2, random_state=0),
    "with labels": AutoencoderTransformer(2, target_weight=1, random_state=0),
}
figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
for ax, (name, reducer) in zip(axes, reducers.items(), strict=True):
    found = []
    for classifier in (LogisticRegression(), KNeighborsClassifier()):
        pipeline = make_pipeline(reducer, StandardScaler(), classifier)
        found.append(pipeline.fit(X_train, y_train).score(X_test, y_test))
    CodeScatterDisplay.from_estimator(reducer, X_test, y_test, ax=ax, legend=name == "with labels")
    ax.set_title(f"{name}: logistic {found[0]:.2f}, neighbours {found[1]:.2f}")
    print(f"{name:12} logistic regression {found[0]:.3f}, 5 nearest neighbours {found[1]:.3f}")
plt.show()

# %%
# The labels of the training images pull their groups apart, and new images fall into the same
# places. The code is made for this question: for another y, fit another one.
