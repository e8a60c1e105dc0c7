"""Sphinx's settings for the course's website. ``website/build.py`` prepares the pages and runs Sphinx with these."""

import os
import re

project = "courselib"
author = "the authors of courselib"
project_copyright = "The authors of courselib, Apache-2.0"
language = os.environ["COURSELIB_SITE_LANGUAGE"]
# Every language has a folder of its own, with the same pages; with more than one, each page links to its twins.
html_context = {"languages": os.environ["COURSELIB_SITE_LANGUAGES"].split()}
templates_path = ["templates"]
html_sidebars = {
    "**": ["navbar-logo.html", "search-button-field.html", "languages.html", "sbt-sidebar-nav.html"],
}
root_doc = "index"
extensions = ["myst_nb"]

# The outputs are those of the committed notebooks: no engine runs here.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["attrs_inline", "colon_fence"]
# An anchor as JupyterLab makes it of a heading, so that the notebooks' links to the glossary hold.
myst_heading_anchors = 3
myst_heading_slug_func = "conf.anchor"

# Against furo, which is smaller: this theme has rules for a notebook's cells and outputs in both colour schemes.
html_theme = "sphinx_book_theme"
html_title = "courselib"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
# Excerpts below a search's results would be fetched, which browsers refuse for pages opened from a folder.
html_show_search_summary = False
html_theme_options = {
    "navbar_persistent": [],
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_navbar_depth": 1,
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def anchor(heading: str) -> str:
    """A heading's anchor, as JupyterLab makes it."""
    return re.sub(r"\s", "-", heading)
