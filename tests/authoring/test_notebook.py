"""What a built notebook holds."""

from __future__ import annotations

import re

import jupytext
import nbformat
import pytest

from courselib.authoring import build
from courselib.authoring.notebook import to_text
from courselib.authoring.prose import badged
from tests.authoring.project import code_cells, fixture, make_project, notebook, notebook_path, rendered

LESSON = fixture("lesson.md")


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("executed"), bytes=LESSON)
    assert build(root).ok
    return root


def texts(cell) -> str:
    return "".join(o.get("text", "") + str(o.get("data", {}).get("text/plain", "")) for o in cell.outputs)


def test_outputs_are_the_same_on_every_machine(executed):
    cells = code_cells(notebook(executed, "bytes"))
    assert "<object object at 0x…>" in texts(cells[2])
    assert "~/x $TMPDIR/y" in texts(cells[2])


def test_a_widget_is_kept_as_its_text(executed):
    slider = code_cells(notebook(executed, "bytes"))[3]
    assert texts(slider) == "IntSlider(value=3)"
    assert "widget-view" not in notebook_path(executed, "bytes").read_text(encoding="utf-8")


def test_a_widget_that_closed_itself_leaves_nothing(tmp_path):
    code = 'from tqdm.auto import tqdm\nline = tqdm(bar_format="{desc}", leave=False)\nline.close()\nlen(text)'
    root = make_project(tmp_path, bytes=LESSON.replace("len(text), len(text.encode())", code))
    assert build(root).ok
    assert [output.output_type for output in code_cells(notebook(root, "bytes"))[1].outputs] == ["execute_result"]


def test_metadata_hold_nothing_of_the_run(executed):
    built = notebook(executed, "bytes")
    assert set(built.metadata) == {"courselib", "kernelspec", "language_info"}
    assert set(built.metadata.language_info) == {"name", "file_extension", "mimetype"}
    assert not any("execution" in cell.metadata for cell in built.cells)


def test_cells_that_ran_are_counted_from_one(executed):
    assert [cell.execution_count for cell in code_cells(notebook(executed, "bytes"))] == [1, 2, 3, 4, 5, None]


def test_tags_become_those_of_the_tools(executed):
    cells = code_cells(notebook(executed, "bytes"))
    assert [cell.metadata.get("tags") for cell in cells] == [
        ["setup"],
        ["nbval-check-output"],
        None,
        ["hide-input"],
        ["raises-exception"],
        ["nbval-skip", "no-execute"],
    ]
    assert cells[3].metadata.jupyter.source_hidden is True


def test_ids_are_valid_unique_and_stay_when_a_cell_is_put_between(tmp_path):
    twice = LESSON.replace(
        "A widget is kept as its text.", "```{code-cell}\n1\n```\n\nAgain.\n\n```{code-cell}\n1\n```"
    )
    root = make_project(tmp_path, one=LESSON, two=twice)
    before, after = rendered(root, "one"), rendered(root, "two")
    ids = [cell.id for cell in after.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", each) for each in ids)
    assert len(set(ids) & {cell.id for cell in before.cells}) >= len(before.cells) - 3


def test_it_says_what_it_was_built_from_and_opens_elsewhere(executed):
    built = notebook(executed, "bytes")
    assert built.metadata.courselib.built_from == "lessons/bytes.md"
    links = built.cells[0]
    assert links.metadata == {"id": "view-in-github", "colab_type": "text"}
    assert "Built from lessons/bytes.md" in links.source
    assert "/github/some/course/blob/v1.2.3/notebooks/en/bytes.ipynb" in links.source
    assert "/gh/some/course/v1.2.3?urlpath=lab/tree/notebooks/en/bytes.ipynb" in links.source
    assert links.source.endswith(") · 5 minutes · beginner")
    assert built.cells[1].source.startswith("# Counting bytes\n")


def test_the_head_says_what_is_needed_and_how_to_get_it(tmp_path):
    root = make_project(tmp_path, bytes=LESSON.replace("needs: []", "needs: [llama.cpp, vllm, native]"))
    said = rendered(root, "bytes").cells[0].source
    assert said.endswith(
        " · beginner · needs vLLM (`courselib install vllm`), llama.cpp as a library (`make native`)"
    ), "llama.cpp itself comes with the course"


def test_the_setup_cell_installs_only_where_the_course_is_missing(executed):
    from IPython.core.inputtransformer2 import TransformerManager

    setup = code_cells(notebook(executed, "bytes"))[0]
    assert '-c "{kept}" "courselib @ https://github.com/some/course/archive/refs/tags/v1.2.3.zip"' in setup.source
    calls = []
    names = {"get_ipython": lambda: pytest.fail("pip was run where courselib is installed")}
    exec(compile(TransformerManager().transform_cell(setup.source), "setup", "exec"), names)
    assert "courselib" in names
    assert not calls


def test_prose_reads_without_myst(executed):
    prose = "\n".join(cell.source for cell in notebook(executed, "bytes").cells if cell.cell_type == "markdown")
    assert "> **Predict first: How many bytes?**\n>\n> Guess before you run it.\n>\n" in prose
    assert "about 4 letters a token, 25 %\u00a0<sup>[quoted](https://example.org/tokens)</sup>." in prose
    assert '> **Tip**\n>\n> Runs in 3 ms\u00a0<sup>measured: 2 cores</sup>; see `python -c "{measured}"`.' in prose
    assert ":::" not in prose


def test_round_trip_through_text(executed):
    built = notebook(executed, "bytes")
    back = jupytext.reads(jupytext.writes(built, "md:myst"), "md:myst")
    assert [(c.cell_type, c.source, c.metadata) for c in back.cells] == [
        (c.cell_type, c.source, c.metadata) for c in built.cells
    ]


def test_what_is_written_is_a_notebook_and_ends_with_a_newline(executed):
    text = notebook_path(executed, "bytes").read_text(encoding="utf-8")
    nbformat.validate(nbformat.reads(text, as_version=4))
    assert text == to_text(nbformat.reads(text, as_version=4))
    assert text.endswith("}\n")
    assert not text.endswith("\n\n")


def test_hardware_that_is_not_here_keeps_its_outputs(tmp_path, monkeypatch):
    from courselib import machine

    lesson = LESSON.replace(":tags: [no-execute]\nopen", ":tags: [needs-gpu]\nopen").replace(
        'open("/nowhere/at/all")', 'print("from the GPU")'
    )
    root = make_project(tmp_path, bytes=lesson)
    monkeypatch.setattr(machine, "gpus", lambda: [machine.Gpu("a GPU", 1)])
    assert build(root).ok
    assert texts(code_cells(notebook(root, "bytes"))[-1]) == "from the GPU\n"
    monkeypatch.setattr(machine, "gpus", list)
    assert build(root, execute=True).lines == ["bytes: executed"]
    assert texts(code_cells(notebook(root, "bytes"))[-1]) == "from the GPU\n"
    assert "skip-execution" not in notebook_path(root, "bytes").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("https://example.org/a", "[quoted](https://example.org/a)"),
        ("https://example.org/a, figure 2", "[quoted](https://example.org/a), figure 2"),
        ("https://example.org/a,b", "[quoted](https://example.org/a,b)"),
        ("Kwon et al. 2023, figure 2", "quoted: Kwon et al. 2023, figure 2"),
    ],
)
def test_an_address_is_the_badge_s_link_and_what_follows_it_is_text(source, shown):
    assert badged(f"{{quoted}}`24x <{source}>`", str) == f"24x\u00a0<sup>{shown}</sup>"
