"""Prose cut into blocks and put together again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from courselib.authoring.blocks import split
from courselib.authoring.prose import render

LINES = st.sampled_from(
    [
        "",
        "text",
        "- item",
        "  more",
        "# head",
        "```",
        "```bash",
        "````",
        ":::",
        ":::{tip} T",
        "```{note}",
        "~~~",
        "`a` ```b```",
    ]
)


@given(st.lists(LINES).map("\n".join))
def test_nothing_is_lost(source):
    assert "\n".join(block.text for block in split(source) if block.kind != "unclosed") == source


@given(st.text())
def test_any_text_can_be_cut(source):
    assert "\n".join(block.text for block in split(source) if block.kind != "unclosed") == source


def test_code_in_prose_is_left_alone():
    source = "```bash\necho {measured}`3 ms`\n\n:::{tip}\n```\n\nThen ``{measured}`3 ms` `` and `x`."
    assert render(source, str) == source


def test_code_in_a_directive_is_quoted_with_it():
    source = "````{tip}\n```bash\nls\n```\n````\nafter"
    assert render(source, str) == "> **Tip**\n>\n> ```bash\n> ls\n> ```\nafter"
