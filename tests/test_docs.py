"""The documentation says what the code does; its ``>>>`` examples are run as doctests."""

import ast
import inspect
import os
import re
import textwrap
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from prose import count_words, find_prose, find_sentences, read_markdown
from sklearn.pipeline import Pipeline
from zoo import CORRUPTIONS, run_python

import sklearn_ae
from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder, inspection
from sklearn_ae.corruption import corrupt
from sklearn_ae.metrics import RestorationScorer

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^( *)\.\. code-block:: python\n\n((?:\1 +.*\n|\n)+)", flags=re.MULTILINE)


def python_blocks(page):
    """Return the code of a page's blocks."""
    return [textwrap.dedent(code) for _, code in BLOCK.findall((DOCS / page).read_text())]


def own_blocks(page):
    """Return those that use the package."""
    return [code for code in python_blocks(page) if "sklearn_ae" in code]


def list_own_blocks():
    """Return the code of this package beside that of other libraries, and its page."""
    pages = [path.relative_to(DOCS) for path in sorted((DOCS / "coming_from").glob("*.rst"))]
    return [pytest.param(page, code, id=page.stem) for page in pages for code in own_blocks(page)]


def make_arrays():
    """Return the arrays that pages of other libraries name."""
    X = np.random.RandomState(0).uniform(size=(110, 784))
    names = {"X_train": X[:60], "X_val": X[60:80], "X_test": X[80:]}
    return names | {"X_noisy": X[:60] ** 2, "X_noisy_test": X[80:]}


def make_frames():
    """Return tables of numbers and categories, with missing values."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"age": rng.normal(40, 10, 300), "income": rng.lognormal(size=300)})
    table["job"] = rng.choice(["baker", "pilot", None], 300)
    table.loc[::17, "age"] = None
    return {"X_train": table[:200], "X_val": table[200:250], "X_test": table[250:]}


@pytest.mark.parametrize(("page", "code"), list_own_blocks())
def test_what_stands_beside_others_code_runs(page, code):
    names = make_frames() if page.stem == "dfencoder" else make_arrays()
    exec(compile(code, str(page), "exec"), names)
    X_test = names["X_test"]
    if page.stem == "pyod":
        assert set(names["labels"]) <= {-1, 1}
        return
    autoencoder = names["autoencoder"]
    last = autoencoder[-1] if isinstance(autoencoder, Pipeline) else autoencoder
    assert autoencoder.transform(X_test).shape == (len(X_test), last.n_components)


def test_codes_of_a_mixed_table_are_decoded_to_its_columns():
    names = make_frames()
    fit, decode = python_blocks("coming_from/dfencoder.rst")[1:]
    exec(fit, names)
    exec(decode, names)
    job = names["X_test"]["job"]
    assert names["restored_numbers"].shape == (50, 2)
    restored = pd.Series(names["restored_categories"][:, 0], index=job.index)
    assert (restored == job)[job.notna()].mean() > 0.9


def test_every_block_is_found():
    text = "".join(path.read_text() for path in (DOCS / "coming_from").glob("*.rst"))
    assert len(list_own_blocks()) == text.count("from sklearn_ae import") == 10


@pytest.mark.parametrize("estimator", [AutoencoderTransformer(), DenoisingAutoencoder()])
def test_the_html_representation_links_to_the_page_of_the_estimator(estimator):
    html = estimator._repr_html_()
    name = type(estimator).__name__
    assert f"/generated/sklearn_ae.{name}.html" in html
    assert re.search(rf"^   {name}$", (DOCS / "api.rst").read_text(), flags=re.MULTILINE)


def test_subclasses_elsewhere_do_not_link_here():
    class Own(AutoencoderTransformer):
        pass

    assert Own()._get_doc_link() == ""


def test_every_page_of_the_reference_is_of_something_public():
    text = (DOCS / "api.rst").read_text()
    listed = set(re.findall(r"^   (\w+)$", text, flags=re.MULTILINE))
    import sklearn_ae.corruption
    import sklearn_ae.dask
    import sklearn_ae.export
    import sklearn_ae.inspection
    import sklearn_ae.metrics

    public = {
        name
        for module in (
            sklearn_ae,
            sklearn_ae.corruption,
            sklearn_ae.dask,
            sklearn_ae.export,
            sklearn_ae.inspection,
            sklearn_ae.metrics,
        )
        for name in module.__all__
    }
    assert listed == public


def read_choices(documented):
    """Return the choices that a docstring lists, by parameters."""
    text = " ".join(inspect.getdoc(documented).replace("\\\n", " ").split())
    found = re.findall(r"\b(\w+) : (\{.*?\})", text)
    parameters = inspect.signature(documented).parameters
    return {name: ast.literal_eval(choices) for name, choices in found if name in parameters}


def find_accepted(estimator):
    """Return the choices that an estimator accepts, by parameters, as errors list them."""
    accepted = {}
    for name in inspect.signature(estimator).parameters:
        with pytest.raises(ValueError, match=name) as caught:
            estimator(**{name: "none of these"}).fit(np.eye(4))
        choices = re.search(r" among (\{.*?\})", str(caught.value))
        # "auto" alone stands beside numbers
        if choices and choices[1] != "{'auto'}":
            accepted[name] = ast.literal_eval(choices[1])
    return accepted


def read_table_names(page):
    """Return the quoted names in the first columns of a page's tables."""
    text = (DOCS / "user_guide" / page).read_text()
    return set(re.findall(r'^"(\w+)"  ', text, flags=re.MULTILINE))


@pytest.mark.parametrize("name", sklearn_ae.__all__)
def test_docstrings_list_every_choice(name):
    estimator = getattr(sklearn_ae, name)
    accepted = find_accepted(estimator)
    assert len(accepted) >= 4
    assert read_choices(estimator) == accepted


@pytest.mark.parametrize("documented", [DenoisingAutoencoder, corrupt, RestorationScorer])
def test_docstrings_list_every_corruption(documented):
    assert read_choices(documented)["corruption"] - {"auto"} == set(CORRUPTIONS)


def test_tables_have_every_corruption_and_loss():
    assert read_table_names("denoising.rst") == set(CORRUPTIONS)
    assert read_table_names("choosing.rst") == find_accepted(AutoencoderTransformer)["loss"]


def list_arguments():
    """Return the names of the arguments of the estimators and of their methods."""
    estimators = [getattr(sklearn_ae, name) for name in sklearn_ae.__all__]
    methods = ("__init__", "fit", "sample", "score_samples")
    found = [getattr(e, method, None) for e in estimators for method in methods]
    return {name for method in found if method for name in inspect.signature(method).parameters}


def test_the_table_of_tasks_names_arguments_and_methods():
    text = (DOCS / "user_guide" / "which.rst").read_text()
    literals = re.findall(r"``(.+?)``", text)
    names = {name for literal in literals for name in re.findall(r"(\w+)=", literal)}
    assert len(names) > 12
    assert names <= list_arguments()
    words = {word for word in literals if re.fullmatch(r"[a-z_]+", word)}
    assert len(words) > 12
    own = dir(AutoencoderTransformer) + dir(sklearn_ae.VariationalAutoencoder) + dir(inspection)
    assert words <= list_arguments() | set(own)


# ------------------------------------------------------------------------------------- prose

README = DOCS.parent / "README.md"
MADE = {"auto_examples", "generated", "_build", "_templates"}  # by Sphinx, and for it
PROSE = [README, *(path for path in sorted(DOCS.rglob("*.rst")) if not MADE & {*path.parts})]
SAMPLE = """
A title
=======

One two ``three four`` :doc:`five six <page>` seven. Eight,
nine; e.g. ten!

.. code-block:: python

   not_a_word = 1

   nor.this_one

- An item that is
  continued.
- Another

.. glossary::

   term
      What it is.

====  ====
no    no
====  ====

>>> no
no

The version is
0. Last::

   no
"""
MARKDOWN = """# No

One [two](no.md) ![no](no.png) `three three`.

```python
no
```

| no | no |
|---|---|
"""


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.stem)
def test_sentences_have_at_most_35_words(page):
    assert [s for s in find_sentences(page.read_text()) if count_words(s) > 35] == []


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.stem)
def test_lines_of_prose_have_at_most_120_characters(page):
    lines = [line for paragraph in find_prose(page.read_text()) for line in paragraph]
    assert [line for line in lines if len(line) > 120] == []


def test_the_readme_has_at_most_900_words():
    assert 100 < count_words(read_markdown(README.read_text())) <= 900


def test_prose_is_found_and_nothing_else():
    assert find_sentences(SAMPLE) == [
        "One two code five six seven.",
        "Eight, nine; etc ten!",
        "An item that is continued.",
        "Another",
        "term",
        "What it is.",
        "The version is 0.",
        "Last::",
    ]
    assert find_sentences(MARKDOWN) == ["One two  code."]
    assert count_words(read_markdown(MARKDOWN)) == 6


# ----------------------------------------------------------------------- scripts of the pages

PAGE = (DOCS / "user_guide" / "beyond_one_machine.rst").read_text()
SEARCH, TABLES, ROWS, TRAIN = python_blocks("user_guide/beyond_one_machine.rst")


def run(*command, folder):
    no_gpu = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # ranks would need one each
    return run_python(*command, cwd=folder, env=no_gpu)


@pytest.mark.slow
def test_the_script_of_a_search_runs_as_written(tmp_path):
    (tmp_path / "search.py").write_text(SEARCH)
    assert "'n_components': 16" in run("search.py", folder=tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the script that makes tables has been run."""
    folder = tmp_path_factory.mktemp("tables")
    (folder / "tables.py").write_text(TABLES)
    run("tables.py", folder=folder)
    return folder


# Dask calls what the latest pandas deprecates
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*The inplace keyword in DataFrame")
def test_the_script_of_rows_runs_as_written(folder):
    (folder / "rows.py").write_text(ROWS)
    assert float(run("rows.py", folder=folder)) > 0.6
    assert dd.read_parquet(folder / "codes").compute().shape == (1797, 8)


@pytest.mark.slow
def test_the_script_of_ranks_runs_as_written(folder):
    (folder / "train.py").write_text(TRAIN)
    (command,) = re.findall(r"\$ torchrun (--standalone .*)", PAGE)
    run("-m", "torch.distributed.run", *command.split(), folder=folder)
    assert np.load(folder / "codes.npy").shape == (1797, 32)
    assert (folder / "checkpoints" / "params.pt").exists()
