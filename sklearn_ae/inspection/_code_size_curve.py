"""Cross-validated scores and times of reducers over code sizes."""

import inspect
import warnings
from collections import namedtuple
from contextlib import contextmanager
from itertools import product
from numbers import Integral
from operator import itemgetter
from time import perf_counter

import numpy as np
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, indexable
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.parallel import Parallel, delayed
from tqdm import tqdm

from .._compat import HasMethods, count_rows, select_rows, validate_params
from ..metrics import reconstruction_r2
from ._cutting import can_be_cut, cut_reducer
from ._inputs import (
    convert_names,
    find_size_parameter,
    get_class_name,
    holds_classes,
    is_int,
    list_group_parameters,
    name_reducers,
    split_missing,
)

# A reducer with a code of this size.
Member = namedtuple("Member", ["size", "reducer"])

MEASURES = ("reconstruction_score", "classifier_score", "fit_time", "transform_time")
STAGES = ("fit", "transform", "reconstruction", "classifier")  # each of them can fail


@validate_params(
    {
        "n_components": ["array-like"],
        "cv": ["cv_object"],
        "scoring": [callable, str, None],
        "classifier": [HasMethods(["fit", "predict"]), None],
        "classifier_scoring": [callable, str, None],
        "param_name": [str, dict, None],
        "n_jobs": [Integral, None],
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

    For every reducer, code size and fold, it measures how well held-out rows are reconstructed
    from their codes, how well a classifier predicts y from the codes, and how long fitting and
    encoding take. All reducers see the same folds. If a reducer fails at a code size, as PCA
    does with more components than features, its scores there are NaN and a warning gives the
    reason.

    `PCA` and autoencoders with ``ordered=True`` are fitted once for all code sizes, alone or as
    the last step of a pipeline: in each fold with the largest code size that does not fail. The
    smaller codes are its first numbers. All other reducers are fitted for each code size.

    Parameters
    ----------
    estimators : estimator, list of estimators or dict of str to estimator
        Reducers with `fit` and `transform`: PCA, NMF, autoencoders, pipelines of them. They are
        cloned. Those of a list are named after their classes, pipelines after the class of
        their last step. Other keys of a dict, such as numbers, are converted to str.
    X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
        Rows to reduce, of any type that all reducers accept.
    y : array-like of shape (n_samples,), default=None
        Target of the classifier. It is also passed to the `fit` of the reducers, as in a
        pipeline.
    n_components : array-like of int
        Code sizes, at least one.
    cv : int, cross-validation generator or iterable, default=None
        As in `sklearn.model_selection.cross_validate`: None makes five folds, stratified
        if y holds classes. The splits are made once, for all reducers and code sizes.
    groups : array-like of shape (n_samples,), default=None
        Passed to the `split` of `cv`, and to the `fit` of the reducers that take it, also as
        steps of a pipeline.
    scoring : callable, default=None
        Scorer of the reconstruction, ``scoring(reducer, X, y)``, such as those of
        `sklearn_ae.metrics`. None is `sklearn_ae.metrics.reconstruction_r2`. The scores of
        reducers without `inverse_transform` are NaN. The default measures errors in the units
        of X, also for pipelines that scale: if the features have different units, pass an X
        that is standardised already.
    classifier : estimator, default=None
        Classifier or regressor that predicts y from the codes. None is logistic regression on
        standardised codes if y holds classes, and ridge regression on them if it holds values:
        fractions, or more than 20 different numbers. Without y there is no classifier.
    classifier_scoring : str or callable, default=None
        Scorer of the classifier, as `scoring` in `cross_validate`. None is the `score` method
        of the classifier: accuracy, or R² of a regressor.
    param_name : str or dict of str to str, default=None
        Name of the parameter that sets the code size, or a dict from names of estimators to
        such names. None is `n_components`, of the reducer itself or of its only step that has
        this parameter.
    n_jobs : int, default=None
        Number of processes, over all fits: of reducers, code sizes and folds; -1 uses all cores.
        Times are then longer, because the processes compete for the cores.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    curve : :class:`~sklearn.utils.Bunch`
        With these attributes:

        estimators : list of str
            Names of the reducers.
        kinds : list of str
            Names of their classes; for pipelines, of the class of the last step.
        n_components : ndarray of shape (n_sizes,)
            Code sizes, in the order given.
        reconstruction_score : ndarray of shape (n_estimators, n_sizes, n_splits)
            Score of the reconstruction of the held-out rows.
        classifier_score : ndarray of shape (n_estimators, n_sizes, n_splits) or None
            Score of the classifier on the codes of the held-out rows; None without y.
        fit_time : ndarray of shape (n_estimators, n_sizes, n_splits)
            Time to fit the reducer, in seconds. If one fit serves several code sizes, each of
            them has its time.
        transform_time : ndarray of shape (n_estimators, n_sizes, n_splits)
            Time to encode the held-out rows, in seconds.
        score_names : dict of str to str
            Names of the scores that "reconstruction_score" and, with y, "classifier_score"
            hold.
        frame : pandas.DataFrame or None
            The scores and times with one line per reducer, code size and split; None if pandas
            is not installed.

    Raises
    ------
    ValueError
        If every fit fails, if a code size is not a positive integer, if the parameter that sets
        the code size of a reducer is missing or ambiguous, if estimators have equal names, if a
        split is empty or has no rows of X, if `scoring` is no scorer, if a classifier is given
        without y, or if y has missing labels or no classes for the classifier.
    TypeError
        If an estimator has no `transform`, or the classifier is a class.

    Notes
    -----
    All of these but the first are raised before the first fit.

    Warns
    -----
    FitFailedWarning
        If a reducer, its reconstruction or the classifier fails at a code size.

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
    reducers, sizes = name_reducers(estimators), check_sizes(n_components)
    families = clone_at_sizes(reducers, sizes, param_name)
    check_reconstruction_scoring(scoring, reducers)
    X, y, groups = indexable(X, y, groups)
    classifier = resolve_classifier(classifier, y, classifier_scoring)
    scorers = {"reconstruction_score": scoring or reconstruction_r2}
    if classifier is not None:
        scorers["classifier_score"] = check_scoring(classifier, scoring=classifier_scoring)
    has_classes = classifier is not None and is_classifier(classifier)
    splits = list(check_cv(cv, y, classifier=has_classes).split(X, y, groups))
    check_splits(splits, count_rows(X))

    data = Bunch(X=X, y=y, groups=groups)
    cells = evaluate_families(families, data, splits, classifier, scorers, n_jobs, verbose)
    cells = cells.reshape(len(reducers), len(sizes), len(splits))
    report_errors(cells, list(reducers), sizes)
    score_names = name_scores(scoring, classifier, classifier_scoring)
    return collect_curve(cells, reducers, sizes, score_names)


def clone_at_sizes(reducers, sizes, param_name):
    """Return clones of the reducers at each code size, in families.

    Returns
    -------
    families : list of list of Member
        All code sizes of the first reducer, then of the next. One fit serves a family.
    """
    if isinstance(param_name, dict):
        param_name = convert_names(param_name)
    families = []
    for name, reducer in reducers.items():
        parameter = find_size_parameter(reducer, name, param_name)
        clones = [clone(reducer).set_params(**{parameter: size}) for size in sizes]
        members = [Member(size, sized) for size, sized in zip(sizes, clones, strict=True)]
        is_family = can_be_cut(reducer, parameter)
        families += [members] if is_family else [[member] for member in members]
    if isinstance(param_name, dict) and not param_name.keys() <= reducers.keys():
        raise ValueError(
            "The keys of param_name must be names of estimators, which are "
            f"{list(reducers)}; got {sorted(param_name.keys() - reducers.keys())}."
        )
    return families


def evaluate_families(families, data, splits, classifier, scorers, n_jobs, verbose):
    """Evaluate every family on every split, in parallel and with a progress bar.

    Returns
    -------
    cells : ndarray of shape (n_reducers, n_splits)
        Results of `evaluate_fitted`, for the members of the first family, then of the next.
    """
    # batch_size=1: joblib sizes its batches by the first tasks, and where those are the fast ones
    # it would put many slow ones into one batch, while other processes are idle.
    results = Parallel(n_jobs=n_jobs, batch_size=1, return_as="generator")(
        delayed(evaluate_family)(family, data, split, classifier, scorers)
        for family, split in product(families, splits)
    )
    n_results = len(families) * len(splits)
    results = list(tqdm(results, total=n_results, unit="fit", disable=not verbose))
    cells = []
    for start in range(0, n_results, len(splits)):  # by families, each split's cells by members
        cells += zip(*results[start : start + len(splits)], strict=True)
    return np.array(cells, dtype=object)


def evaluate_family(family, data, split, classifier, scorers):
    """Fit the largest member of a family that can be fitted, and score all on held-out rows.

    Parameters
    ----------
    family : list of Member
    data : Bunch
        With X, y and groups.
    split : (ndarray, ndarray)
        Indices of the training rows and of the held-out rows.
    classifier : estimator or None
    scorers : dict of str to callable

    Returns
    -------
    cells : list of dict
        Those of `evaluate_fitted`, one for each member.
    """
    cells = [{**dict.fromkeys(MEASURES, np.nan), "errors": {}} for _ in family]
    by_size = sorted(zip(family, cells, strict=True), key=lambda pair: -pair[0].size)
    largest = None
    for member, cell in by_size:
        fitted = None
        with record_error(cell["errors"], "fit"):
            if largest is None:
                fitted, fit_time = fit_reducer(member.reducer, data, split)
                largest = fitted
            else:
                fitted = cut_reducer(largest, member.size)
            cell["fit_time"] = fit_time
        if fitted is not None:
            evaluate_fitted(fitted, cell, data, split, classifier, scorers)
    return cells


def evaluate_fitted(fitted, cell, data, split, classifier, scorers):
    """Score a fitted reducer on the held-out rows of a split.

    Parameters
    ----------
    cell : dict
        Receives every measure that can be computed. Of its "errors" each stage that fails
        receives an error message.
    """
    X, y = data.X, data.y
    train, test = split
    errors = cell["errors"]
    X_test, y_test = select_rows(X, test), None if y is None else select_rows(y, test)
    with record_error(errors, "transform"):
        start = perf_counter()
        codes = fitted.transform(X_test)
        cell["transform_time"] = perf_counter() - start
    if hasattr(fitted, "inverse_transform"):
        with record_error(errors, "reconstruction"):
            score = scorers["reconstruction_score"]
            cell["reconstruction_score"] = score(fitted, X_test, y_test)
    if classifier is not None and "transform" not in errors:
        with record_error(errors, "classifier"):
            X_train, y_train = select_rows(X, train), select_rows(y, train)
            model = clone(classifier).fit(fitted.transform(X_train), y_train)
            cell["classifier_score"] = scorers["classifier_score"](model, codes, y_test)


@contextmanager
def record_error(errors, stage):
    """Store the message of an exception raised inside the block in `errors`, and suppress it."""
    try:
        yield
    except Exception as error:
        errors[stage] = f"{type(error).__name__}: {error}"


def fit_reducer(reducer, data, split):
    """Return a reducer fitted on the training rows of a split, and the seconds it took.

    `cross_validate` fits it, so that the active joblib backend, such as Dask's, may run the fit
    on another worker. Its own score is a dummy: the caller computes the scores, to record the
    errors of each.
    """
    names = [] if data.groups is None else list_group_parameters(reducer)
    with config_context(enable_metadata_routing=False):  # steps need not request groups
        result = cross_validate(
            reducer,
            data.X,
            data.y,
            cv=[split],
            params=dict.fromkeys(names, data.groups) or None,
            scoring=lambda *_: 0.0,
            error_score="raise",
            return_estimator=True,
        )
    return result["estimator"][0], result["fit_time"].item()


def report_errors(cells, names, sizes):
    """Warn of each reducer and stage that failed, with the code sizes and the first error.

    Parameters
    ----------
    cells : ndarray of shape (n_estimators, n_sizes, n_splits)
        Results of `evaluate_fitted`.
    names : list of str
        Names of the reducers.
    sizes : list of int
        Code sizes.

    Raises
    ------
    ValueError
        If no reducer could be fitted and encode the held-out rows.
    """
    if all({"fit", "transform"} & cell["errors"].keys() for cell in cells.flat):
        error = find_first_error(cells, "fit") or find_first_error(cells, "transform")
        raise ValueError(f"All the {cells.size} fits failed. The first error: {error}")
    for (name, own_cells), stage in product(zip(names, cells, strict=True), STAGES):
        failed = [
            size
            for size, cells_of_size in zip(sizes, own_cells, strict=True)
            if find_first_error(cells_of_size, stage)
        ]
        if failed:
            warnings.warn(
                f"{name} with n_components={', '.join(map(str, failed))} has NaN scores in the "
                f"folds where the {stage} failed. The first error: "
                f"{find_first_error(own_cells, stage)}",
                FitFailedWarning,
                stacklevel=find_stacklevel(),
            )


def find_stacklevel():
    """Return the `stacklevel` by which the caller warns of the user's line.

    It passes over the frames of this package and of scikit-learn, which checks the parameters.
    """
    frame, level = inspect.currentframe().f_back, 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(
        ("sklearn_ae.", "sklearn.")
    ):
        frame, level = frame.f_back, level + 1
    return level


def find_first_error(cells, stage):
    """Return the first error message of a stage, or None."""
    return next((cell["errors"][stage] for cell in cells.flat if stage in cell["errors"]), None)


def check_sizes(n_components):
    """Convert the code sizes to a list of int; raise a ValueError for impossible ones."""
    sizes = list(n_components)
    if not (sizes and all(is_int(size) and size >= 1 for size in sizes)):
        raise ValueError(
            "n_components must hold one or more code sizes, integers of at least 1; got "
            f"{n_components!r}."
        )
    return [int(size) for size in sizes]


def check_reconstruction_scoring(scoring, reducers):
    """Raise a ValueError if `scoring` cannot score a reconstruction."""
    if isinstance(scoring, str):
        raise ValueError(
            "scoring must be a callable that scores the reconstruction, such as those of "
            f"sklearn_ae.metrics; got {scoring!r}. To score the classifier, use "
            "classifier_scoring."
        )
    if scoring is not None:  # a metric, which takes y_true and y_pred, is no scorer
        check_scoring(next(iter(reducers.values())), scoring=scoring)


def check_splits(splits, n_rows):
    """Raise a ValueError unless there are splits, each of training and test rows of X."""
    if not splits:
        raise ValueError("cv makes no splits.")
    for split in splits:
        parts = [np.asarray(part) for part in split]
        if len(parts) != 2 or any(part.ndim != 1 or part.size == 0 for part in parts):
            raise ValueError(
                "Each split of cv must hold the indices of its training rows and of its test "
                f"rows, at least one of each; got {split!r}."
            )
        for part in parts:
            if part.dtype.kind not in "iu" and (part.dtype.kind != "b" or len(part) != n_rows):
                raise ValueError(f"The splits of cv must hold indices or masks; got {part!r}.")
            if part.dtype.kind in "iu" and not (-n_rows <= part.min() <= part.max() < n_rows):
                raise ValueError(f"A split of cv has indices that X, of {n_rows} rows, lacks.")


def resolve_classifier(classifier, y, classifier_scoring):
    """Return the estimator that predicts y from the codes, or None without y.

    The default is a linear model on standardised codes.
    """
    if y is None:
        if classifier is not None or classifier_scoring is not None:
            raise ValueError("The classifier needs a target: pass y.")
        return None
    if classifier is not None:
        clone(classifier)  # raises if it is a class or cannot be cloned
        if is_classifier(classifier):
            check_classification_targets(y)
        return classifier
    if np.ndim(y) == 1 and split_missing(y)[1].any():
        raise ValueError(
            "y has missing labels, and the classifier needs all of them. Leave out the rows "
            "without a label, or y to score the reconstruction only."
        )
    with np.errstate(invalid="ignore"):  # it warns of NaN and infinity before it rejects them
        kind = type_of_target(y, input_name="y")
    if "multioutput" in kind or "multilabel" in kind or kind == "unknown":
        raise ValueError(f"There is no default classifier for a y of type {kind!r}; pass one.")
    if holds_classes(y):
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 7)))


def name_scores(scoring, classifier, classifier_scoring):
    """Return the names of the scores, as in the result of `code_size_curve`."""
    names = {"reconstruction_score": name_score(scoring, "R² of the reconstruction")}
    if classifier is not None:
        is_accuracy = is_classifier(classifier)
        default = "accuracy of the classifier" if is_accuracy else "R² of the regressor"
        names["classifier_score"] = name_score(classifier_scoring, default)
    return names


def name_score(scoring, default):
    """Return the name of the score that `scoring` computes; `default` if it is None."""
    if scoring is None or isinstance(scoring, str):
        return scoring or default
    function = getattr(scoring, "_score_func", scoring)  # set on the scorers of make_scorer
    return getattr(function, "__name__", type(function).__name__)


def collect_curve(cells, reducers, sizes, score_names):
    """Collect the results of all reducers, code sizes and splits in a Bunch of arrays.

    Parameters
    ----------
    cells : ndarray of shape (n_estimators, n_sizes, n_splits)
        Results of `evaluate_fitted`.
    reducers : dict of str to estimator
        Reducers by name.
    sizes : list of int
        Code sizes.
    score_names : dict of str to str
        Names of the scores, as in the result of `code_size_curve`.
    """
    curve = Bunch(
        estimators=list(reducers),
        kinds=[get_class_name(reducer) for reducer in reducers.values()],
        n_components=np.array(sizes),
        score_names=score_names,
    )
    for measure in MEASURES:
        curve[measure] = np.vectorize(itemgetter(measure), otypes=[float])(cells)
    if "classifier_score" not in score_names:
        curve.classifier_score = None
    curve.frame = build_frame(curve)
    return curve


def build_frame(curve):
    """Return the curve as a pandas data frame, or None if pandas is not installed."""
    try:
        import pandas as pd
    except ImportError:
        return None
    i_estimator, i_size, i_split = np.indices(curve.fit_time.shape).reshape(3, -1)
    columns = {
        "estimator": np.array(curve.estimators)[i_estimator],
        "n_components": curve.n_components[i_size],
        "split": i_split,
    }
    columns |= {name: curve[name].ravel() for name in MEASURES if curve[name] is not None}
    return pd.DataFrame(columns)
