"""scikit-learn's own checks, those that it runs and those that it only defines."""

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_ae import AutoencoderTransformer

ESTIMATORS = [
    AutoencoderTransformer(),
    AutoencoderTransformer(linear_start=False, hidden_layer_sizes=(16,), early_stopping=False),
]

# Public checks of scikit-learn's that check_estimator does not run.
FURTHER_CHECKS = [
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# the checks fit data frames and transform arrays; scikit-learn itself warns of that
@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names")
@pytest.mark.parametrize("name", FURTHER_CHECKS)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=["linear start", "textbook"])
def test_further_scikit_learn_checks(estimator, name):
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)
