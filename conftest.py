"""For the tests and the doctests: pictures are drawn without a screen, and closed."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # read when SciPy is imported

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

collect_ignore_glob = ["docs/*.py", "docs/_build/*", "docs/auto_examples/*", "docs/generated/*"]


@pytest.fixture(autouse=True)
def pictures():
    mpl.use("Agg")
    yield
    plt.close("all")
