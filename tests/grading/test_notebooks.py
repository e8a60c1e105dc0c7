"""Notebooks as they come back: changed, copied, broken, from elsewhere. What can be graded is graded, and said."""

import copy
import json

import pytest

from courselib.grading import answer
from courselib.grading.answer import Unreadable, find
from courselib.grading.bare import TooMuch, bare
from tests.grading.class_room import answer_cell, grade, hand_in, with_answer

NAME, FILE = "010_ttft", "010_ttft.ipynb"
WRONG = "def ttft(events):\n    return 0"


def changed(change):
    """A change of a notebook's JSON, as a function of the notebook to bytes."""

    def made(notebook):
        notebook = copy.deepcopy(notebook)
        change(notebook)
        return json.dumps(notebook).encode()

    return made


def each_cell(change):
    def apply(notebook):
        for cell in notebook["cells"]:
            change(cell)

    return changed(apply)


def drop_check(notebook):
    notebook["cells"] = [cell for cell in notebook["cells"] if not cell["metadata"].get("nbgrader", {}).get("locked")]


def double(notebook):
    stub = copy.deepcopy(answer_cell(notebook))
    stub["source"] = WRONG
    notebook["cells"].insert(2, stub)


def double_all(notebook):
    notebook["cells"] += copy.deepcopy(notebook["cells"])


def colab(notebook):
    """As Colab saves it where it drops what it does not know."""
    for cell in notebook["cells"]:
        cell["metadata"] = {"id": "x9Ab", "colab": {"base_uri": "https://localhost:8080/"}, "outputId": "1"}
        if cell["cell_type"] == "code":
            cell["execution_count"] = None
    notebook["metadata"] = {"colab": {"provenance": [], "toc_visible": True}, "accelerator": "GPU"}
    notebook["nbformat_minor"] = 0


def form_title(notebook):
    answer_cell(notebook)["source"] = '#@title My answer { display-mode: "form" }\n' + answer_cell(notebook)["source"]


def magics(notebook):
    answer_cell(notebook)["source"] = "%%time\n!rm -rf /\n" + answer_cell(notebook)["source"]


def kernel(notebook):
    notebook["metadata"]["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}


def outputs(notebook):
    text = {"output_type": "stream", "name": "stdout", "text": ["x" * 79 + '\\"[]{}\n'] * 200_000}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [text]


def lines(notebook):
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True) if isinstance(cell["source"], str) else cell["source"]


def helper(notebook):
    """The answer in a cell of the learner's own, the marked cell only names it."""
    source = answer_cell(notebook)["source"]
    source = source if isinstance(source, str) else "".join(source)
    own = {
        "cell_type": "code",
        "metadata": {},
        "source": source.replace("def ttft", "def mine") + "\n1 / 0",
        "outputs": [],
    }
    notebook["cells"].insert(2, own)
    answer_cell(notebook)["source"] = "def ttft(events):\n    return mine(events)"


# What was done to a right answer, and a part of what the learner is told besides.
RIGHT = {
    "untouched": (changed(lambda _: None), ""),
    "lines": (changed(lines), ""),
    "check-deleted": (changed(drop_check), "check cell is missing"),
    "answers-doubled": (changed(double), "2 answer cells"),
    "all-doubled": (changed(double_all), "2 answer cells"),
    "points-edited": (each_cell(lambda cell: cell["metadata"].get("nbgrader", {}).update(points=1000)), ""),
    "check-replaced": (
        each_cell(
            lambda cell: (
                cell.update(source="raise SystemExit") if cell["metadata"].get("nbgrader", {}).get("locked") else None
            )
        ),
        "",
    ),
    "colab": (changed(colab), "lost its mark"),
    "colab-form": (changed(form_title), ""),
    "magics": (changed(magics), "only Python is run"),
    "other-kernel": (changed(kernel), ""),
    "outputs": (changed(outputs), ""),
    "outputs-null": (each_cell(lambda cell: cell.update(outputs=None)), ""),
    "mark": (lambda notebook: b"\xef\xbb\xbf" + json.dumps(notebook).encode(), ""),
    "windows-lines": (lambda notebook: json.dumps(notebook, indent=1).replace("\n", "\r\n").encode(), ""),
    "windows-source": (each_cell(lambda cell: cell.update(source="".join(cell["source"]).replace("\n", "\r\n"))), ""),
    "chinese": (lambda notebook: json.dumps(notebook | {"作者": "王小明"}, ensure_ascii=False).encode(), ""),
    "own-cell": (changed(helper), ""),
    "metadata-null": (changed(lambda notebook: notebook.update(metadata=None)), ""),
    "minor-99": (changed(lambda notebook: notebook.update(nbformat_minor=99)), ""),
}
# What is wrong about it, and a part of the verdict.
WRONG_ONES = {
    "empty": (lambda _: b"", "broken or cut short"),
    "null": (lambda _: b"null", "broken or cut short"),
    "list": (lambda _: b"[]", "broken or cut short"),
    "number": (lambda _: b"1e999999", "broken or cut short"),
    "huge-number": (lambda _: b'{"cells": ' + b"1" * 10_000 + b"}", "broken or cut short"),
    "cut": (lambda notebook: json.dumps(notebook).encode()[:-200], "broken or cut short"),
    "utf-16": (lambda notebook: json.dumps(notebook).encode("utf-16"), "broken or cut short"),
    "binary": (lambda _: bytes(range(256)) * 100, "broken or cut short"),
    "html": (lambda _: b"<!DOCTYPE html><title>Sign in</title>", "broken or cut short"),
    "deep": (lambda _: b"[" * 200_000, "broken or cut short"),
    "deep-metadata": (
        lambda _: b'{"cells": [], "metadata": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        "broken or cut short",
    ),
    "cells-number": (lambda _: b'{"cells": 5}', "broken or cut short"),
    "cells-object": (lambda _: b'{"cells": {"source": "x"}}', "is missing"),
    "cells-of-numbers": (lambda _: b'{"cells": [1, null, "x", []]}', "is missing"),
    "source-number": (each_cell(lambda cell: cell.update(source=5)), "broken or cut short"),
    "source-of-numbers": (each_cell(lambda cell: cell.update(source=[5])), "broken or cut short"),
    "nbformat-3": (
        lambda notebook: json.dumps({"nbformat": 3, "worksheets": [{"cells": notebook["cells"]}]}).encode(),
        "broken or cut short",
    ),
    "wrong-and-points-edited": (
        lambda notebook: each_cell(lambda cell: cell["metadata"].get("nbgrader", {}).update(points=1000))(
            with_answer(notebook, WRONG)
        ),
        "right is",
    ),
    "wrong-and-check-replaced": (lambda notebook: changed(drop_check)(with_answer(notebook, WRONG)), "right is"),
    "wrong-and-own-check": (
        lambda notebook: json.dumps(
            with_answer(notebook, "import courselib\ncourselib.check = lambda *_: None\n" + WRONG)
        ).encode(),
        "right is",
    ),
    "answer-deleted": (
        each_cell(
            lambda cell: cell.update(source="") if cell["metadata"].get("nbgrader", {}).get("solution") else None
        ),
        "NameError: ttft",
    ),
    "many-cells": (
        changed(
            lambda notebook: notebook.update(cells=[{"cell_type": "code", "source": "", "metadata": {}}] * 100_000)
        ),
        "is missing",
    ),
}


@pytest.fixture(scope="module")
def results(confinement, tmp_path_factory, assignments, solution):
    folder = tmp_path_factory.mktemp("notebooks")
    for learner, (made, _words) in (RIGHT | WRONG_ONES).items():
        hand_in(folder / "in", learner, NAME, made(solution(NAME)))
    return {each.learner: each for each in grade(folder / "in", folder / "out", assignments)}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_earns_its_points_whatever_was_done_to_its_notebook(results, name):
    assert (results[name].points, results[name].most, results[name].failed) == (3, 3, "")
    assert not results[name].verdict
    words = RIGHT[name][1]
    assert words in " ".join(results[name].notes)
    assert words or not results[name].notes


@pytest.mark.parametrize("name", WRONG_ONES)
def test_what_cannot_be_graded_is_said(results, name):
    assert (results[name].points, results[name].failed) == (0, "")
    assert WRONG_ONES[name][1] in results[name].verdict


def test_the_notebook_of_another_exercise_is_graded_as_that_one(confinement, tmp_path, assignments, solution):
    hand_in(tmp_path / "in", "one", NAME, solution("011_percentile"))
    (result,) = grade(tmp_path / "in", tmp_path / "out", assignments)
    assert (result.exercise, result.points) == ("011_percentile", result.most)
    assert "the cells were believed" in result.notes[0]


def test_a_notebook_of_no_exercise_is_refused(assignments, solution):
    notebook = solution(NAME)
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    with pytest.raises(Unreadable, match="none of the course"):
        find(json.dumps(notebook).encode(), "mine.ipynb", assignments)


def test_the_longest_answer_that_is_read(assignments, solution):
    notebook = with_answer(solution(NAME), "#" * answer.MOST_CHARACTERS)
    assert len(find(json.dumps(notebook).encode(), FILE, assignments).source) == answer.MOST_CHARACTERS
    with pytest.raises(Unreadable, match="more than is read"):
        find(json.dumps(with_answer(notebook, "#" * (answer.MOST_CHARACTERS + 1))).encode(), FILE, assignments)


@pytest.mark.parametrize("indent", [None, 1])
def test_a_notebook_without_its_outputs_is_the_same_but_for_them(solution, indent):
    notebook = solution(NAME)
    text = '"outputs": [1, {"a": "]}"}] \\" \\\\'
    for cell in notebook["cells"]:
        cell["metadata"]["outputs"] = [text]
        cell["attachments"] = {"a.png": {"image/png": text}}
        cell["outputs"] = [{"text": text, "data": {"outputs": [[text]]}}, []]
        cell["source"] = text
    due = copy.deepcopy(notebook)
    for cell in due["cells"]:
        cell["outputs"], cell["attachments"] = [], {}
    assert json.loads(bare(json.dumps(notebook, indent=indent).encode())) == due


def test_what_is_no_notebook_comes_back_as_it_is():
    for data in (
        b"",
        b"null",
        b'"',
        b'{"cells": [{"outputs',
        b'[[["outputs"',
        b'{"cells": [{"outputs": 5}]}',
        b"]]]}}}",
    ):
        assert bare(data) == data


def test_more_brackets_than_anybody_writes_are_refused(monkeypatch):
    monkeypatch.setattr("courselib.grading.bare.MOST_SIGNS", 1000)
    assert bare(b"[" * 1000)
    with pytest.raises(TooMuch):
        bare(b"[" * 1001)
