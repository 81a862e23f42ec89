"""Scores and times of reducers over code sizes, by cross-validation."""

import math
import warnings
from contextlib import contextmanager
from itertools import product
from numbers import Integral
from operator import itemgetter
from time import perf_counter

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, _safe_indexing, indexable
from sklearn.utils._param_validation import HasMethods, validate_params
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed
from tqdm import tqdm  # comes with skorch

from ..metrics import reconstruction_r2
from ._inputs import class_name, holds_classes, named_reducers, size_parameter

MEASURES = ("reconstruction_score", "classifier_score", "fit_time", "transform_time")
PARTS = ("fit", "transform", "reconstruction", "classifier")  # of the work, that can fail


@validate_params(
    {
        "n_components": ["array-like"],
        "cv": ["cv_object"],
        "scoring": [callable, str, None],
        "classifier": [HasMethods(["fit", "predict"]), None],
        "classifier_scoring": [callable, str, None],
        "param_name": [str, dict, None],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=False,
)
def code_size_curve(
    estimators,
    X,
    y=None,
    *,
    n_components,
    cv=None,
    groups=None,
    scoring=None,
    classifier=None,
    classifier_scoring=None,
    param_name=None,
    n_jobs=None,
    verbose=0,
):
    """Cross-validate reducers over code sizes.

    For every reducer, code size and fold: how much of held-out rows the code keeps, how well a
    classifier reads it, and how long it takes. All see the same folds. A reducer that
    fails at a size, as PCA does with more components than features, has NaN there, and a
    warning says why.

    Parameters
    ----------
    estimators : estimator, list of estimators or dict of str to estimator
        Reducers with `fit` and `transform`: PCA, NMF, autoencoders, pipelines of them. They are
        cloned. Those of a list are named after their classes, pipelines after their last step.
    X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
        Whatever the reducers take.
    y : array-like of shape (n_samples,), default=None
        Target of the classifier. It is also passed to the `fit` of the reducers, as in a
        pipeline.
    n_components : array-like of int
        Code sizes, at least one.
    cv : int, cross-validation generator or iterable, default=None
        As in `sklearn.model_selection.cross_validate`: None makes five folds, stratified
        if y holds classes. They are drawn once.
    groups : array-like of shape (n_samples,), default=None
        Passed to the `split` of `cv`.
    scoring : callable, default=None
        Score of the reconstruction, ``scoring(reducer, X, y)``, such as the scorers of
        `sklearn_ae.metrics`. None is `sklearn_ae.metrics.reconstruction_r2`. Reducers without
        `inverse_transform` have NaN. It is in the units of X, also for pipelines that scale:
        where columns have different units, pass an X that is standardised already.
    classifier : estimator, default=None
        What reads the codes; a regressor will do. None is logistic regression of standardised
        codes, or ridge regression where y holds values: fractions, or more than 20 different
        numbers. Without y there is none.
    classifier_scoring : str or callable, default=None
        Score of the classifier, as `scoring` in `cross_validate`. None is the `score` of the
        classifier: accuracy, or R² of a regressor.
    param_name : str or dict of str to str, default=None
        Parameter that sets the code size, or a dict of them by the names of the estimators.
        None is `n_components`, of the reducer itself or of the one step that has it.
    n_jobs : int, default=None
        Processes over all reducers, sizes and folds; -1 takes all cores. Times are then
        those of processes that compete.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    curve : :class:`~sklearn.utils.Bunch`
        With these attributes:

        estimators : list of str
            Names of the reducers.
        kinds : list of str
            Names of their classes, of pipelines those of the last step.
        n_components : ndarray of shape (n_sizes,)
            Code sizes, in the order given.
        reconstruction_score : ndarray of shape (n_estimators, n_sizes, n_splits)
            Score of the reconstruction of the held-out rows.
        classifier_score : ndarray of shape (n_estimators, n_sizes, n_splits) or None
            Score of the classifier on the codes of the held-out rows; None without y.
        fit_time : ndarray of shape (n_estimators, n_sizes, n_splits)
            Seconds to fit the reducer.
        transform_time : ndarray of shape (n_estimators, n_sizes, n_splits)
            Seconds to encode the held-out rows.
        score_names : dict of str to str
            What "reconstruction_score" and, with y, "classifier_score" are.
        frame : pandas.DataFrame or None
            The same, a line for each reducer, size and split; None without pandas.

    Raises
    ------
    ValueError
        If every fit fails, a reducer has no parameter for its code size, or a classifier is
        given without y.
    TypeError
        If an estimator has no `transform`.

    Warns
    -----
    FitFailedWarning
        If a reducer fails at a code size.

    See Also
    --------
    CodeSizeCurveDisplay : Draws the curves.
    sklearn.model_selection.validation_curve : The same for any one parameter and score.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA, TruncatedSVD
    >>> from sklearn_ae.inspection import code_size_curve
    >>> X, y = load_iris(return_X_y=True)
    >>> curve = code_size_curve([PCA(), TruncatedSVD()], X, y, n_components=[1, 2])
    >>> curve.estimators
    ['PCA', 'TruncatedSVD']
    >>> curve.classifier_score.shape
    (2, 2, 5)
    >>> curve.reconstruction_score.mean(axis=2)[0].round(2)
    array([0.92, 0.98])
    """
    if isinstance(scoring, str):
        raise ValueError(
            "scoring is of the reconstruction and must be a callable, as in sklearn_ae.metrics; "
            f"got {scoring!r}. For a score of the classifier use classifier_scoring."
        )
    reducers, sizes = named_reducers(estimators), checked_sizes(n_components)
    sized = [
        clone(reducer).set_params(**{size_parameter(reducer, name, param_name): size})
        for (name, reducer), size in product(reducers.items(), sizes)
    ]
    if isinstance(param_name, dict) and not param_name.keys() <= reducers.keys():
        raise ValueError(
            f"param_name names {sorted(param_name.keys() - reducers.keys())}, the estimators "
            f"are {list(reducers)}."
        )
    X, y, groups = indexable(X, y, groups)
    classifier = resolved_classifier(classifier, y)
    scorers = {"reconstruction_score": scoring or reconstruction_r2}
    if classifier is not None:
        scorers["classifier_score"] = check_scoring(classifier, scoring=classifier_scoring)
    has_classes = classifier is not None and is_classifier(classifier)
    splits = list(check_cv(cv, y, classifier=has_classes).split(X, y, groups))

    # One by one: where cheap cells come first, joblib would send the dear ones in batches.
    cells = Parallel(n_jobs=n_jobs, batch_size=1, return_as="generator")(
        delayed(evaluate)(reducer, X, y, split, classifier, scorers)
        for reducer, split in product(sized, splits)
    )
    shape = len(reducers), len(sizes), len(splits)
    bar = tqdm(cells, total=math.prod(shape), unit="fit", disable=not verbose)
    cells = np.array(list(bar), dtype=object).reshape(shape)
    report_errors(cells, list(reducers), sizes)

    names = {"reconstruction_score": name_of(scoring, "R² of the reconstruction")}
    if classifier is not None:
        otherwise = "accuracy of the classifier" if has_classes else "R² of the regressor"
        names["classifier_score"] = name_of(classifier_scoring, otherwise)
    kinds = [class_name(reducer) for reducer in reducers.values()]
    return as_curve(cells, {"estimators": list(reducers), "kinds": kinds}, sizes, names)


def evaluate(reducer, X, y, split, classifier, scorers):
    """Return what one reducer scores on one split, its times, and its errors by part."""
    cell = {**dict.fromkeys(MEASURES, np.nan), "errors": {}}

    @contextmanager
    def noting(part):
        try:
            yield
        except Exception as error:
            cell["errors"][part] = f"{type(error).__name__}: {error}"

    def score(fitted, X_test, y_test=None):
        with noting("transform"):
            start = perf_counter()
            codes = fitted.transform(X_test)
            cell["transform_time"] = perf_counter() - start
        if hasattr(fitted, "inverse_transform"):
            with noting("reconstruction"):
                scorer = scorers["reconstruction_score"]
                cell["reconstruction_score"] = scorer(fitted, X_test, y_test)
        if classifier is not None and "transform" not in cell["errors"]:
            with noting("classifier"):
                X_train, y_train = (_safe_indexing(a, split[0]) for a in (X, y))
                model = clone(classifier).fit(fitted.transform(X_train), y_train)
                cell["classifier_score"] = scorers["classifier_score"](model, codes, y_test)

    with noting("fit"):  # which a worker of a cluster hands on to another; the rest is done here
        how = {"cv": [split], "scoring": lambda *_: 0.0, "error_score": "raise"}
        found = cross_validate(reducer, X, y, return_estimator=True, **how)
        cell["fit_time"] = found["fit_time"].item()
        fitted = found["estimator"][0]
    if "fit" not in cell["errors"]:
        score(fitted, *(_safe_indexing(a, split[1]) for a in (X, y) if a is not None))
    return cell


def report_errors(cells, names, sizes):
    """Warn of each reducer and size that failed, with its first error by part."""
    if all({"fit", "transform"} & cell["errors"].keys() for cell in cells.flat):
        error = first_error(cells, "fit") or first_error(cells, "transform")
        raise ValueError(f"All the {cells.size} fits failed. The first: {error}")
    for (name, of_name), part in product(zip(names, cells, strict=True), PARTS):
        failed = [
            s for s, of_size in zip(sizes, of_name, strict=True) if first_error(of_size, part)
        ]
        if failed:
            warnings.warn(
                f"{name} with n_components={', '.join(map(str, failed))} has NaN in the scores of "
                f"folds whose {part} failed. The first: {first_error(of_name, part)}",
                FitFailedWarning,
                stacklevel=4,
            )


def first_error(cells, part):
    """Return the first error in a part of the work, or None."""
    return next((c["errors"][part] for c in cells.flat if part in c["errors"]), None)


def checked_sizes(n_components):
    """Return the code sizes as a list of int."""
    sizes = list(n_components)
    if not (sizes and all(isinstance(size, Integral) and size >= 1 for size in sizes)):
        raise ValueError(
            f"n_components must hold ints of at least 1, the code sizes; got {n_components!r}."
        )
    return [int(size) for size in sizes]


def resolved_classifier(classifier, y):
    """Return what reads the codes: by default a linear model of standardised ones."""
    if y is None:
        if classifier is not None:
            raise ValueError("The classifier needs a target, y.")
        return None
    if classifier is not None:
        return classifier
    with np.errstate(invalid="ignore"):  # scikit-learn casts what is missing
        kind = type_of_target(y, input_name="y")
    if "multioutput" in kind or "multilabel" in kind or kind == "unknown":
        raise ValueError(f"For a y of type {kind!r} a classifier has to be given.")
    if holds_classes(y):
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 7)))


def name_of(scoring, otherwise):
    """Return what a score is called."""
    if scoring is None or isinstance(scoring, str):
        return scoring or otherwise
    function = getattr(scoring, "_score_func", scoring)  # of what make_scorer returns
    return getattr(function, "__name__", type(function).__name__)


def as_curve(cells, names, sizes, score_names):
    """Return the cells of all reducers, sizes and splits as arrays and a frame."""
    curve = Bunch(**names, n_components=np.array(sizes), score_names=score_names)
    for measure in MEASURES:
        curve[measure] = np.vectorize(itemgetter(measure), otypes=[float])(cells)
    if "classifier_score" not in score_names:
        curve.classifier_score = None
    curve.frame = as_frame(curve)
    return curve


def as_frame(curve):
    """Return the curve as a pandas data frame, or None without pandas."""
    try:
        import pandas as pd
    except ImportError:
        return None
    shape = curve.fit_time.shape
    places = np.indices(shape).reshape(3, -1)
    columns = {
        "estimator": np.array(curve.estimators)[places[0]],
        "n_components": curve.n_components[places[1]],
        "split": places[2],
    }
    columns |= {name: curve[name].ravel() for name in MEASURES if curve[name] is not None}
    return pd.DataFrame(columns)
