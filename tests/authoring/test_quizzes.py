"""A lesson's questions on their way from its text to the package and to a cell of one line."""

import json

import pytest

from courselib.authoring import build, lint
from courselib.authoring.build import QUESTIONS
from courselib.authoring.quizzes import is_quiz
from tests.authoring.project import code_cells, fixture, make_project, notebook, notebook_path, read, rendered

QUIZ = """:::{quiz} What does `max_tokens` limit?
- [ ] The prompt & the *whole* answer.
  Only the answer: the
  context limits both.
- [x] The `answer`.
  {simulated}`60 tokens` in this lesson.
:::
"""
OTHER = ":::{quiz} And `min_tokens`?\n- [x] The answer.\n  It does.\n- [ ] The question.\n  It does not.\n:::\n"
END = "## What you have done"
LESSON = fixture("lesson.md")
WITH = LESSON.replace(END, f"## Check yourself\n\n{QUIZ}\n{OTHER}\n{END}")


def page(root):
    return root / QUESTIONS / "en" / "bytes.json"


@pytest.fixture
def project(tmp_path):
    root = make_project(tmp_path / "project", bytes=WITH)
    (root / QUESTIONS / "en").mkdir(parents=True)
    return root


def edit(root, old, new):
    path = root / "lessons/bytes.md"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def problems(tmp_path, text):
    root = make_project(tmp_path / "wrong", bytes=text)
    return [problem.text for problem in lint.lint(read(root, "bytes"))]


def test_the_cell_is_short_and_its_output_stands_without_a_kernel(project):
    cells = rendered(project, "bytes").cells
    at = next(number for number, cell in enumerate(cells) if is_quiz(cell))
    assert cells[at].source == 'import courselib\n\ncourselib.Quiz("bytes")'
    assert cells[at - 1].source.startswith("## Check yourself\n\nRun the cell")
    assert cells[at + 1].source.startswith(END)
    (output,) = cells[at].outputs
    assert output.data["text/plain"] == "Quiz('bytes')"
    text = output.data["text/html"]
    assert "<strong>1. What does <code>max_tokens</code> limit?</strong>" in text
    assert "<summary>The prompt &amp; the <em>whole</em> answer.</summary>" in text
    assert "Only the answer: the context limits both." in text
    assert "60 tokens\u00a0<sup>simulated</sup> in this lesson." in text
    assert not any(":::" in cell.source for cell in cells)


def test_a_kernel_without_widgets_gets_the_folds_as_prose(tmp_path):
    text = WITH.replace("needs: []", "needs: [vllm]").replace("level: beginner", "level: beginner\nkernel: vllm")
    cells = rendered(make_project(tmp_path, bytes=text), "bytes").cells
    assert not any(map(is_quiz, cells))
    (cell,) = [cell for cell in cells if "## Check yourself" in cell.source]
    assert cell.source.count("<details>") == 4 and END in cell.source


def test_the_package_gets_the_questions_and_is_checked(project):
    assert build(project, execute=False).ok
    first, second = json.loads(page(project).read_text(encoding="utf-8"))
    assert first["text"] == "What does <code>max_tokens</code> limit?"
    assert [option["is_right"] for option in second["options"]] == [True, False]
    edit(project, "And `min_tokens`?", "And the minimum?")
    assert build(project, execute=False).ok
    assert "And the minimum?" in page(project).read_text(encoding="utf-8")


def test_questions_without_a_lesson_are_named(project):
    (page(project).parent / "gone.json").write_text("[]")
    assert "gone.json: no lesson has these questions" in str(build(project, execute=False))


def test_questions_run_nothing_and_keep_the_outputs_of_the_lesson(tmp_path):
    root = make_project(tmp_path, bytes=LESSON)
    (root / QUESTIONS / "en").mkdir(parents=True)
    assert build(root).lines == ["bytes: executed"]
    outputs = [cell.outputs for cell in code_cells(notebook(root, "bytes"))]
    counts = [cell.execution_count for cell in code_cells(notebook(root, "bytes"))]
    (root / "lessons/bytes.md").write_text(WITH, encoding="utf-8")
    assert build(root).lines == ["bytes: up to date"]
    cells = [cell for cell in code_cells(notebook(root, "bytes")) if not is_quiz(cell)]
    assert [cell.outputs for cell in cells] == outputs and [cell.execution_count for cell in cells] == counts
    before = notebook_path(root, "bytes").read_bytes()
    assert build(root, execute=True).lines == ["bytes: executed"]
    assert notebook_path(root, "bytes").read_bytes() == before, "run or not, the questions' output is the same"
    edit(root, "And `min_tokens`?", "And the minimum?")
    assert build(root).lines == ["bytes: up to date"]
    assert "And the minimum?" in notebook_path(root, "bytes").read_text(encoding="utf-8")
    assert build(root, check=True).ok
    page(root).write_text("[]")
    assert "courselib/questions/en/bytes.json: not what lessons/bytes.md gives" in str(build(root, check=True))


TOGETHER = "stand together, directly below '## Check yourself'"


@pytest.mark.parametrize(
    "text",
    [
        WITH.replace("## Check yourself", "## Questions"),
        WITH.replace("## Check yourself\n", "## Check yourself\n\nFirst of all:\n"),
        WITH.replace(OTHER, f"One more:\n\n{OTHER}"),
        WITH.replace("Most English letters", f"{OTHER}\nMost English letters"),
    ],
)
def test_questions_stand_together_below_their_heading(tmp_path, text):
    assert [problem for problem in problems(tmp_path, text) if TOGETHER in problem]


def test_together_they_are_well(tmp_path):
    assert problems(tmp_path, WITH) == []


@pytest.mark.parametrize(("longest", "wrong"), [(2, 0), (3, 1)])
def test_length_must_not_give_the_right_option_away(tmp_path, longest, wrong):
    long = ":::{quiz} Which?\n- [x] The longest.\n  Yes.\n- [ ] Another.\n  No.\n:::\n"
    alike = ":::{quiz} Which?\n- [x] The answer.\n  Yes.\n- [ ] An answer..\n  No.\n:::\n"
    text = WITH.replace(QUIZ, "\n".join([*[long] * longest, *[alike] * (5 - longest)])).replace(OTHER, "")
    found = problems(tmp_path, text)
    assert len(found) == wrong
    assert all("the right option is the longest one in 3 questions, and may be in 2" in each for each in found)
