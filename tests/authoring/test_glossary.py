"""The glossary: its form, what is refused, and the links to it."""

from pathlib import Path

import pytest

from courselib.authoring import build, glossary, linking
from courselib.errors import LessonError
from tests.authoring.project import fixture, make_project, read, rendered

ROOT = Path(__file__).parents[2]
LESSON = "---\ntitle: T\nminutes: 5\nlevel: beginner\nneeds: []\n---\n\n# T\n\n"


def entry(name, text="A short sentence.", *lines, lesson="01_words"):
    return "\n".join([f"## {name}", "", text, "", f"- lesson: {lesson}", *lines, ""])


def project(root, prose, *entries):
    root = make_project(root, **{"01_words": LESSON + prose, "02_more": LESSON + prose})
    (root / "lessons/reference").mkdir()
    (root / glossary.SOURCE).write_text("\n".join(["# Glossary", "", *entries]), encoding="utf-8")
    return root


def linked(root, name="01_words"):
    lesson = linking.link(read(root, name), glossary.read(root))
    return "\n".join(cell.source for cell in lesson.cells).removeprefix("# T").strip()


SLOT = entry("slot")
SEQUENCES = (entry("sequence"), entry("stop sequence"), entry("KV cache"), entry("query"))


def test_only_the_first_use_is_linked(tmp_path):
    assert linked(project(tmp_path, "A slot and a slot.\n\nA slot.", SLOT)) == (
        "A [slot](glossary.md#slot) and a slot.\n\nA slot."
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Sequences grow.", "[Sequences](glossary.md#sequence) grow."),
        ("a stop sequence", "a [stop sequence](glossary.md#stop-sequence)"),
        ("the KV\ncache is", "the [KV\ncache](glossary.md#KV-cache) is"),
        ("two queries", "two [queries](glossary.md#query)"),
        ("*KV cache*", "*[KV cache](glossary.md#KV-cache)*"),
    ],
)
def test_plurals_capitals_and_the_longest_wording(tmp_path, words, expected):
    assert linked(project(tmp_path, words, *SEQUENCES)) == expected


@pytest.mark.parametrize(
    "prose",
    [
        "`slot` and ``a slot``",
        "```\nslot\n```",
        "## A slot",
        "| slot | word |\n|---|---|",
        "[a slot](https://example.org/slot)",
        "<b title='slot'>, https://example.org/slot",
        "{measured}`one slot <here>`",
        "{quoted}`one slot\nonly <https://example.org>`",
        ":::{quiz} A slot?\n- [ ] One slot.\n  No slot.\n- [x] A slot.\n  Yes, slot.\n:::",
        ":::{answer}\nA slot.\n:::",
        "slots-in, time/slot, slot.py and slotted",
    ],
)
def test_what_is_left_alone(tmp_path, prose):
    assert linked(project(tmp_path, f"{prose}\n\nAt last: a slot.", SLOT)) == (
        f"{prose}\n\nAt last: a [slot](glossary.md#slot)."
    )


def test_a_paragraph_gets_two_links_and_the_next_use_is_linked_instead(tmp_path):
    entries = [entry(name) for name in ("alpha", "beta", "gamma")]
    text = linked(project(tmp_path, "alpha beta gamma\n\nalpha gamma", *entries))
    assert text.splitlines()[0].count("](glossary.md#") == 2
    assert text.endswith("\n\nalpha [gamma](glossary.md#gamma)")


def test_everyday_words_are_linked_only_where_they_are_taught(tmp_path):
    root = project(tmp_path, "A slot.", entry("slot", "A place.", "- everyday: yes"))
    assert "](glossary.md#slot)" in linked(root, "01_words")
    assert linked(root, "02_more") == "A slot."


@pytest.mark.parametrize("mark", ["<!-- no glossary -->", "<!-- no glossary: slot -->", "<!-- no glossary: slots -->"])
def test_a_mark_forbids_links(tmp_path, mark):
    assert "](" not in linked(project(tmp_path, f"{mark}\n\nA slot.", SLOT))


def test_a_mark_for_a_term_that_is_not_there_is_refused(tmp_path):
    root = project(tmp_path, "A slot. <!-- no glossary: slto -->", SLOT)
    assert "no term 'slto' is in the glossary" in str(build(root, ["01_words"], check=True))


def test_other_wordings_are_linked_and_only_replaces_the_term(tmp_path):
    entries = entry("block", "A piece.", "- only: KV block, block table"), entry("slot", "A place.", "- also: seat")
    assert linked(project(tmp_path, "A block, two KV blocks, a seat.", *entries)) == (
        "A block, two [KV blocks](glossary.md#block), a [seat](glossary.md#slot)."
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([SLOT, SLOT], "twice"),
        ([SLOT, entry("place", "A place.", "- also: slot")], "twice"),
        ([entry("slot", "It tells a number.")], "write returns, reports"),
        ([entry("slot", "One. Two. Three.")], "one sentence or two"),
        ([entry("slot", "")], "one sentence or two"),
        ([entry("slot", lesson="09_nowhere")], "no lesson '09_nowhere'"),
        ([entry("slot", "A place.", "- colour: red")], "unknown field 'colour'"),
        ([entry("slot/seat")], "letters, digits"),
    ],
)
def test_what_the_build_refuses(tmp_path, entries, message):
    root = project(tmp_path, "A slot.", *entries)
    with pytest.raises(LessonError, match=message) as refused:
        build(root, check=True)
    assert f"{glossary.SOURCE}:" in str(refused.value)


def test_a_term_that_no_lesson_uses_is_refused(tmp_path):
    root = project(tmp_path, "A slot.", SLOT, entry("gamma"))
    (found,) = (line for line in build(root, check=True).problems if "gamma" in line)
    assert found.startswith(f"{glossary.SOURCE}:9: no lesson uses 'gamma'")


def test_the_lesson_that_teaches_a_term_uses_it(tmp_path):
    root = project(tmp_path, "A slot.", SLOT)
    (root / "lessons/01_words.md").write_text(LESSON + "Nothing.", encoding="utf-8")
    assert any("'slot' is not in the text of 01_words" in line for line in build(root, check=True).problems)


def test_a_stale_page_is_found_and_the_page_has_what_links_need(tmp_path):
    root = project(tmp_path, "A slot.", entry("KV slot", "A place.", "- engines: vLLM `seq`", "- also: slot"))
    (root / "notebooks/en").mkdir(parents=True)  # these lessons are too short to be built
    build(root, execute=False)
    page = root / "notebooks/en" / glossary.PAGE
    assert "[01 T](01_words.ipynb) · In engines: vLLM `seq`" in page.read_text(encoding="utf-8")
    assert '<a id="KV-slot"></a>\n\n## KV slot\n' in page.read_text(encoding="utf-8")
    assert glossary.PAGE not in " ".join(build(root, check=True).problems)
    page.write_text("old")
    assert any(line.startswith(f"notebooks/en/{glossary.PAGE}: not what") for line in build(root, check=True).problems)


def test_without_a_glossary_nothing_is_linked(tmp_path):
    root = make_project(tmp_path, **{"05_lesson": fixture("lesson.md")})
    assert "glossary.md" not in str(rendered(root, "05_lesson"))


def test_the_course_has_its_fixed_terms_and_calm_pages():
    terms = glossary.read(ROOT)
    fixed = """engine server client endpoint request parameter token prompt answer prefill decode throughput slot
        sequence batch block weights quantisation default minimum maximum random deterministic seed""".split()  # noqa: SIM905
    phrases = ["context length", "time to first token", "TTFT", "time per output token", "TPOT", "KV cache"]
    names = {term.name for term in terms.terms} | {word for term in terms.terms for word in term.also}
    assert {*fixed, *phrases, "finish reason", "stop sequence"} <= names
    for path in sorted((ROOT / "lessons").glob("*.md")):
        lesson = linking.link(read(ROOT, path.stem), terms)
        links = "\n".join(cell.source for cell in lesson.cells).count("](glossary.md#")
        assert 1 <= links <= 25, path.stem
