"""Which answers are called alike: copies are, and independent right answers are not."""

import itertools
import random

import pytest

from courselib.grading.likeness import GRAM, WINDOW, alike, fingerprints
from tests.grading import class_answers
from tests.grading.results_of_a_class import NUCLEUS, SOFTMAX, judged


def pairs(answers, given=()):
    return [(each.one, each.other) for each in alike(answers, given)]


def test_the_class_of_this_test_is_right():
    for answer in (*class_answers.NUCLEUS, class_answers.RENAMED):
        names = {}
        exec(answer, names)
        assert judged(names["top_p_filter"], NUCLEUS) == ""
    names = {}
    exec(class_answers.SOFTMAX, names)
    assert judged(names["softmax"], SOFTMAX) == ""


def test_a_copy_with_other_names_is_found_among_independent_answers():
    (pair,) = alike((*class_answers.NUCLEUS, class_answers.RENAMED))
    assert (pair.one, pair.other, pair.share) == (0, len(class_answers.NUCLEUS), 1)


def test_a_class_that_writes_the_same_softmax_is_not_accused():
    assert pairs([class_answers.SOFTMAX] * 9) == []


def test_a_copied_essay_is_found_among_essays():
    answers = (*class_answers.ESSAYS, class_answers.COPIED_ESSAY)
    assert pairs(answers) == [(0, len(class_answers.ESSAYS))]


def test_what_was_handed_out_does_not_count():
    answers = [class_answers.NUCLEUS[0], class_answers.RENAMED]
    assert pairs(answers) == [(0, 1)]
    assert pairs(answers, given=[class_answers.NUCLEUS[0]]) == []


def test_what_many_have_does_not_count():
    answers = [class_answers.NUCLEUS[0]] * 10
    assert len(pairs(answers)) == 45
    assert pairs([*answers, class_answers.RENAMED]) == []


def test_what_is_marked_is_what_both_have():
    (pair,) = alike([f"# mine\n{class_answers.NUCLEUS[0]}", class_answers.RENAMED])
    for text, stretches in zip((class_answers.NUCLEUS[0], class_answers.RENAMED), pair.marked, strict=True):
        assert sum(end - begin for begin, end in stretches) > 0.7 * len(text)
        assert all(before[1] < after[0] for before, after in itertools.pairwise(stretches))


def test_any_stretch_as_long_as_window_and_gram_leaves_a_fingerprint():
    """The guarantee of the paper's algorithm: of t = w + k - 1 equal tokens at least one fingerprint is shared."""
    source = random.Random(5)
    for _n in range(50):
        shared = [str(source.randrange(10**6)) for _token in range(WINDOW + GRAM - 1)]
        one, other = (
            " ".join(
                [*(str(source.randrange(10**6)) for _token in range(30)), *shared, *("9" * n for n in range(1, 9))]
            )
            for _side in range(2)
        )
        assert fingerprints(one).places.keys() & fingerprints(other).places.keys()


@pytest.mark.parametrize("text", ["", "'", '"""', "def", "(" * 5_000, "\x00\ud800\u202e", "'" * 9999, "é = 1 # \n" * 9])
def test_any_text_has_fingerprints(text):
    assert alike([text, text]) == [] or len(text) > 80


def test_the_time_grows_with_the_text_only():
    """No pattern goes back over what it has read: a long text takes a moment, whatever it holds."""
    for unit in ("'", '"', "\\", "a", "1", ".", "#", '"""', "r'", "''' "):
        assert fingerprints(unit * (20_000 // len(unit))) is not None
