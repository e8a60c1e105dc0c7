"""Patterns of English that are avoided: each is found in its sentence, and no sentence of the program has one."""

import ast
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

import courselib
from courselib.authoring.english import PATTERNS, problems
from courselib.cli.main import main
from courselib.engines.settings_help import settings_help

TRANSLATED = {"_", "N_", "ngettext"}

BAD = [
    "The server tells its seed.",
    "It shall end.",
    "Whoever asks first waits.",
    "Who needs certainty reads the stream.",
    "Nobody hears it.",
    "It beats many a larger model.",
    "It runs all the same.",
    "It drops them without a word.",
    "It says in so many words what is wrong.",
    "By its source, TGI ignores it.",
    "The server has done its work.",
    "Pages say otherwise.",
    "Only vLLM has a least length.",
    "All this was without chance.",
    "Three numbers beside each other; read it beside those.",
    "The key goes by the environment.",
    "It takes the likeliest token.",
    "Start it at the desk.",
    "The finish reason is the engine's word.",
]


@pytest.mark.parametrize("sentence", BAD)
def test_each_is_found_with_its_line(sentence):
    assert [offset for offset, _text in problems(f"A line.\n{sentence}")] == [1]


def test_every_pattern_is_tried():
    assert len(BAD) == len(PATTERNS)


@pytest.mark.parametrize(
    "sentence",
    [
        "You can tell apart what it `tells`.",
        "```\nnobody shall tell\n```",
        "The [link](https://nobody.example/told) works.",
        "At least two tokens, the least likely one first.",
        "The chance of a token is its probability.",
        "They stand beside each other.",
    ],
)
def test_plain_english_and_code_pass(sentence):
    assert list(problems(sentence)) == []


def test_what_to_write_instead_is_said():
    assert [text for _line, text in problems("It shall end.")] == ["'shall': write will."]


def translated(source: str) -> Iterator[tuple[int, str]]:
    """The strings that a person sees: line and text of each one in a call of ``_``, ``N_`` or ``ngettext``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TRANSLATED:
            for part in (each for argument in node.args for each in ast.walk(argument)):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


def commands(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """The help of a command, of its options and of the commands below it."""
    yield name, command.help or ""
    for option in command.params:
        yield f"{name} {option.name}", getattr(option, "help", None) or ""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below
            yield from commands(below, f"{name} {each}")


def test_strings_are_found_in_all_their_forms():
    source = 'f(_("a" "b"), N_("c"))\nngettext("{n} d", "{n} e", n)\nx = _("f" if y else "g")\ng("not shown")'
    assert sorted(text for _line, text in translated(source)) == ["ab", "c", "f", "g", "{n} d", "{n} e"]


def test_no_sentence_of_the_program_has_one():
    root = Path(courselib.__file__).parent
    shown = [
        (f"{path.relative_to(root)}:{line}", text)
        for path in root.rglob("*.py")
        for line, text in translated(path.read_text(encoding="utf-8"))
    ]
    assert len(shown) > 1000
    assert [f"{place}: {bad}" for place, text in shown for _line, bad in problems(text)] == []


def test_no_help_of_a_setting_has_one():
    engines = [point.load() for point in entry_points(group="courselib.engines")]
    shown = [
        (f"{each.name} {name}", text) for each in engines for name, text in settings_help(each.settings_type).items()
    ]
    assert len(shown) > 50
    assert [f"{place}: {bad}" for place, text in shown for _line, bad in problems(text)] == []


def test_no_help_of_the_command_has_one():
    shown = list(commands(main, "courselib"))
    assert len(shown) > 50
    assert [f"{place}: {bad}" for place, text in shown for _line, bad in problems(text)] == []
