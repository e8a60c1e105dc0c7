"""A small project of its own for each test."""

from __future__ import annotations

from pathlib import Path

import nbformat

from courselib.authoring.build import render
from courselib.authoring.project import read_project
from courselib.authoring.source import read_lesson

FIXTURES = Path(__file__).parent / "fixtures"
PYPROJECT = '[project]\nversion = "1.2.3"\n\n[tool.courselib]\nrepository = "some/course"\n'


def fixture(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


def make_project(root: Path, **lessons: str) -> Path:
    (root / "lessons").mkdir(parents=True)
    (root / "pyproject.toml").write_text(PYPROJECT)
    for name, text in lessons.items():
        (root / "lessons" / f"{name}.md").write_text(text, encoding="utf-8")
    return root


def read(root: Path, name: str):
    return read_lesson(root, root / "lessons" / f"{name}.md")


def rendered(root: Path, name: str, **options):
    return render(root, read(root, name), read_project(root), path=f"notebooks/en/{name}.ipynb", **options).notebook


def notebook_path(root: Path, name: str) -> Path:
    return root / "notebooks" / "en" / f"{name}.ipynb"


def notebook(root: Path, name: str):
    return nbformat.read(notebook_path(root, name), as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]
