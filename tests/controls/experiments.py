"""One experiment for each control: what it does, seen in what the engine answers.

Every experiment asks every route the same, and expects of it what its table says; of those that a route has not, what
``lost`` does.
"""

import pytest

from courselib.controls.controls import Controls
from courselib.controls.route import LOST, Verdict
from courselib.controls.routes import llamacpp, llamacpp_native
from tests.controls.asking import (
    CHANCE,
    DRY,
    FIRST,
    FORCED,
    HOT,
    LENGTH,
    LIMIT,
    LONG_AGO,
    MARKER,
    MOST,
    NOISE,
    OPEN,
    REPEATED,
    SECOND,
    SEEDS,
    SHORT,
    SPECIAL,
    TIMES,
    WORD,
    drawn,
    greedy,
    likeliest,
    refuses,
)
from tests.controls.live import HttpRoute, Refused
from tests.controls.lost import lost

# Choosing the token.


def temperature(live):
    assert greedy(live) == likeliest(live)
    assert len(set(drawn(live))) == len(SEEDS)
    cool, hot = (set(drawn(live, range(6), temperature=t, max_tokens=1)) for t in (0.2, 2.0))
    assert len(cool) < len(hot)
    if live.route.name == "TGI /generate":
        with pytest.raises(Refused, match="strictly positive"):
            live.ask(OPEN, raw={"temperature": 0}, max_tokens=1)
    if live.route.engine == "vLLM":
        _clamped(live)


def _clamped(live):
    """A tie of two tokens is drawn at 0.01, and at 0.001, too: the same tokens, since the engine takes 0.01 for it."""
    line = live.route.plan(Controls(temperature=0.001)).line("temperature")
    assert line.verdict is Verdict.CLAMPED
    assert "the engine takes 0.01 for it" in line.text
    tie = {"logit_bias": race_bias(live, REPEATED, 0.01), "n": 16, "seed": 1, "max_tokens": 1}
    cold, coldest = (live.ask(REPEATED, temperature=t, **tie).texts for t in (0.01, 0.001))
    assert set(coldest) == {FIRST, SECOND}, "one in 22,000 where 0.001 itself applied"
    assert coldest == cold


def top_k(live):
    assert drawn(live, top_k=1) == [likeliest(live)] * 3
    if live.route.engine == "TGI":
        with pytest.raises(Refused):
            live.ask(OPEN, raw={"top_k": 0}, max_tokens=1)


def top_p(live):
    assert drawn(live, top_p=0.001) == [likeliest(live)] * 3
    if live.route.engine == "TGI":
        with pytest.raises(Refused):
            live.ask(OPEN, raw={"top_p": 1.0}, max_tokens=1)


def min_p(live):
    assert drawn(live, min_p=1.0) == [likeliest(live)] * 3


def typical_p(live):
    """One token is left, the one of most nearly average surprise, so chance has no choice; it is not the likeliest."""
    assert len(set(drawn(live, temperature=0.7))) > 1
    left = set(drawn(live, temperature=0.7, typical_p=0.001))
    assert len(left) == 1
    assert left != {likeliest(live)}
    if live.route.engine == "TGI":
        with pytest.raises(Refused):
            live.ask(OPEN, raw={"typical_p": 1.0}, max_tokens=1)


# Repetition.


def race_bias(live, message, lead):
    """Biases that leave only ``FIRST`` and ``SECOND`` in the running, ``FIRST`` ahead by ``lead`` logits."""
    if message not in live.known:
        (live.known[message],) = live.ask(message, temperature=0, max_tokens=1, logprobs=20).steps
    gap = live.known[message][FIRST] - live.known[message][SECOND]
    return {live.token(FIRST): FORCED, live.token(SECOND): FORCED + gap - lead}


def first_wins(live, lead, message=REPEATED, **controls):
    """Whether ``FIRST``, ahead by so many logits, is still ahead with these controls."""
    text = greedy(live, message, 1, logit_bias=race_bias(live, message, lead), **controls)
    assert text in (FIRST, SECOND)
    return text == FIRST


def lowers_by(live, logits, **controls):
    """Whether controls lower the prompt's repeated token by so many logits, no less and no more."""
    assert first_wins(live, NOISE), "without them it is ahead"
    assert not first_wins(live, logits - NOISE, **controls)
    assert first_wins(live, logits + NOISE, **controls)


def prompt_does_not_count(live, **controls):
    assert first_wins(live, NOISE, **controls)


def later_tokens_count(live, **controls):
    """An answer that would repeat itself becomes another, after it has begun alike."""
    calls = [{"temperature": 0, "max_tokens": MOST, **more} for more in ({}, controls)]
    plain, other = (answer.text for answer in live.ask_all(OPEN, calls))
    assert plain != other
    assert plain[:3] == other[:3]


def window_is_64(live, **controls):
    """What a penalty does not see: the server, more than 64 tokens back; the library, that and the prompt."""
    said = live.route.table[next(iter(controls))].words
    if said == llamacpp.WINDOW:
        assert first_wins(live, NOISE, LONG_AGO, **controls)
    if said == llamacpp_native.WINDOW:
        prompt_does_not_count(live, **controls)


def run_lengths(live, *calls):
    """How many times in a row a word comes, of 24, where its bias is the only difference to greedy."""
    word = live.token(WORD)
    calls = [{**call, "temperature": 0, "max_tokens": MOST, "logit_bias": {word: call["logit_bias"]}} for call in calls]
    texts = [answer.text for answer in live.ask_all(OPEN, calls)]
    return [next(count for count in range(MOST + 1) if not text.startswith(WORD * (count + 1))) for text in texts]


def repetition_penalty(live):
    if live.route.engine == "TGI":
        assert greedy(live, REPEATED, 1) == FIRST
        assert greedy(live, REPEATED, 1, repetition_penalty=1.5) != FIRST, "the prompt counts"
        return
    if live.route.engine == "llama_cpp":
        later_tokens_count(live, repetition_penalty=1.5)
    else:
        assert first_wins(live, 3.0)
        assert not first_wins(live, 3.0, repetition_penalty=1.5), "the prompt counts"
    window_is_64(live, repetition_penalty=1.5)


def presence_penalty(live):
    if live.route.engine == "TGI":
        _presence_is_repetition(live)
        return
    if live.route.engine == "llama.cpp":
        lowers_by(live, 1.5, presence_penalty=1.5)
    else:
        prompt_does_not_count(live, presence_penalty=2.0)
        later_tokens_count(live, presence_penalty=2.0)
    assert run_lengths(live, {"logit_bias": 20, "presence_penalty": 2.0}) == [MOST], "once, however often it comes"
    window_is_64(live, presence_penalty=2.0)


def _presence_is_repetition(live):
    """The chat's answer is that of /generate with a repetition penalty of 2 more."""
    generate = HttpRoute("TGI /generate", live.tokenize, live.server)
    for value in (-1.5, -0.5, 1.0):
        penalised = greedy(live, REPEATED, presence_penalty=value)
        assert penalised == greedy(generate, REPEATED, repetition_penalty=value + 2)
    assert greedy(live, REPEATED) == greedy(generate, REPEATED, repetition_penalty=1.0) != penalised
    refuses(live, presence_penalty=-2)


def frequency_penalty(live):
    if live.route.engine == "TGI":
        # The token is a tenth of all: its share would lower it by a twentieth of a logit, its count lowers it by two.
        assert greedy(live, REPEATED, 1) == FIRST
        assert greedy(live, REPEATED, 1, frequency_penalty=0.5) == SECOND
        return
    if live.route.engine == "llama.cpp":
        lowers_by(live, 0.5 * TIMES, frequency_penalty=0.5)
    else:
        prompt_does_not_count(live, frequency_penalty=2.0)
    shorter, longer = run_lengths(live, *({"logit_bias": bias, "frequency_penalty": 2.0} for bias in (20, 30)))
    assert abs(longer - shorter - 5) <= 1, "10 logits more bear 5 times more of 2 each"
    if live.route.engine == "llama_cpp":
        # Ahead by about 70, and surely by less than 64 times 1.4: 90 times 1 would end the run, 64 times do not.
        ahead = {"logit_bias": {live.token(WORD): 66.0}}
        assert greedy(live, OPEN, 90, frequency_penalty=1.0, **ahead) == WORD * 90
        assert greedy(live, OPEN, 70, frequency_penalty=1.4, **ahead) != WORD * 70
    window_is_64(live, frequency_penalty=2.0)


def forced_runs(live, *calls):
    return run_lengths(live, *({"logit_bias": FORCED, **call} for call in calls))


def dry_multiplier(live):
    assert forced_runs(live, {}, {"dry_multiplier": 0.0, "dry_allowed_length": 0}) == [MOST, MOST]
    assert forced_runs(live, {"dry_multiplier": 100.0}) == [3]
    assert greedy(live, REPEATED, 2) != live.ask(REPEATED, raw=DRY, temperature=0, max_tokens=2).text


def dry_base(live):
    """After so many the penalty, which grows by this factor with each, is above the bias; a factor of 1, never."""
    lengths = forced_runs(live, *({"dry_multiplier": 1.0, "dry_base": base} for base in (1.0, 1.75, 4.0)))
    assert MOST == lengths[0] > lengths[1] > lengths[2] > 3


def dry_allowed_length(live):
    lengths = forced_runs(live, *({"dry_multiplier": 100.0, "dry_allowed_length": allowed} for allowed in (2, 5, 9)))
    assert lengths == [3, 6, 10]


# Length.


def max_tokens(live):
    for length in (1, 5):
        answer = live.ask(OPEN, temperature=0, max_tokens=length)
        assert answer.length == length
        assert answer.finish in ("length", "limit")


def min_tokens(live):
    assert live.ask(SHORT, temperature=0, max_tokens=LIMIT).length < 10
    answer = live.ask(SHORT, temperature=0, max_tokens=LIMIT, min_tokens=12)
    assert answer.length >= 12


def stop(live):
    text = likeliest(live)
    word = next(word for word in text.split(" ")[2:] if len(word) > 3)
    before = text[: text.index(" " + word)]
    whole = greedy(live, stop=(" " + word,))
    within = greedy(live, stop=(word[:2],))
    if live.route.engine == "TGI":
        assert whole == f"{before} {word}", "kept"
        assert within == text, "not found where no token ends"
    else:
        assert whole == before
        assert within == before + " "
    few = live.ask(OPEN, temperature=0, max_tokens=LENGTH, stop=("@", "#", "$", " " + word))
    assert few.text == whole
    if live.route.table["stop"].interval:
        refuses(live, stop=("@", "#", "$", "%", " " + word))
    else:
        assert greedy(live, stop=("@", "#", "$", "%", " " + word)) == whole


def ignore_eos(live):
    assert live.ask(SHORT, temperature=0, max_tokens=LIMIT).length < LIMIT
    assert live.ask(SHORT, temperature=0, max_tokens=LIMIT, ignore_eos=True).length == LIMIT


# Chance and result.


def skip_special_tokens(live):
    forced = {"logit_bias": {SPECIAL: 100.0}}
    assert greedy(live, SHORT, 3, skip_special_tokens=False, **forced) == MARKER * 3
    assert greedy(live, SHORT, 3, skip_special_tokens=True, **forced) == ""
    answer = greedy(live, SHORT, LIMIT, skip_special_tokens=False)
    assert answer == greedy(live, SHORT, LIMIT), "the one that ends the answer is never in the text"


def seed(live):
    first, again = (drawn(live, **CHANCE) for _time in range(2))
    assert first == again
    assert len(set(first)) == len(SEEDS)


def logit_bias(live):
    assert greedy(live, length=3, logit_bias={live.token(WORD): 100.0}) == WORD * 3
    opening = likeliest(live).split(" ")[0]
    assert greedy(live, length=1) == opening
    assert greedy(live, length=1, logit_bias={live.token(opening): -100.0}) != opening


def logprobs(live):
    for count in (0, 1, 3):
        answer = live.ask(OPEN, temperature=0, max_tokens=3, logprobs=count)
        assert [len(step) for step in answer.steps] == [max(count, 1)] * 3
        assert all(-20 < value <= 0 for step in answer.steps for value in step.values())
    assert "".join(max(step, key=step.get) for step in answer.steps) == answer.text
    # The tests' vLLM server takes any number; the limit it has by default is tested on one of its own.
    if live.route.table["logprobs"].interval and live.route.name not in ("vLLM chat", "vLLM completions"):
        refuses(live, logprobs=6 if live.route.engine == "TGI" else 21)


def n(live):
    texts = live.ask(OPEN, temperature=HOT, max_tokens=LENGTH, seed=1, n=2).texts
    assert len(texts) == len(set(texts)) == 2
    if live.route.engine == "llama.cpp":
        with pytest.raises(Refused):
            live.ask(OPEN, n=live.server.settings.parallel + 1, max_tokens=1)
    else:
        assert live.route.plan(Controls(temperature=0, n=2)).line("n").verdict is Verdict.REFUSED
        with pytest.raises(Refused):
            live.ask(OPEN, raw={"n": 2}, temperature=0, max_tokens=1)


EXPERIMENTS = {
    one.__name__: one
    for one in (
        temperature,
        top_k,
        top_p,
        min_p,
        typical_p,
        repetition_penalty,
        presence_penalty,
        frequency_penalty,
        dry_multiplier,
        dry_base,
        dry_allowed_length,
        max_tokens,
        min_tokens,
        stop,
        ignore_eos,
        skip_special_tokens,
        seed,
        logit_bias,
        logprobs,
        n,
    )
}


def experiment(live, control):
    """Try one control on one route."""
    if live.route.table[control].verdict in LOST:
        lost(live, control)
    else:
        EXPERIMENTS[control](live)
