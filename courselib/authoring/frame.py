"""The cells every notebook begins with, the same in all of them."""

from __future__ import annotations

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from courselib.authoring.project import Project
from courselib.authoring.prose import Translate
from courselib.authoring.source import Lesson
from courselib.authoring.tags import SETUP

# In a try, because a machine that has the course must not be touched, and pip installs nothing that is already good
# enough: the floors in pyproject.toml are what Colab ships.
_SETUP = """\
# The same in every lesson: installs the course where it is missing,
# then says what is on this machine.
try:
    import courselib
except ModuleNotFoundError:
    %pip install -q "{requirement}"
    import courselib
courselib.setup()"""


def head_cell(lesson: Lesson, project: Project, notebook: str, _: Translate) -> NotebookNode:
    """Links to Colab and Binder, what the lesson takes, and a word to those who would edit the notebook.

    The links are words, not the services' pictures: pictures are fetched when the page is opened, which tells others
    what is read and leaves gaps where there is no network. The metadata are those by which Colab knows such a cell.
    """
    words = {
        "beginner": _("beginner"),
        "intermediate": _("intermediate"),
        "advanced": _("advanced"),
        "native": _("llama.cpp as a library (`make native`)"),
        "vllm": _("vLLM (`courselib install vllm`)"),
        "tgi": _("TGI"),
        "gpu": _("a GPU"),
        "docker": _("Docker"),
        "download": _("a download"),
    }
    facts = [_("{n} minutes").format(n=lesson.minutes), words[lesson.level]]
    # llama.cpp comes with the course.
    if needs := [words[need] for need in lesson.needs if need != "llama.cpp"]:
        facts.append(_("needs {needs}").format(needs=", ".join(needs)))
    colab, binder = _("Open in Colab"), _("Open in Binder")
    links = [f"[{colab}]({project.colab(notebook)})", f"[{binder}]({project.binder(notebook)})"]
    source = f"<!-- Built from {lesson.path} by `courselib build`. Edit that file, not this one. -->\n\n"
    source += " · ".join([*links, *facts])
    cell: NotebookNode = new_markdown_cell(source, metadata={"id": "view-in-github", "colab_type": "text"})
    return cell


def setup_cell(project: Project) -> NotebookNode:
    """The first code cell: the course made ready, wherever the notebook was opened."""
    cell: NotebookNode = new_code_cell(_SETUP.format(requirement=project.requirement), metadata={"tags": [SETUP]})
    return cell
