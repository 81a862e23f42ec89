"""The tests on the oldest and the newest versions of what the package builds on.

    nox                  # both, on the Pythons that are there
    nox -s oldest

torch has wheels for CPUs on PyPI for some versions only; ``PIP_CONSTRAINT`` can name one.
"""

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
OLDEST = ["numpy==2.1.3", "scipy==1.15.3", "scikit-learn==1.9.0", "skorch==1.4.0"]


@nox.session(python=PYTHONS)
def newest(session):
    """Run the tests on the newest releases."""
    session.install(".[test]")
    session.run("python", "-m", "pytest")


@nox.session(python=PYTHONS[0])
def oldest(session):
    """Run the tests on the oldest releases that are supported."""
    session.install(".[test]", *OLDEST)
    # scikit-learn 1.9.0 parametrises its checks with a generator
    session.run("python", "-m", "pytest", "-W", "ignore:Passing a non-Collection iterable")
