"""llama.cpp's own samplers, called through llama_cpp, on the same thousand rows of logits.

They compute in float32, so their numbers agree with ours to what that can hold: 1e-6, and the spacing of float32 at the
greatest logit, which the exponential turns into a relative error of the probability. Where a sum of probabilities comes
within rounding of a boundary, their set must be the one ours is with the setting moved by 1e-5; over a whole
vocabulary, whose float32 sums are off by more than its rare tokens have, it may differ by tokens of 1e-3 together.
Probabilities below 1e-30 count as none, for float32's exponential underflows.
"""

import ctypes
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from courselib import models
from courselib.controls.controls import Controls
from courselib.sampling import Context, llama_cpp
from courselib.sampling.context import LLAMA_CPP_ORDER
from courselib.sampling.dry import BREAKERS, Dry, breakers_within
from courselib.sampling.engines import llama_cpp_native
from courselib.sampling.penalties import LogitBias, Penalties
from courselib.sampling.pipeline import Pipeline
from courselib.sampling.stages import Greedy, Temperature
from courselib.sampling.truncation import MinP, TopK, TopNSigma, TopP, Typical, Xtc
from tests.sampling import cases

lib = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not built here: make native")

pytestmark = pytest.mark.engine  # the library is compiled after the tests without an engine

MOVE = 1e-5
LEAST = 1e-30
ITEM = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


def sampler(stage, vocabulary, vocab=None):
    """The library's sampler for one of our stages."""
    if isinstance(stage, LogitBias):
        bias = (lib.llama_logit_bias * len(stage.bias))(*stage.bias.items())
        return lib.llama_sampler_init_logit_bias(vocabulary, len(stage.bias), bias)
    if isinstance(stage, Penalties):
        numbers = (stage.repetition, stage.frequency, stage.presence)
        made = lib.llama_sampler_init_penalties(vocabulary, len(stage.counted), *numbers)
        for token in stage.counted:
            lib.llama_sampler_accept(made, token)
        return made
    if isinstance(stage, Dry):
        texts = (ctypes.c_char_p * len(BREAKERS))(*(text.encode() for text in BREAKERS))
        numbers = (stage.multiplier, stage.base, stage.allowed_length, 64)
        made = lib.llama_sampler_init_dry(vocab, *numbers, texts, len(BREAKERS))
        for token in stage.context:
            lib.llama_sampler_accept(made, token)
        return made
    if isinstance(stage, TopK):
        return lib.llama_sampler_init_top_k(stage.k)
    if isinstance(stage, TopP):
        return lib.llama_sampler_init_top_p(stage.p, stage.min_keep)
    if isinstance(stage, MinP):
        return lib.llama_sampler_init_min_p(stage.p, stage.min_keep)
    if isinstance(stage, Typical):
        return lib.llama_sampler_init_typical(stage.p, stage.min_keep)
    if isinstance(stage, TopNSigma):
        return lib.llama_sampler_init_top_n_sigma(stage.n)
    if isinstance(stage, Xtc):
        assert stage.probability in (0, 1), "only these leave nothing to chance"
        return lib.llama_sampler_init_xtc(stage.probability, stage.threshold, stage.min_keep, 0)
    value = 0.0 if isinstance(stage, Greedy) else stage.temperature
    return lib.llama_sampler_init_temp_ext(value, 0.0, 1.0)


def run(stages, row, vocab=None):
    """What the library draws from after these stages: a probability for each token."""
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    for stage in stages:
        if stage.is_on:
            lib.llama_sampler_chain_add(chain, sampler(stage, row.size, vocab))
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_dist(0))
    probabilities, _selected = apply(chain, row)
    lib.llama_sampler_free(chain)
    return probabilities


def apply(chain, row):
    """What a chain of the library makes of a row: a probability for each token, and the token that it selects."""
    items = np.zeros(np.isfinite(row).sum(), dtype=ITEM)
    items["id"] = np.flatnonzero(np.isfinite(row))
    items["logit"] = row[items["id"]]
    data = ctypes.cast(items.ctypes.data, lib.llama_token_data_p)
    array = lib.llama_token_data_array(data=data, size=items.size, selected=-1, sorted=False)
    lib.llama_sampler_apply(chain, ctypes.byref(array))
    # XTC moves the pointer.
    first = (ctypes.cast(array.data, ctypes.c_void_p).value - items.ctypes.data) // ITEM.itemsize
    left = items[first : first + array.size]
    probabilities = np.zeros(row.size)
    probabilities[left["id"]] = left["p"]
    return probabilities, int(left["id"][array.selected])


def agree(ours, theirs, row, least_temperature=1.0):
    """Whether two distributions are the same; among equal logits, whichever the library's sorting put first."""
    tolerance = 1e-6 + float(np.spacing(np.float32(np.abs(row[np.isfinite(row)]).max() / least_temperature)))
    if cases.has_ties(row):
        ours, theirs = np.sort(ours), np.sort(theirs)
    return bool(((ours > LEAST) == (theirs > LEAST)).all() and np.abs(ours - theirs).max() <= tolerance)


def moved(stages):
    """The same stages with a boundary moved up or down by a rounding error."""
    for i, stage in enumerate(stages):
        name = next((field for field in ("p", "n", "threshold") if hasattr(stage, field)), None)
        for by in (1 - MOVE, 1 + MOVE) if name else ():
            value = min(getattr(stage, name) * by, 1.0) if name != "n" else stage.n * by
            yield (*stages[:i], dataclasses.replace(stage, **{name: value}), *stages[i + 1 :])


def check(stages, row, vocab=None):
    """Compare; gives whether a boundary had to be moved for it."""
    theirs = run(stages, row, vocab)
    low = min((stage.temperature for stage in stages if isinstance(stage, Temperature)), default=1.0)
    ours = Pipeline("", stages).probabilities(row)
    if agree(ours, theirs, row, low):
        return False
    if row.size == cases.VOCABULARY:
        # The cumulative distributions over falling probability, so that it matters not which of equals are there.
        assert np.abs(np.sort(ours).cumsum() - np.sort(theirs).cumsum()).max() < 1e-3, stages
        return True
    assert any(agree(Pipeline("", others).probabilities(row), theirs, row, low) for others in moved(stages)), stages
    return True


def single(value):
    """A setting as the library holds it."""
    return float(np.float32(value))


def settings(random, size):
    history = cases.tokens(random, size, 64)
    p, few = single(random.uniform(0, 1)), int(random.integers(0, 4))
    return (
        LogitBias({int(token): single(random.uniform(-9, 9)) for token in random.integers(0, size, 3)}),
        Penalties(*(single(random.uniform(low, 2)) for low in (0.5, -2, -2)), history, history),
        TopNSigma(single(random.uniform(0, 4))),
        TopK(int(random.integers(-1, size + 5)), ties=False),
        TopP(p, few),
        MinP(p, few),
        Typical(p, False, few),
        Xtc(1.0, single(random.uniform(0, 0.3)), few),
        Temperature(single(random.uniform(0.1, 2))),
    )


def test_every_stage_is_llama_cpps():
    on_boundary = tried = 0
    for i, row in enumerate(cases.rows(seed=6)):
        for stage in settings(np.random.default_rng(i), row.size):
            on_boundary += check((stage,), row)
            tried += 1
    assert on_boundary < tried / 1000


def test_greedy_is_llama_cpps():
    for row in cases.rows(seed=7, count=200, full=1):
        check((Greedy(),), row)


def test_chains_in_any_order_are_llama_cpps():
    random = np.random.default_rng(8)
    on_boundary = tried = 0
    for row in cases.rows(seed=8):
        if cases.has_ties(row):
            continue
        given = Controls(
            temperature=single(random.uniform(0.1, 2)),
            top_k=int(random.integers(0, 60)),
            top_p=single(random.uniform(0.1, 1)),
            min_p=single(random.uniform(0, 0.2)),
            typical_p=single(random.uniform(0.2, 1)),
            repetition_penalty=single(random.uniform(0.8, 1.5)),
            presence_penalty=single(random.uniform(-1, 1)),
            frequency_penalty=single(random.uniform(-1, 1)),
        )
        names = [name for name in LLAMA_CPP_ORDER if name != "dry"]
        order = names if random.random() < 0.3 else list(random.permutation(names)[: random.integers(0, 9)])
        # Tokens outside top_n_sigma stay in llama.cpp's list, and typ_p's result is then not defined.
        sigma = 0.0 if "typ_p" in order else single(random.uniform(0.5, 3))
        context = Context(cases.tokens(random, row.size), cases.tokens(random, row.size))
        chain = llama_cpp(given, context, order=order, top_n_sigma=sigma, xtc_probability=float(random.integers(0, 2)))
        on_boundary += check(chain.stages, row)
        tried += 1
    assert tried > 500
    assert on_boundary < tried / 100


def library_chain(controls, history, size):
    """The chain that ``Llama`` itself makes of controls, without a model: it needs the vocabulary's size alone."""
    llama = SimpleNamespace(_n_vocab=size, last_n_tokens_size=64, _seed=0)
    names = {"repetition_penalty": "repeat_penalty", "temperature": "temp"}
    made = lib.Llama._init_sampler(llama, **{names.get(name, name): value for name, value in controls.given().items()})
    for token in history:
        made.accept(token)
    return made


def test_the_librarys_own_chain_is_predicted():
    random = np.random.default_rng(9)
    tried = greedy = 0
    for row in cases.rows(seed=9, count=400, full=0):
        if cases.has_ties(row):
            continue
        given = Controls(
            temperature=single(random.choice([0, random.uniform(0.1, 2)])),
            top_k=int(random.integers(0, 60)),
            top_p=single(random.uniform(0.1, 1)),
            min_p=single(random.uniform(0, 0.2)),
            typical_p=single(random.uniform(0.1, 1)),
            repetition_penalty=single(random.uniform(0.8, 1.5)),
            presence_penalty=single(random.uniform(-1, 1)),
            frequency_penalty=single(random.uniform(-1, 1)),
        )
        history = cases.tokens(random, row.size)
        chain = library_chain(given, history, row.size)
        theirs, selected = apply(chain.sampler, row)
        ours = llama_cpp_native(given, Context(output=history))
        if given.temperature == 0:
            assert ours.probabilities(row).argmax() == selected, given
            greedy += 1
        elif not agree(ours.probabilities(row), theirs, row, given.temperature):
            others = moved(ours.stages)
            assert any(agree(Pipeline("", one).probabilities(row), theirs, row, given.temperature) for one in others)
        tried += 1
    assert min(greedy, tried - greedy) > 100


def test_xtc_happens_as_often_as_it_should():
    row = np.log([0.4, 0.3, 0.2, 0.1])
    items = (lib.llama_token_data * 4)()
    acted = 0
    for seed in range(2000):
        for i, logit in enumerate(row):
            items[i] = lib.llama_token_data(i, logit, 0)
        array = lib.llama_token_data_array(items, 4, -1, False)
        made = lib.llama_sampler_init_xtc(0.3, 0.15, 0, seed)
        lib.llama_sampler_apply(made, ctypes.byref(array))
        acted += array.size == 2
        assert array.size in (2, 4)
        lib.llama_sampler_free(made)
    mixed = Pipeline("", (Xtc(0.3, 0.15),)).probabilities(row)
    # Token 0 is drawn only when XTC does nothing; four standard deviations of 2000 throws are 0.041.
    assert abs((1 - acted / 2000) * 0.4 - mixed[0]) < 0.041 * 0.4


def test_typical_after_top_n_sigma_is_as_undefined_as_its_note_says():
    row = np.random.default_rng(11).normal(0, 3, 100).astype(np.float32).astype(np.float64)
    chain = llama_cpp(Controls(typical_p=0.5), order=["top_n_sigma", "typ_p"], top_n_sigma=1.0)
    assert chain.notes
    assert not agree(chain.probabilities(row), run(chain.stages, row), row)
    # With top_p between them, nothing that is -inf is left in its list.
    chain = llama_cpp(Controls(typical_p=0.5), order=["top_n_sigma", "top_p", "typ_p"], top_n_sigma=1.0)
    assert not chain.notes
    assert agree(chain.probabilities(row), run(chain.stages, row), row)


@pytest.fixture(scope="module")
def vocab():
    model = lib.llama_model_default_params()
    model.vocab_only = True
    loaded = lib.llama_model_load_from_file(str(models.resolve("smollm2-135m")).encode(), model)
    yield lib.llama_model_get_vocab(loaded)
    lib.llama_model_free(loaded)


def piece(vocab, token):
    buffer = ctypes.create_string_buffer(256)
    length = lib.llama_token_to_piece(vocab, token, buffer, 256, 0, True)
    return buffer.raw[:length]


@pytest.mark.engine
def test_dry_and_its_breakers_are_llama_cpps(vocab):
    size = lib.llama_vocab_n_tokens(vocab)
    breakers = breakers_within([piece(vocab, token) for token in range(size)])
    assert len(breakers) > 100
    random = np.random.default_rng(9)
    row = random.normal(0, 3, size).astype(np.float32).astype(np.float64)
    penalised = 0
    for _ in range(100):
        few = [*random.integers(0, size, 3), *(breakers[i][0] for i in random.integers(0, len(breakers), 2))]
        context = tuple(
            int(token) for token in random.choice(few, int(random.integers(0, 65)), p=[0.3] * 3 + [0.05] * 2)
        )
        numbers = single(random.uniform(0.1, 2)), single(random.uniform(1, 2)), int(random.integers(0, 4))
        stage = Dry(*numbers, context, breakers)
        check((stage,), row, vocab)
        penalised += bool(stage.runs())
    assert penalised > 50
