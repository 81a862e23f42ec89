"""Inspection of reducers: scores over code sizes, and Displays.

Displays follow scikit-learn's convention: `from_estimator`, or `from_estimators` for several,
computes the data and draws them, the constructor takes data that are already computed, and
`plot` draws them with matplotlib into `ax`. `AnomalyDisplay` is for detectors. The others need
only `transform` and, if they decode, `inverse_transform`. They can therefore show PCA, NMF and
pipelines as well as autoencoders.
"""

from ._code_size_curve import code_size_curve
from ._plot_anomalies import AnomalyDisplay
from ._plot_codes import CodeScatterDisplay
from ._plot_curves import CodeSizeCurveDisplay, LossCurveDisplay
from ._plot_rows import CodeTraversalDisplay, InterpolationDisplay, ReconstructionDisplay

__all__ = [
    "AnomalyDisplay",
    "CodeScatterDisplay",
    "CodeSizeCurveDisplay",
    "CodeTraversalDisplay",
    "InterpolationDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "code_size_curve",
]
