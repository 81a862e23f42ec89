"""The tests on the oldest and the newest versions of what the package builds on, and their tests.

    nox                  # newest and oldest releases, on the Pythons that are there
    nox -s oldest
    nox -s scikit_learn  # each minor release of scikit-learn
    nox -s prereleases   # what will be the newest
    nox -s coverage      # which lines and branches the tests run
    nox -s mutants       # which changes of the code they notice; takes a day

torch has wheels for CPUs on PyPI for some versions only; ``PIP_CONSTRAINT`` can name one.
"""

from pathlib import Path

import nox

nox.options.sessions = ["newest", "oldest"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# pandas 3 came after scikit-learn 1.7.0, which cannot read its columns of text
OLDEST = [
    *("numpy==2.1.3", "scipy==1.15.3", "scikit-learn==1.7.0"),
    *("torch==2.9.0", "skorch==1.4.0", "pandas<3"),
]
SCIKIT_LEARN = ["1.7", "1.8", "1.9"]

# The modules that are mutated, and the tests that are to notice it.
MUTATED = {
    "_base": ["base", "networks", "rows", "saving", "inspection", "integration", "callbacks"],
    "_callbacks": ["training", "saving", "integration"],
    "_isolation": ["ambient_state", "isolation", "forks"],
    "_model": ["model", "base", "networks"],
    "_plan": ["plan", "base", "training"],
    "_saving": ["saving", "interruption", "integration"],
    "_start": ["start", "denoising", "rows"],
    "_training": ["training", "net", "interruption", "denoising", "integration", "callbacks"],
    "_split": ["folds", "evidence", "related_rows"],
    "_task": ["missing", "pairs", "denoising", "corruption"],
    "_trials": ["folds", "evidence", "training"],
    "_units": ["units", "model", "corruption"],
    "corruption": ["corruption", "denoising"],
    "metrics": ["metrics"],
}
COSMIC_RAY = """
[cosmic-ray]
module-path = "sklearn_ae/{module}.py"
timeout = 600.0
excluded-modules = []
test-command = "python -m pytest -x -q -p no:cacheprovider {tests}"
[cosmic-ray.distributor]
name = "local"
"""


@nox.session(python=PYTHONS)
def newest(session):
    """Run the tests on the newest releases."""
    session.install(".[test]")
    session.run("python", "-m", "pytest")


@nox.session(python=PYTHONS[0])
def oldest(session):
    """Run the tests on the oldest releases that are supported."""
    session.install(".[test]", *OLDEST)
    session.run("python", "-m", "pytest")


@nox.session
@nox.parametrize("release", SCIKIT_LEARN)
def scikit_learn(session, release):
    """Run the tests on a minor release of scikit-learn."""
    session.install(".[test]", f"scikit-learn=={release}.*")
    session.run("python", "-m", "pytest")


@nox.session
def prereleases(session):
    """Run the tests on the newest pre-releases, or releases where there are none."""
    session.install("--pre", ".[test]")
    session.run("python", "-m", "pytest")


@nox.session
def coverage(session):
    """Run the tests and fail where fewer than 97 % of lines and branches are run."""
    session.install(".[test]", "pytest-cov")
    covered = ["--cov=sklearn_ae", "--cov-branch", "--cov-fail-under=97"]
    session.run("python", "-m", "pytest", *covered, "--cov-report=term-missing:skip-covered")


@nox.session
def mutants(session):
    """Change the code in every small way, each by itself, and report what no test notices."""
    session.install("-e", ".[test]", "cosmic-ray")
    folder = Path(session.create_tmp())
    for module, names in MUTATED.items():
        config, found = folder / f"{module}.toml", str(folder / f"{module}.sqlite")
        tests = " ".join(f"tests/test_{name}.py" for name in names)
        config.write_text(COSMIC_RAY.format(module=module, tests=tests))
        session.run("cosmic-ray", "init", str(config), found)
        session.run("cosmic-ray", "exec", str(config), found)
        session.run("cr-report", "--surviving-only", "--show-diff", found)
