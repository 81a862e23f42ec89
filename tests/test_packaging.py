"""What a release uploads: the wheel holds the package, and the sdist all that it is built from.

The tools come from the environment, so that nothing is downloaded.
"""

import re
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from readme_renderer.markdown import render
from zoo import run_python

import sklearn_ae

pytestmark = pytest.mark.slow  # builds in processes of its own

ROOT = Path(__file__).parents[1]
SAVED = list((Path(__file__).parent / "saved").glob("* *.*"))
VERSION = sklearn_ae.__version__
SITE = "https://sklearn-ae.readthedocs.io/en/stable/"
FILES = "https://github.com/sklearn-ae/sklearn-ae/blob/"
PICTURES = "https://raw.githubusercontent.com/sklearn-ae/sklearn-ae/"


def build(source, folder, *kinds):
    """Build distributions of a source tree, and return their paths."""
    run_python("-m", "build", "--no-isolation", *kinds, "--outdir", str(folder), str(source))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The sdist and the wheel of the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    sdist, wheel = sorted(build(ROOT, folder, "--sdist", "--wheel"), key=lambda path: path.suffix)
    return sdist, wheel


@pytest.fixture(scope="module")
def wheel(distributions):
    with zipfile.ZipFile(distributions[1]) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    return message_from_bytes(wheel.read(f"sklearn_ae-{VERSION}.dist-info/METADATA"))


def list_modules(folder):
    """Return the Python files of a folder in the checkout, as archives name them."""
    return {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py")}


def test_the_wheel_holds_the_package_alone(wheel):
    info = f"sklearn_ae-{VERSION}.dist-info/"
    described = {info + name for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    assert set(wheel.namelist()) == list_modules("sklearn_ae") | described


def test_the_wheel_is_small_and_for_every_machine(distributions):
    assert distributions[1].name == f"sklearn_ae-{VERSION}-py3-none-any.whl"
    # the text of the modules; data or pictures would make it larger
    assert distributions[1].stat().st_size <= 260_000


def test_the_sdist_builds_the_same_wheel(distributions, tmp_path):
    sdist, wheel = distributions
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    (built,) = build(source, tmp_path / "dist", "--wheel")
    assert built.read_bytes() == wheel.read_bytes()


def test_the_sdist_holds_what_its_tests_and_pages_need(distributions):
    with tarfile.open(distributions[0]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"conftest.py", "noxfile.py", "README.md", "LICENSE", "CITATION.cff"} <= names
    for folder in ("sklearn_ae", "tests", "examples", "benchmarks"):
        assert list_modules(folder) <= names
    assert {"docs/conf.py", "docs/start.rst", "docs/images/compare_with_pca.png"} <= names
    assert {f"tests/saved/{path.name}" for path in SAVED} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith("docs/_build")]


# ----------------------------------------------------------------------- the page on PyPI


def test_links_and_pictures_on_pypi_are_absolute(metadata):
    page = render(metadata.get_payload())
    links = re.findall(r'<(?:a|img)[^>]* (?:href|src)="([^"]*)"', page)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert f"{PICTURES}v{VERSION}/docs/images/compare_with_pca.png" in links
    assert f"{SITE}user_guide/denoising.html" in links
    assert f"{FILES}v{VERSION}/SECURITY.md" in links


def test_links_on_pypi_lead_to_files_of_the_release(metadata):
    text = metadata.get_payload()
    at_tag = re.findall(rf"\((?:{FILES}|{PICTURES})v{VERSION}/([^)#]+)", text)
    pages = re.findall(rf"\({SITE}([^)#]+)\.html", text)
    assert len(at_tag) > 5
    assert len(pages) > 10
    for path in [*at_tag, *(f"docs/{page}.rst" for page in pages)]:
        assert (ROOT / path).is_file(), path


def test_metadata(metadata):
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Description-Content-Type"] == "text/markdown"
    labels = [url.split(",")[0] for url in metadata.get_all("Project-URL")]
    assert labels == ["Homepage", "Documentation", "Source", "Issues", "Changelog"]


def test_version_and_dependencies_stand_elsewhere_too(metadata):
    recipe = (ROOT / "packaging" / "conda-forge" / "recipe.yaml").read_text()
    needed = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert len(needed) > 5
    for dependency in needed:
        name, least = dependency.replace("torch", "pytorch").split(">=")
        assert f"    - {name} >={least}\n" in recipe
    if "dev" not in VERSION:
        for text in (recipe, (ROOT / "CITATION.cff").read_text()):
            assert re.search(rf"^ *version: {re.escape(VERSION)}$", text, flags=re.MULTILINE)
