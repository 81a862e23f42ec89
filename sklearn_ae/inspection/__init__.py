"""Looking at reductions: scores over code sizes, and Displays.

A Display is scikit-learn's kind of picture: `from_estimator`, or `from_estimators` for several,
computes what it shows, the constructor takes what is computed already, and `plot` draws it with
matplotlib into `ax`. Those here need only `transform`, and where they decode
`inverse_transform`, and so show PCA, NMF and pipelines as well as autoencoders.
"""

from ._code_size_curve import code_size_curve
from ._plot_codes import CodeScatterDisplay
from ._plot_curves import CodeSizeCurveDisplay, LossCurveDisplay
from ._plot_rows import CodeTraversalDisplay, InterpolationDisplay, ReconstructionDisplay

__all__ = [
    "CodeScatterDisplay",
    "CodeSizeCurveDisplay",
    "CodeTraversalDisplay",
    "InterpolationDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "code_size_curve",
]
