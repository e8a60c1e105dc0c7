"""The fold's programs are traits; one tab is always selected."""

from courselib.panels.code_fold import CodeFold


def test_the_first_program_is_selected():
    assert CodeFold({"openai": "a", "curl": "b"}).selected == "openai"


def test_a_selected_tab_stays_while_its_program_changes():
    fold = CodeFold({"openai": "a", "curl": "b"})
    fold.selected = "curl"
    fold.programs = {"openai": "c", "curl": "d"}
    assert fold.selected == "curl"


def test_a_selected_tab_that_goes_gives_way_to_the_first():
    fold = CodeFold({"openai": "a", "curl": "b"})
    fold.selected = "curl"
    fold.programs = {"hub": "e"}
    assert fold.selected == "hub"
    fold.programs = {}
    assert fold.selected == ""


def test_repr_is_fixed():
    assert repr(CodeFold({"openai": "a", "curl": "b"})) == "CodeFold(openai, curl)"
