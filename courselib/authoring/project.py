"""Where the project lives: the one place that badges and installation lines are made from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from courselib.errors import LessonError
from courselib.i18n import _

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Project:
    """The project's public home.

    Args:
        repository: ``owner/name`` on GitHub.
        version: the package's; its tag is ``v`` and the version.
    """

    repository: str
    version: str

    @property
    def tag(self) -> str:
        """The tag that links and installations are pinned to: an old notebook gets the package it was made for."""
        return f"v{self.version}"

    @property
    def requirement(self) -> str:
        """What pip installs: this version's source, not a name that anyone may claim on an index."""
        return f"courselib @ https://github.com/{self.repository}/archive/refs/tags/{self.tag}.zip"

    def colab(self, notebook: str) -> str:
        """The address that opens a notebook in Colab."""
        return f"https://colab.research.google.com/github/{self.repository}/blob/{self.tag}/{quote(notebook)}"

    def binder(self, notebook: str) -> str:
        """The address that opens a notebook in Binder."""
        return f"https://mybinder.org/v2/gh/{self.repository}/{self.tag}?urlpath=lab/tree/{quote(notebook)}"


def read_project(root: Path) -> Project:
    """Read ``[project] version`` and ``[tool.courselib] repository`` from the pyproject.toml in ``root``.

    Raises:
        LessonError: there is no such file, or one of the two is missing.
    """
    try:
        data = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        return Project(data["tool"]["courselib"]["repository"], data["project"]["version"])
    except FileNotFoundError:
        raise LessonError(_("There is no pyproject.toml in {root}; build in a clone.").format(root=root)) from None
    except KeyError as error:
        text = _("pyproject.toml lacks {key}; it needs [project] version and [tool.courselib] repository.")
        raise LessonError(text.format(key=error)) from None
