"""What TGI answers: asked of the live gateway."""

import math

import pytest

from tests.gateway.conftest import data

pytestmark = pytest.mark.engine

PROMPT = "The capital of France is"
CHAT = "<|im_start|>user\nSay hi<|im_end|>\n<|im_start|>assistant\nHello there! How can I help you today?"
# The model goes on repeating these, and each is of three tokens of one byte or two.
SMILEYS = "Smileys: 😀😃😄😁😆 and more: 😀😃😄😁"


def test_parameters_left_out_sample_and_empty_ones_do_not(tiny):
    # The answer is as long as what this leaves of the context.
    prompt = "My three favourite words, in no order and for no reason that I could tell you, are these: first of all,"

    def ask(body):
        (answer,) = tiny.http.post("/", json={"inputs": prompt, **body}).json()
        return answer["generated_text"]

    sampled = {ask({}) for _ in range(3)}
    assert len({ask({"parameters": {}}) for _ in range(2)}) == 1
    assert len(sampled) > 1


def test_the_whole_answer(post):
    body = post(max_new_tokens=3, details=True).json()
    assert list(body) == ["generated_text", "details"]
    details = body["details"]
    assert list(details) == ["finish_reason", "generated_tokens", "seed", "prefill", "tokens"]
    assert (details["finish_reason"], details["generated_tokens"], details["prefill"]) == ("length", 3, [])
    assert details["seed"] is None
    assert [list(token) for token in details["tokens"]] == [["id", "text", "logprob", "special"]] * 3
    assert "".join(token["text"] for token in details["tokens"]) == body["generated_text"]
    assert all(token["logprob"] < 0 and not token["special"] for token in details["tokens"])


def test_no_details_unless_asked_for(post):
    assert list(post(max_new_tokens=1).json()) == ["generated_text"]
    assert "details" in post(max_new_tokens=1, decoder_input_details=True).json()


def test_headers(post):
    headers = post(max_new_tokens=2).headers
    assert headers["x-prompt-tokens"] == "5"
    assert headers["x-generated-tokens"] == "2"
    assert headers["x-compute-characters"] == str(len(PROMPT))
    assert headers["x-compute-type"] == "cpu"
    for name in ("total", "validation", "queue", "inference"):
        assert headers[f"x-{name}-time"].isdigit()
    assert headers["x-time-per-token"].isdigit()
    assert 0 < float(headers["x-compute-time"]) < 60


def test_the_stop_string_is_part_of_the_answer(post):
    body = post(max_new_tokens=20, stop=["nothing", "ris."], details=True).json()
    assert body["generated_text"] == " Paris."
    assert body["details"]["finish_reason"] == "stop_sequence"
    assert body["details"]["generated_tokens"] == 2


def test_a_stop_string_within_a_token_is_missed(post):
    body = post(max_new_tokens=2, stop=["Par"], details=True).json()
    assert body["generated_text"] == " Paris."
    assert body["details"]["finish_reason"] == "length"


def test_the_end_of_the_answer_is_a_token_but_no_text(post):
    details = post(body={"inputs": CHAT}, max_new_tokens=9, details=True).json()["details"]
    assert details["finish_reason"] == "eos_token"
    last = details["tokens"][-1]
    assert (last["id"], last["text"], last["special"]) == (2, "<|im_end|>", True)
    assert details["generated_tokens"] == len(details["tokens"])


def test_the_limit_comes_before_the_end(post):
    details = post(body={"inputs": CHAT}, max_new_tokens=1, details=True).json()["details"]
    assert details["finish_reason"] == "length"
    assert details["tokens"][0]["id"] == 2


@pytest.mark.parametrize(
    ("parameters", "sampled"),
    [
        ({"do_sample": True}, True),
        ({"temperature": 0.8}, True),
        ({"top_k": 5}, True),
        ({"top_p": 0.9}, True),
        ({"typical_p": 0.9}, True),
        ({"temperature": 1.0}, False),
        ({"repetition_penalty": 1.2}, False),
        ({"seed": 7}, False),
    ],
)
def test_the_seed_is_told_where_chance_plays_a_part(post, parameters, sampled):
    seed = post(max_new_tokens=1, details=True, **parameters).json()["details"]["seed"]
    assert (seed is not None) == sampled


def test_the_seed_told_repeats_the_answer(post):
    first = post(max_new_tokens=12, do_sample=True, details=True).json()
    again = post(max_new_tokens=12, do_sample=True, seed=first["details"]["seed"]).json()
    assert again["generated_text"] == first["generated_text"]


def test_a_seed_of_64_bits(post):
    asked = 2**64 - 1
    assert post(max_new_tokens=1, do_sample=True, seed=asked, details=True).json()["details"]["seed"] == asked


def top(post, **parameters):
    details = post(max_new_tokens=1, details=True, top_n_tokens=5, **parameters).json()["details"]
    return {token["id"]: token["logprob"] for token in details["top_tokens"][0]}


def test_the_temperature_is_applied_before_the_others_and_told(post):
    plain = top(post)
    assert len(plain) == 5
    warped = top(post, temperature=2.0, top_k=3)
    kept = sorted(plain, key=plain.get, reverse=True)[:3]
    weights = {number: math.exp(plain[number] / 2) for number in kept}
    expected = {number: math.log(weight / sum(weights.values())) for number, weight in weights.items()}
    assert warped == pytest.approx(expected, abs=0.02)


def test_top_p_looks_at_the_distribution_after_the_temperature(post):
    # Paris has three quarters of the plain distribution, and far less of a flat one.
    assert len(top(post, do_sample=True, top_p=0.5)) == 1
    assert len(top(post, temperature=5.0, top_p=0.5)) == 5


def test_greedy_after_a_penalty_tells_no_logprob(post):
    for parameters in ({"repetition_penalty": 1.3}, {"frequency_penalty": 0.5}):
        tokens = post(max_new_tokens=2, details=True, **parameters).json()["details"]["tokens"]
        assert [list(token) for token in tokens] == [["id", "text", "special"]] * 2


def test_the_repetition_penalty_looks_at_the_whole_prompt(post):
    # The word is 120 tokens back: llama.cpp's own window of 64 would not see it.
    prompt = "In Paris. " + "one two three four five six seven eight nine ten " * 11 + PROMPT
    plain = post(body={"inputs": prompt}, max_new_tokens=1).json()["generated_text"]
    assert plain == " Paris"
    punished = post(body={"inputs": prompt}, max_new_tokens=1, repetition_penalty=9.0).json()["generated_text"]
    assert punished != " Paris"


def test_frequency_penalty_says_that_it_means_something_else(post):
    assert "llama.cpp" in post(max_new_tokens=1, frequency_penalty=0.5).headers["x-gateway-warning"]
    assert "x-gateway-warning" not in post(max_new_tokens=1).headers


def test_best_of(post):
    body = post(max_new_tokens=4, best_of=2, do_sample=True, temperature=1.8, details=True).json()
    (other,) = body["details"]["best_of_sequences"]
    assert list(other)[:2] == ["generated_text", "finish_reason"]

    def mean(tokens):
        return sum(token["logprob"] for token in tokens) / len(tokens)

    assert mean(body["details"]["tokens"]) >= mean(other["tokens"])


def test_truncate_keeps_the_end_of_the_prompt(post):
    cut = post(body={"inputs": f"nonsense and more of it {PROMPT}"}, max_new_tokens=3, truncate=5)
    assert cut.headers["x-prompt-tokens"] == "5"
    assert cut.json() == post(max_new_tokens=3).json()


def test_return_full_text(post):
    plain = post(max_new_tokens=2).json()["generated_text"]
    assert post(max_new_tokens=2, return_full_text=True).json()["generated_text"] == PROMPT + plain
    # The compatible route gives back the prompt unless told not to.
    assert post("/", max_new_tokens=2).json()[0]["generated_text"] == PROMPT + plain
    assert post("/", max_new_tokens=2, return_full_text=False).json()[0]["generated_text"] == plain


def test_a_grammar(post):
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 9}}, "required": ["city"]}
    answer = post(max_new_tokens=40, grammar={"type": "json", "value": schema}).json()["generated_text"]
    assert answer.lstrip().startswith("{")
    assert '"city"' in answer


def test_no_limit_fills_the_context(tiny):
    body = {"inputs": "la la la la la la la la la la", "parameters": {"details": True}}
    answer = tiny.http.post("/generate", json=body)
    details = answer.json()["details"]
    assert details["finish_reason"] == "length"
    assert details["generated_tokens"] == 48 - int(answer.headers["x-prompt-tokens"])


def test_characters_of_several_tokens_come_whole(events):
    frames = [data(frame) for frame in events(
        "/generate_stream", {"inputs": SMILEYS, "parameters": {"max_new_tokens": 6, "details": True}}
    )]  # fmt: skip
    texts = [frame["token"]["text"] for frame in frames]
    assert [len(text) for text in texts] == [0, 0, 1, 0, 0, 1]
    assert [frame["index"] for frame in frames] == [1, 2, 3, 4, 5, 6]
    # llama.cpp tells the probability of a character's last token only.
    assert [list(frame["token"]) for frame in frames[:3]] == [
        ["id", "text", "special"], ["id", "text", "special"], ["id", "text", "logprob", "special"]
    ]  # fmt: skip
    assert frames[-1]["generated_text"] == "".join(texts)
    assert frames[-1]["details"]["generated_tokens"] == 6


def test_an_answer_cut_off_within_a_character(post):
    body = post(body={"inputs": SMILEYS}, max_new_tokens=4, details=True).json()
    tokens = body["details"]["tokens"]
    assert len(tokens) == body["details"]["generated_tokens"] == 4
    assert tokens[3] == {"text": "", "special": False}
    assert len(body["generated_text"]) == 1
