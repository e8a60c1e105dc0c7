"""The page of the docs that is rendered from the tables."""

import re
from pathlib import Path

import pytest

from courselib.authoring.build import build
from courselib.controls.catalogue import CONTROLS
from courselib.controls.routes import ROUTES
from courselib.controls.table import PAGE, page, wire_names
from tests.authoring.project import make_project

TEXT = page()
ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_what_the_tables_give():
    assert (ROOT / PAGE).read_text(encoding="utf-8") == TEXT


def test_each_cell_links_to_its_fact_and_each_fact_has_a_cell():
    links = re.findall(r"\]\(#([^)]*)\)", TEXT)
    facts = re.findall(r'<a id="([^"]*)">', TEXT)
    headings = re.findall(r"^## (\S+)$", TEXT, re.MULTILINE)
    assert len(facts) == len(set(facts)) == len(ROUTES) * len(CONTROLS)
    assert set(links) == {*facts, *CONTROLS}
    assert set(CONTROLS) < set(headings)


def test_tables_are_whole_and_no_wider_than_a_page():
    tables = [line for line in TEXT.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} <= {3, 4, 5}
    shown = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line) for line in tables]
    assert max(map(len, shown)) < 160, "what is seen of a row, without its links"


@pytest.mark.parametrize(
    ("route", "control", "names"),
    [
        ("llama.cpp /completion", "max_tokens", ["n_predict"]),
        ("llama.cpp chat", "logprobs", ["logprobs", "top_logprobs"]),
        ("vLLM chat", "top_k", ["top_k"]),
        ("TGI /generate", "max_tokens", ["max_new_tokens"]),
        ("TGI chat", "top_k", []),
    ],
)
def test_names_on_the_wire(route, control, names):
    assert wire_names(control, ROUTES[route].table[control]) == names


@pytest.mark.parametrize(
    "words",
    [
        "TGI uses it plus 2 as repetition_penalty",
        "`0.001` is taken for `0.01`",
        "only the last 64 tokens count, the prompt's among them",
        "takes 5 at most (max_top_n_tokens)",
        "default: `0.8` (llama.cpp b11549)",
    ],
)
def test_facts_that_a_learner_looks_for(words):
    assert words in TEXT


def test_the_build_writes_the_page_and_its_check_sees_a_difference(tmp_path):
    root = make_project(tmp_path)
    assert build(root, check=True).ok, "a project without docs needs no page"
    (root / "docs").mkdir()
    assert f"{PAGE}: not what courselib/controls gives; run: courselib build" in build(root, check=True).problems
    assert build(root).ok
    assert (root / PAGE).read_text(encoding="utf-8") == TEXT
    assert build(root, check=True).ok
    (root / PAGE).write_text(TEXT.replace("n_predict", "max_tokens"), encoding="utf-8")
    assert not build(root, check=True).ok
