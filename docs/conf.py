"""How Sphinx builds these pages: `make docs`."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from kemi.testing import FakeKSR

# Only Kamailio has the real one, and the library imports it.
sys.modules["KSR"] = FakeKSR().api  # type: ignore[assignment]

project = "kemi"
release = metadata.version("kemi")
html_title = "kemi"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "sphinx_copybutton",
    "ksr_pages",
    "kemi_tables",
    "pictures",
    "nat_tables",
    "narrow_tables",
    "repository_links",
]
exclude_patterns = ["_ext", "_static"]
# Methods and functions must exist; types of other libraries and modules without a page are not looked up.
nitpicky = True
nitpick_ignore_regex = [("py:(class|data|exc|mod|obj)", ".*")]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# Functions of KSR and settings are shown as plain text, shell commands with their prompt.
highlight_language = "text"
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_static_path = ["_static"]
html_extra_path = ["lab-call.html"]
html_css_files = ["kemi.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options: dict[str, object] = {"top_of_page_buttons": []}
