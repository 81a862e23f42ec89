"""For the tests and the doctests: examples, processes and threads; pictures without a screen."""

import os
from pathlib import Path

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # read when SciPy is imported
if "PYTEST_XDIST_WORKER" in os.environ:
    # As many processes as cores: further threads would only wait for each other. torch and the
    # libraries of linear algebra read this when they are imported, and the tests' own processes
    # inherit it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib as mpl
import pytest
from hypothesis import HealthCheck, settings
from matplotlib import pyplot as plt

collect_ignore_glob = ["docs/*.py", "docs/_build/*", "docs/auto_examples/*", "docs/generated/*"]

# How many examples Hypothesis draws for a test: `pytest --hypothesis-profile thorough`. A busy
# machine is no failure, so there are neither deadlines nor complaints of slow draws.
PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=50, **PATIENT)
settings.register_profile("thorough", max_examples=500, **PATIENT)
settings.load_profile("default")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Return 0 where files or tests are named: they are done before processes have started."""
    names_files = any(Path(name.split("::")[0]).is_file() for name in config.args)
    return 0 if names_files else min(4, os.cpu_count() or 1)  # each takes up to 1 GB


def pytest_collection_modifyitems(items):
    """Mark the pages' examples as slow: they fit at full size, and search in processes."""
    for item in items:
        if item.path.suffix == ".rst":
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def pictures():
    mpl.use("Agg")
    yield
    plt.close("all")
