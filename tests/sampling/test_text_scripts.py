"""Scripts by place, and how far an answer has drifted from its prompt's."""

from pathlib import Path

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from courselib import sampling
from courselib.errors import SettingsError
from courselib.sampling.text_scripts import (
    SCRIPTS,
    ScriptWindow,
    drift,
    largest_drift,
    script,
    script_shares,
    shares_by_place,
)
from tests.sampling.operations import instructions

FOLDER = Path(sampling.__file__).parent
MIXED = st.text(st.sampled_from("abcдяあカ中文한글,. 1\n𠮷é\u0301") | st.characters(), max_size=60)


@pytest.mark.parametrize(("character", "wanted"), [
    ("a", "Latin"), ("é", "Latin"), ("中", "Han"), ("𠮷", "Han"), ("の", "Hiragana"), ("カ", "Katakana"),
    ("한", "Hangul"), ("я", "Cyrillic"), ("7", None), ("。", None), (" ", None), ("\u0301", None), ("😀", None),
    ("Ⴀ", "Georgian"), ("ང", "Other"), ("\U000e0fff", None),
])  # fmt: skip
def test_the_script_of_a_character(character, wanted):
    assert script(character) == wanted


def test_shares_by_hand():
    assert script_shares("中文 ab, 12") == {"Han": 0.5, "Latin": 0.5}
    assert script_shares("12, …") == {}
    assert shares_by_place(["中文", "，", "ab", "c"], window=2) == [
        {"Han": 1}, {"Han": 1}, {"Latin": 1}, {"Latin": 1}
    ]  # fmt: skip


@given(st.lists(MIXED, max_size=12), st.integers(1, 9))
def test_the_window_is_the_last_characters_that_have_a_script(texts, window):
    found = shares_by_place(texts, window=window)
    for end in range(1, len(texts) + 1):
        letters = [
            character
            for character in "".join(texts[:end])
            if not regex.match(r"[\p{Script=Common}\p{Script=Inherited}\p{Script=Unknown}]", character)
        ]
        assert found[end - 1] == pytest.approx(script_shares("".join(letters[-window:])))
        if letters:
            assert sum(found[end - 1].values()) == pytest.approx(1)


SHARES = st.dictionaries(st.sampled_from(SCRIPTS), st.integers(1, 9), min_size=1).map(
    lambda counts: {name: count / sum(counts.values()) for name, count in counts.items()}
)


@given(SHARES, SHARES, SHARES)
def test_drift_is_a_distance(one, two, three):
    assert drift(one, one) == 0
    assert drift(one, two) == pytest.approx(drift(two, one))
    assert 0 <= drift(one, two) <= 1 + 1e-9
    assert drift(one, three) <= drift(one, two) + drift(two, three) + 1e-9


def test_drift_of_an_answer():
    prompt = "請介紹臺灣的夜市。"
    assert largest_drift(prompt, ["夜市", "很", "熱鬧", "。" * 9], window=4) == 0
    assert largest_drift(prompt, ["夜市", "很", "熱鬧", " very", " busy"], window=4) == 1
    # It comes back, but it had gone.
    assert largest_drift(prompt, ["夜市很熱鬧", " very ", "夜市很熱鬧"], window=4) == 1
    assert largest_drift(prompt, ["夜ab市"], window=40) == pytest.approx(0.5)
    assert largest_drift(prompt, [], window=4) == 0


def test_a_character_costs_the_same_however_long_the_text_is():
    def cost(length):
        window = ScriptWindow(20)
        return instructions(FOLDER, lambda: [window.feed("中a"[place % 2]) for place in range(length)])

    cost(2)  # the scripts of these characters are known from now on
    assert cost(2000) < 4 * cost(500) * 1.05


def test_a_window_of_nothing():
    with pytest.raises(SettingsError, match="at least"):
        ScriptWindow(0)
