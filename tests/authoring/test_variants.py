"""Exercise, solution and another language, from one text."""

from __future__ import annotations

import io

import pytest
from babel.messages.pofile import read_po, write_po

from courselib.authoring.translation import template
from courselib.authoring.variants import vary
from courselib.errors import LessonError
from tests.authoring.project import code_cells, fixture, make_project, read, rendered

EXERCISE = fixture("exercise.md")


@pytest.fixture
def project(tmp_path):
    root = make_project(tmp_path, softmax=EXERCISE)
    (root / "locale" / "zh_TW").mkdir(parents=True)
    (root / "locale" / "zh_TW" / "softmax.po").write_text(fixture("exercise.po"), encoding="utf-8")
    return root


def all_source(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells)


def run(notebook) -> dict:
    names: dict = {}
    for cell in code_cells(notebook)[1:]:
        exec(cell.source, names)
    return names


def test_the_learner_gets_no_answer(project):
    exercise = rendered(project, "softmax", variant="exercise")
    text = all_source(exercise)
    for secret in ("math.exp", "SOLUTION", "model answer", "[0.5, 0.5]"):
        assert secret not in text
    with pytest.raises(NotImplementedError, match="softmax: your answer goes here"):
        run(exercise)
    assert exercise.metadata.courselib.variant == "exercise"


def test_the_solution_runs_and_passes_the_hidden_tests(project):
    solution = rendered(project, "softmax", variant="solution")
    assert run(solution)["softmax"]([0, 0]) == [0.5, 0.5]
    text = all_source(solution)
    assert "SOLUTION" not in text
    assert "model answer" in text
    assert "assert softmax" in text


def test_nbgraders_metadata_survive_in_both(project):
    for variant in ("exercise", "solution"):
        cell = code_cells(rendered(project, "softmax", variant=variant))[1]
        assert cell.metadata.nbgrader.grade_id == "softmax"


def test_a_lesson_holds_no_answers(project):
    with pytest.raises(LessonError, match="a lesson holds no answers"):
        rendered(project, "softmax", variant="lesson")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    ### END SOLUTION\n", "", "25: cell 2: BEGIN SOLUTION is never ended in this cell"),
        ("    ### BEGIN SOLUTION\n", "", "27: cell 2: END SOLUTION without a BEGIN"),
        ("    powers =", "    ### BEGIN SOLUTION\n    powers =", "26: cell 2: BEGIN SOLUTION inside a solution"),
        ("### BEGIN SOLUTION", "# begin solution", "25: cell 2: a marker is exactly"),
    ],
)
@pytest.mark.parametrize("variant", ["exercise", "solution"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_markers_that_do_not_match(tmp_path, old, new, words, variant, line_end):
    assert EXERCISE.count(old) == 1
    root = make_project(tmp_path)
    (root / "lessons" / "x.md").write_bytes(EXERCISE.replace(old, new).replace("\n", line_end).encode())
    with pytest.raises(LessonError) as caught:
        vary(read(root, "x"), variant)
    assert f"lessons/x.md:{words}" in str(caught.value)


def test_windows_line_ends_leave_no_trace(project):
    before = rendered(project, "softmax", variant="exercise")
    (project / "lessons" / "softmax.md").write_bytes(EXERCISE.replace("\n", "\r\n").encode())
    assert rendered(project, "softmax", variant="exercise") == before


def test_chinese_where_there_is_chinese_and_english_elsewhere(project):
    english = rendered(project, "softmax", variant="exercise")
    chinese = rendered(project, "softmax", variant="exercise", language="zh_TW")
    text = all_source(chinese)
    assert "# 手算 softmax" in text
    assert "把 logits 變成比例。總和為一。" in text
    assert "很大的數**" in text
    assert "Subtract the largest first." in text, "fuzzy stays English"
    assert "Check it:" in text, "untranslated stays English"
    assert [cell.source for cell in code_cells(chinese)] == [cell.source for cell in code_cells(english)]
    assert chinese.metadata.courselib.language == "zh_TW"


def test_a_language_without_translations_is_english(project):
    english = rendered(project, "softmax", variant="solution")
    assert all_source(rendered(project, "softmax", variant="solution", language="fr")) == all_source(english)


def test_what_translators_get(project):
    lesson = read(project, "softmax")
    file = io.BytesIO()
    write_po(file, template(lesson))
    catalog = read_po(io.BytesIO(file.getvalue()))
    found = {message.id: message.locations for message in catalog if message.id}
    assert list(found) == [
        "# Softmax by hand",
        "Turn logits into shares. They add up to one.",
        "Large numbers",
        "Subtract the largest first.",
        "The model answer divides by the sum.",
        "Check it:",
    ]
    line = found["Large numbers"][0][1]
    assert EXERCISE.splitlines()[line - 1] == ":::{tip} Large numbers"


def test_a_broken_catalogue_is_named(project):
    (project / "locale" / "zh_TW" / "softmax.po").write_text('msgid "a\nnonsense')
    with pytest.raises(LessonError, match=r"locale/zh_TW/softmax\.po: "):
        rendered(project, "softmax", variant="solution", language="zh_TW")


IN_PROSE = EXERCISE.replace(
    "Subtract the largest first.", "### BEGIN SOLUTION\nSubtract the largest.\n### END SOLUTION"
)
IN_AN_EXPRESSION = EXERCISE.replace(
    "    return [each / sum(powers) for each in powers]\n    ### END SOLUTION",
    "    ### END SOLUTION\n    return [\n        ### BEGIN SOLUTION\n        1,\n        ### END SOLUTION\n    ]",
)


@pytest.mark.parametrize(
    ("text", "words"),
    [(IN_PROSE, "markers stand in code"), (IN_AN_EXPRESSION, "the learner's copy of this cell is not Python")],
)
@pytest.mark.parametrize("variant", ["exercise", "solution"])
def test_an_answer_where_none_can_be(tmp_path, text, words, variant):
    assert text != EXERCISE
    root = make_project(tmp_path, x=text)
    with pytest.raises(LessonError, match=words):
        vary(read(root, "x"), variant)


def test_the_solution_must_be_python_too(tmp_path):
    root = make_project(tmp_path, x=EXERCISE.replace("for each in logits]", "for each in logits"))
    with pytest.raises(LessonError, match="the solution of this cell is not Python"):
        vary(read(root, "x"), "exercise")
