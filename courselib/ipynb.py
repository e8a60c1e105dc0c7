"""A notebook's JSON, for those who build notebooks and those who hand out copies; without any package of Jupyter's."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

Notebook = TypeVar("Notebook", bound=dict[str, Any])


def without_outputs(notebook: Notebook) -> Notebook:
    """A copy of a notebook as if it had never been run."""
    bare = copy.deepcopy(notebook)
    for cell in bare["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return bare
