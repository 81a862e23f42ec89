"""What holds for every estimator: scikit-learn's own checks, and what docstrings say."""

import inspect

import pytest
import torch
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from zoo import TAKES_ANY_NUMBERS, make_estimator

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder

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


# One epoch: the checks are of the contract, not of quality.
CHECKED = {name: make_estimator(name, max_epochs=1) for name in TAKES_ANY_NUMBERS}


def run_check(estimator, check):
    if "cuda" in str(check) and not torch.cuda.is_available():
        pytest.skip("scikit-learn asks whether torch is built for CUDA, not whether there is a GPU")
    check(estimator)


# scikit-learn's tables of some twenty rows are small for a first chunk, and we warn of that
FEW_ROWS = pytest.mark.filterwarnings("ignore:The first chunk of partial_fit")


@FEW_ROWS
@parametrize_with_checks(list(CHECKED.values()))
def test_scikit_learn_checks(estimator, check):
    run_check(estimator, check)


@FEW_ROWS
@parametrize_with_checks([AutoencoderTransformer(max_epochs=1), DenoisingAutoencoder(max_epochs=1)])
def test_scikit_learn_checks_of_full_size(estimator, check):
    run_check(estimator, check)


# the checks fit data frames and transform arrays; scikit-learn itself warns of that
@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names")
@pytest.mark.parametrize("check", FURTHER_CHECKS)
@pytest.mark.parametrize("name", CHECKED)
def test_further_scikit_learn_checks(name, check):
    estimator = CHECKED[name]
    getattr(estimator_checks, check)(type(estimator).__name__, estimator)


@pytest.mark.parametrize("name", ["linear start", "denoising"])
@pytest.mark.parametrize(
    ("library", "dtype"),
    [("torch", "float32"), ("torch", "float64"), ("array_api_strict", "float64")],
)
def test_results_on_arrays_of_other_libraries_are_those_on_numpys(name, library, dtype):
    # the rows vary along 8 directions: further codes would be rounding, which differs
    estimator = make_estimator(name, n_components=4)
    estimator_checks.check_array_api_input_and_values(name, estimator, library, dtype_name=dtype)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
def test_docstring_tells_every_parameter_and_its_default(estimator):
    documented = inspect.getdoc(estimator).replace("\\\n           ", "").replace("\\\n       ", "")
    for name, parameter in inspect.signature(estimator).parameters.items():
        line = next(x for x in documented.splitlines() if x.startswith(f"{name} : "))
        default = str(parameter.default).replace("'", '"')
        assert line.replace("'", '"').split("default=")[1].strip('"') == default.strip('"')


def paragraphs(estimator):
    """Return the documentation of each parameter by its name."""
    text = inspect.getdoc(estimator).split("----------\n", 1)[1].split("Attributes\n")[0]
    return {part.split(" : ")[0].strip(): part.strip() for part in text.split("\n\n")}


def test_shared_parameters_are_documented_alike():
    plain, denoising = paragraphs(AutoencoderTransformer), paragraphs(DenoisingAutoencoder)
    assert plain.keys() - denoising.keys() == {"masking_rate", "target_weight"}
    # what the start and the defaults are, and the number of a reference
    own = {"n_components", "init", "schedule", "warm_start", "random_state"}
    own |= {
        "ordered",
        "hidden_layer_sizes",
        "activation",
        "learning_rate",
        "batch_size",
        "max_epochs",
    }
    for name in (plain.keys() & denoising.keys()) - own:
        assert denoising[name] == plain[name]
