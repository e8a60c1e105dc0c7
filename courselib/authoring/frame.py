"""The cells every notebook begins with, the same in all of them."""

from __future__ import annotations

from dataclasses import dataclass

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from courselib.authoring.project import Project
from courselib.authoring.prose import Translate
from courselib.authoring.source import MAX_IMPORTANCE, Lesson
from courselib.authoring.tags import SETUP

# In a try, because a machine that has the course must not be touched. What is installed becomes a constraint: pip takes
# an older release of what is missing, or refuses, before it replaces a package that the running kernel has loaded, or
# that belongs to Colab's front end. The floors in pyproject.toml are what Colab ships.
_SETUP = """\
# The same in every lesson: installs the course where it is missing,
# changes nothing else, then says what is on this machine.
try:
    import courselib
except ModuleNotFoundError:
    import tempfile

    kept = tempfile.mkdtemp() + "/constraints.txt"
    %pip list --format=freeze > "{{kept}}"
    %pip install -q -c "{{kept}}" "{requirement}"
    import courselib
courselib.setup()"""


@dataclass(frozen=True)
class Neighbours:
    """What a lesson's last cell links to.

    Args:
        before, after: the lessons before and after, each as its file's stem and its title; ``None`` at either end.
        sheet: the cheat sheet of the lesson's engine, as its file and its title.
        exercises: the lesson's, each as its file's stem and its title.
    """

    before: tuple[str, str] | None = None
    after: tuple[str, str] | None = None
    sheet: tuple[str, str] | None = None
    exercises: tuple[tuple[str, str], ...] = ()


ALONE = Neighbours()


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
        "prometheus": _("Prometheus (Debian's package `prometheus`)"),
        "haproxy": _("HAProxy (Debian's package `haproxy`)"),
        "download": _("a download"),
    }
    facts = [_("{n} minutes").format(n=lesson.minutes), words[lesson.level]]
    if lesson.exercise:
        facts.append(_("{n} points").format(n=lesson.exercise.points))
        facts.append(_("importance {n} of {most}").format(n=lesson.exercise.importance, most=MAX_IMPORTANCE))
        facts.append(f"[{_('the lesson')}](../../notebooks/en/{lesson.exercise.lesson}.ipynb)")
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


def foot_cell(neighbours: Neighbours, _: Translate) -> NotebookNode | None:
    """Links to a lesson's exercises and to the lessons before and after; ``None`` where there is none of these."""
    links = [f"← [{neighbours.before[1]}]({neighbours.before[0]}.ipynb)"] if neighbours.before else []
    links += [f"[{neighbours.sheet[1]}]({neighbours.sheet[0]})"] if neighbours.sheet else []
    links += [f"[{neighbours.after[1]}]({neighbours.after[0]}.ipynb) →"] if neighbours.after else []
    exercises = [f"[{title}](../../exercises/en/{name}.ipynb)" for name, title in neighbours.exercises]
    lines = [f"**{_('Exercises')}** " + " · ".join(exercises)] if exercises else []
    lines += [" · ".join(links)] if links else []
    return new_markdown_cell("\n\n".join(lines)) if lines else None
