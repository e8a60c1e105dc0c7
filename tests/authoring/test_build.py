"""Building: the same bytes each time, run only when the code has changed, checked against the lesson."""

from __future__ import annotations

import json
import os
import shutil
import sys

import pytest

import courselib
from courselib.authoring import build
from courselib.errors import LessonError
from tests.authoring.project import code_cells, fixture, make_project, notebook, notebook_path, read

LESSON = fixture("lesson.md")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project with one lesson, built once from nothing."""
    root = make_project(tmp_path_factory.mktemp("built"), bytes=LESSON)
    report = build(root)
    assert report.ok, report
    assert report.lines == ["bytes: executed"]
    return root


@pytest.fixture
def project(built, tmp_path):
    """A copy of the built project, to change."""
    return shutil.copytree(built, tmp_path / "project")


def edit(root, old: str, new: str) -> None:
    path = root / "lessons" / "bytes.md"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_executed_twice_from_nothing_gives_the_same_bytes(built, tmp_path):
    again = make_project(tmp_path, bytes=LESSON)
    assert build(again).ok
    assert notebook_path(again, "bytes").read_bytes() == notebook_path(built, "bytes").read_bytes()


def test_building_again_changes_nothing_and_runs_nothing(project):
    before = notebook_path(project, "bytes").stat().st_mtime_ns, notebook_path(project, "bytes").read_bytes()
    report = build(project)
    assert report.lines == ["bytes: up to date"]
    assert before == (notebook_path(project, "bytes").stat().st_mtime_ns, notebook_path(project, "bytes").read_bytes())
    assert build(project, check=True).ok


def test_windows_line_ends_build_the_same_bytes(project):
    before = notebook_path(project, "bytes").read_bytes()
    (project / "lessons" / "bytes.md").write_bytes(LESSON.replace("\n", "\r\n").encode())
    assert build(project, execute=False).lines == ["bytes: up to date"]
    assert notebook_path(project, "bytes").read_bytes() == before


def test_edited_code_is_run_again(project):
    edit(project, '"一個漢字"\n', '"一個"\n')
    assert build(project).lines == ["bytes: executed"]
    golden = code_cells(notebook(project, "bytes"))[1]
    assert golden.outputs[0].data["text/plain"] == "(2, 6)"


def test_edited_prose_is_not_run_again(project):
    before = [cell.outputs for cell in code_cells(notebook(project, "bytes"))]
    edit(project, "Most English letters", "Nearly all English letters")
    assert build(project).lines == ["bytes: up to date"]
    after = notebook(project, "bytes")
    assert any("Nearly all" in cell.source for cell in after.cells)
    assert [cell.outputs for cell in code_cells(after)] == before


def test_execution_can_be_forced_and_forbidden(project):
    assert build(project, ["bytes"], execute=True).lines == ["bytes: executed"]
    edit(project, '"一個漢字"\n', '"一個"\n')
    assert build(project, ["bytes.md"], execute=False).lines == ["bytes: not executed"]
    assert not any(cell.outputs for cell in code_cells(notebook(project, "bytes")))
    assert "executed" not in notebook(project, "bytes").metadata.courselib
    assert build(project).lines == ["bytes: executed"]


def test_a_new_version_is_not_a_reason_to_run(project):
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(text.replace("1.2.3", "1.2.4"))
    assert build(project).lines == ["bytes: up to date"]
    assert "v1.2.4" in code_cells(notebook(project, "bytes"))[0].source


def test_check_shows_what_differs_in_prose(project):
    edit(project, "Most English letters", "Nearly all English letters")
    before = notebook_path(project, "bytes").read_bytes()
    problem = build(project, check=True).problems[0]
    assert problem.startswith("notebooks/en/bytes.ipynb: not what the lesson gives; run: courselib build bytes")
    assert "-    " in problem
    assert "Nearly all English" in problem
    assert notebook_path(project, "bytes").read_bytes() == before


def test_check_names_outputs_of_other_code(project):
    edit(project, '"一個漢字"\n', '"一個"\n')
    assert "code is not the code its outputs came from" in build(project, check=True).problems[0]


def test_check_does_not_compare_outputs(project):
    path = notebook_path(project, "bytes")
    path.write_text(path.read_text(encoding="utf-8").replace("(4, 12)", "(5, 12)"), encoding="utf-8")
    assert build(project, check=True).ok


def test_check_finds_a_notebook_saved_by_hand(project):
    path = notebook_path(project, "bytes")
    data = json.loads(path.read_text(encoding="utf-8"))
    data["metadata"]["language_info"]["version"] = "3.11.7"
    path.write_text(json.dumps(data), encoding="utf-8")
    assert "not what the lesson gives" in build(project, check=True).problems[0]
    data["metadata"]["language_info"].pop("version")
    path.write_text(json.dumps(data), encoding="utf-8")
    assert "not written as the build writes it" in build(project, check=True).problems[0]


@pytest.mark.parametrize("content", [None, b"", b"{", b"{}", b"\xff"])
def test_check_finds_a_missing_or_broken_notebook(project, content):
    path = notebook_path(project, "bytes")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert "missing or unreadable" in build(project, check=True).problems[0]


def test_a_notebook_without_a_lesson_is_a_problem(project):
    shutil.copy(notebook_path(project, "bytes"), notebook_path(project, "left_over"))
    report = build(project, check=True)
    assert report.problems == [
        "notebooks/en/left_over.ipynb: there is no lessons/left_over.md; remove the notebook, or write its lesson."
    ]


def test_an_unknown_lesson_is_named_with_those_there_are(project):
    with pytest.raises(LessonError, match="no lesson 'bites'; there are: bytes"):
        build(project, ["bites"])


def test_a_failing_cell_is_named_with_its_line_and_stops_no_other_lesson(tmp_path):
    broken = LESSON.replace("len(text), len(text.encode())", "len(test)")
    root = make_project(tmp_path, a_broken=broken, b_fine=LESSON)
    report = build(root)
    assert report.lines == ["b_fine: executed"]
    assert report.problems[0].startswith("lessons/a_broken.md:19: cell 2: running this cell failed:")
    assert "NameError: name 'test' is not defined" in report.problems[0]
    assert not notebook_path(root, "a_broken").exists()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1", "a golden cell must put something out"),
        ("object()", "a golden output holds a path or a memory address"),
        ("import os; print(os.path.expanduser('~'))", "a golden output holds a path or a memory address"),
    ],
)
def test_a_golden_that_cannot_be_compared_is_refused(tmp_path, code, words):
    root = make_project(tmp_path, bytes=LESSON.replace("len(text), len(text.encode())", code))
    assert words in build(root).problems[0]


def test_commands_beside_this_python_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.defpath)
    root = make_project(tmp_path, bytes=LESSON.replace("len(text), len(text.encode())", "!courselib version"))
    assert build(root).ok
    assert code_cells(notebook(root, "bytes"))[1].outputs[0].text.strip() == courselib.__version__


def test_a_lesson_may_name_another_kernel(tmp_path, monkeypatch):
    """One that the test makes: this Python, under the name of vLLM's kernel and with a word of its own."""
    folder = tmp_path / "jupyter" / "kernels" / "vllm"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "", "language": "python", "env": {"WHICH": "another"}}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    text = LESSON.replace("needs: []", "needs: [vllm]\nkernel: vllm").replace(
        "len(text), len(text.encode())", 'import os\nos.environ.get("WHICH")'
    )
    root = make_project(tmp_path, bytes=text)
    report = build(root)
    assert report.ok, report
    made = notebook(root, "bytes")
    assert made.metadata.kernelspec == {"display_name": "vLLM", "language": "python", "name": "vllm"}
    assert code_cells(made)[1].outputs[0].data["text/plain"] == "'another'"

    # The outputs are those of the one kernel, not of the other.
    (root / "lessons" / "bytes.md").write_text(text.replace("kernel: vllm", "kernel: python3"), encoding="utf-8")
    assert "not the code its outputs came from" in str(build(root, check=True))


def test_a_kernel_that_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager._find_spec_directory", lambda _self, _name: None)
    root = make_project(tmp_path, bytes=LESSON.replace("needs: []", "needs: [vllm]\nkernel: vllm"))
    assert "no kernel vllm on this machine; get it with: courselib install vllm" in str(build(root))


def test_a_dead_kernel_is_an_error_with_its_cell(tmp_path):
    root = make_project(tmp_path, bytes=LESSON.replace("len(text), len(text.encode())", "import os; os._exit(3)"))
    assert build(root).problems[0].startswith("lessons/bytes.md:19: cell 2: running this cell failed:")


def test_no_pyproject_is_said(tmp_path):
    with pytest.raises(LessonError, match=r"no pyproject\.toml"):
        build(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1"\n')
    with pytest.raises(LessonError, match=r"lacks 'tool'"):
        build(tmp_path)


def test_each_notebook_ends_with_links_to_the_lessons_before_and_after(tmp_path):
    quoted = LESSON.replace("title: Counting bytes", 'title: "Counting bytes"')
    root = make_project(tmp_path, **{"00_first": LESSON, "05_middle": quoted, "10_last": quoted})
    build(root, execute=False)
    title = read(root, "05_middle").title
    first, middle = (notebook(root, name).cells[-1].source for name in ("00_first", "05_middle"))
    assert first == f"[05 {title}](05_middle.ipynb) →"
    assert middle == f"← [00 {title}](00_first.ipynb) · [10 {title}](10_last.ipynb) →"
