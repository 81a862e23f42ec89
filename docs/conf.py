"""Sphinx configuration."""

import zlib
from pathlib import Path

from sklearn.experimental import enable_iterative_imputer  # noqa: F401, for links to it
from sphinx_gallery.sorting import ExplicitOrder

import sklearn_ae

project = "sklearn-ae"
author = "The sklearn-ae developers"
copyright = "2026, " + author
release = version = sklearn_ae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
smartquotes = False  # "auto" is a value to copy
highlight_language = "none"  # of what follows "::"; code says what it is
toc_object_entries_show_parents = "hide"
default_role = "py:obj"  # in docstrings, as in NumPy's: a link where there is something to link to

html_theme = "pydata_sphinx_theme"
html_title = "sklearn-ae"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_show_sourcelink = False
WITHOUT_SIDEBAR = ("start", "faq", "glossary", "measured", "changes", "contributing")
html_sidebars = {page: [] for page in WITHOUT_SIDEBAR}
LIBRARIES = [f"coming_from/{path.stem}" for path in Path(__file__).parent.glob("coming_from/*")]
WIDE_PAGES = ["index", "user_guide/which", *LIBRARIES]  # without their own contents at the right
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": False,
    "secondary_sidebar_items": {"**": ["page-toc"], **{page: [] for page in WIDE_PAGES}},
    "footer_start": ["copyright"],
    "footer_end": [],
}

autosummary_generate = True
numpydoc_show_class_members = False  # the template of classes shows them in full

# ------------------------------------------------------------------------- other projects' pages


def inventory(name):
    """Return the path of an inventory of what these pages link to, for builds without a network."""
    here = Path(__file__).parent
    lines = (here / "inventories" / f"{name}.txt").read_bytes()
    head = f"# Sphinx inventory version 2\n# Project: {name}\n# Version:\n"
    path = here / "_build" / "inventories" / f"{name}.inv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"{head}# The rest is compressed by zlib.\n".encode() + zlib.compress(lines))
    return str(path)


SITES = {
    "matplotlib": "https://matplotlib.org/stable/",
    "numpy": "https://numpy.org/doc/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "python": "https://docs.python.org/3/",
    "sklearn": "https://scikit-learn.org/stable/",
    "skorch": "https://skorch.readthedocs.io/en/stable/",
    "torch": "https://docs.pytorch.org/docs/stable/",
}
intersphinx_mapping = {name: (url, (None, inventory(name))) for name, url in SITES.items()}
intersphinx_timeout = 10

# ------------------------------------------------------------------------------------ the gallery

EXAMPLES = [
    "plot_tutorial.py",
    "plot_compare_with_pca.py",
    "plot_one_fit_for_all_sizes.py",
    "plot_reconstructions.py",
    "plot_code_scatter.py",
    "plot_codes_with_y.py",
    "plot_closed_form.py",
    "plot_loss_curves.py",
    "plot_interpolation.py",
    "plot_grid_search.py",
    "plot_column_transformer.py",
    "plot_text_features.py",
    "plot_anomalies.py",
    "plot_denoise_digits.py",
    "plot_pairs.py",
    "plot_colourise.py",
    "plot_sharpen.py",
    "plot_sample_digits.py",
    "plot_likelihood.py",
    "plot_imputation.py",
]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": ExplicitOrder(EXAMPLES),
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_ae",),
    "reference_url": {"sklearn_ae": None},
    "abort_on_example_error": True,
    "run_stale_examples": True,  # what they show depends on the package, not on their text alone
    "image_srcset": ["2x"],
    "show_memory": False,
    "min_reported_time": 1,
}
