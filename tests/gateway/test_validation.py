"""What TGI refuses, in its words and its order: sent to the live gateway."""

import pytest

pytestmark = pytest.mark.engine

LONG = "word " * 600
PREFIX = "Input validation error: "
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}

# Parameters, and TGI's text (validation.rs of 3.3.7); the gateway's context is 512 tokens.
REFUSED = [
    ({"temperature": 0}, "`temperature` must be strictly positive"),
    ({"temperature": 0.0}, "`temperature` must be strictly positive"),
    ({"temperature": -1}, "`temperature` must be strictly positive"),
    ({"repetition_penalty": 0}, "`repetition_penalty` must be strictly positive"),
    ({"repetition_penalty": -1.5}, "`repetition_penalty` must be strictly positive"),
    ({"frequency_penalty": -2.01}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
    ({"frequency_penalty": 2.5}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
    ({"top_p": 0}, "`top_p` must be > 0.0 and < 1.0"),
    ({"top_p": 1}, "`top_p` must be > 0.0 and < 1.0"),
    ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
    ({"top_p": -0.5}, "`top_p` must be > 0.0 and < 1.0"),
    ({"typical_p": 0}, "`typical_p` must be > 0.0 and < 1.0"),
    ({"typical_p": 1.0}, "`typical_p` must be > 0.0 and < 1.0"),
    ({"top_k": 0}, "`top_k` must be strictly positive"),
    ({"top_k": -1}, "`top_k` must be strictly positive"),
    ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
    ({"stop": list("abcde")}, "`stop` supports up to 4 stop sequences. Given: 5"),
    ({"top_n_tokens": 6}, "`top_n_tokens` must be >= 0 and <= 5. Given: 6"),
    ({"best_of": 3, "do_sample": True}, "`best_of` must be > 0 and <= 2. Given: 3"),
    ({"best_of": 2}, "you must use sampling when `best_of` is > 1"),
    ({"best_of": 2, "top_k": 5, "seed": 1}, "`seed` must not be set when `best_of` > 1"),
    ({"truncate": 0}, "`truncate` must be strictly positive and less than 511. Given: 0"),
    ({"truncate": 512}, "`truncate` must be strictly positive and less than 511. Given: 512"),
    (
        {"max_new_tokens": 508},
        "`inputs` tokens + `max_new_tokens` must be <= 512. Given: 5 `inputs` tokens and 508 `max_new_tokens`",
    ),
    (
        {"max_new_tokens": 100_000},
        "`inputs` tokens + `max_new_tokens` must be <= 512. Given: 5 `inputs` tokens and 1024 `max_new_tokens`",
    ),
    ({"grammar": {"type": "regex", "value": "a+"}}, "grammar is not supported"),
    ({"grammar": {"type": "json", "value": 5}}, "grammar is not supported"),
    ({"grammar": {"type": "json", "value": {}}}, "grammar is not valid: Grammar must have a 'properties' field"),
    ({"watermark": True}, "`watermark` is not supported by this gateway"),
]


@pytest.mark.parametrize(("parameters", "text"), REFUSED)
def test_refused_in_tgis_words(post, parameters, text):
    answer = post(**{"max_new_tokens": 1, **parameters})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"error": PREFIX + text, "error_type": "validation"}


INPUTS = [
    ("", {}, "`inputs` cannot be empty"),
    (LONG, {"max_new_tokens": 1},
     "`inputs` tokens + `max_new_tokens` must be <= 512. Given: 601 `inputs` tokens and 1 `max_new_tokens`"),
    (LONG, {}, "`inputs` tokens + `max_new_tokens` must be <= 512. Given: 601 `inputs` tokens and 0 `max_new_tokens`"),
    ("word " * 511, {}, "`inputs` must have less than 511 tokens. Given: 512"),
]  # fmt: skip


@pytest.mark.parametrize(("inputs", "parameters", "text"), INPUTS)
def test_refused_prompts(post, inputs, parameters, text):
    answer = post(body={"inputs": inputs, "parameters": parameters})
    assert answer.json() == {"error": PREFIX + text, "error_type": "validation"}


# Each field is wrong; TGI tells the first in this order, so that mending one by one tells all.
ORDER = [
    ("best_of", 2, "`best_of` must be > 0 and <= 2. Given: 3"),
    ("temperature", 1.5, "`temperature` must be strictly positive"),
    ("repetition_penalty", 1.1, "`repetition_penalty` must be strictly positive"),
    ("frequency_penalty", 0, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
    ("top_p", 0.9, "`top_p` must be > 0.0 and < 1.0"),
    ("typical_p", 0.9, "`typical_p` must be > 0.0 and < 1.0"),
    ("top_k", 5, "`top_k` must be strictly positive"),
    ("max_new_tokens", 1, "`max_new_tokens` must be strictly positive"),
    ("stop", [], "`stop` supports up to 4 stop sequences. Given: 5"),
    ("seed", None, "`seed` must not be set when `best_of` > 1"),
    ("top_n_tokens", 0, "`top_n_tokens` must be >= 0 and <= 5. Given: 6"),
    ("inputs", "word " * 600, "`inputs` cannot be empty"),
    ("truncate", None, "`truncate` must be strictly positive and less than 511. Given: 0"),
    ("inputs", "word", "`inputs` tokens + `max_new_tokens` must be <= 512."
     " Given: 601 `inputs` tokens and 1 `max_new_tokens`"),
    ("grammar", None, "grammar is not valid: Grammar must have a 'properties' field"),
]  # fmt: skip


def test_the_first_of_several_faults_is_told(post):
    wrong = {
        "best_of": 3, "temperature": 0, "repetition_penalty": 0, "frequency_penalty": 3, "top_p": 1, "typical_p": 1,
        "top_k": 0, "max_new_tokens": 0, "stop": list("abcde"), "seed": 1, "top_n_tokens": 6, "truncate": 0,
        "grammar": {"type": "json", "value": {}},
    }  # fmt: skip
    inputs, told = "", []
    for name, mended, _text in ORDER:
        told.append(post(body={"inputs": inputs, "parameters": wrong}).json()["error"].removeprefix(PREFIX))
        if name == "inputs":
            inputs = mended
        else:
            wrong[name] = mended
    assert told == [text for _name, _mended, text in ORDER]


STREAMED = [
    ({"best_of": 2, "do_sample": True}, "`best_of` != 1 is not supported when streaming tokens"),
    ({"best_of": 0}, "`best_of` != 1 is not supported when streaming tokens"),
    ({"decoder_input_details": True}, "`decoder_input_details` == true is not supported when streaming tokens"),
    ({"temperature": 0}, "`temperature` must be strictly positive"),
]


@pytest.mark.parametrize(("parameters", "text"), STREAMED)
def test_a_stream_starts_well_and_tells_the_error_in_a_frame(gateway, parameters, text):
    answer = gateway.http.post("/generate_stream", json={"inputs": "a", "parameters": parameters})
    assert answer.status_code == 200
    error = '{"error":"Input validation error: ' + text + '","error_type":"validation"}'
    assert answer.content == f"data: {error}\n\n".encode()


def test_best_of_0_is_1_where_it_is_not_streamed(post):
    assert post(best_of=0, max_new_tokens=1).status_code == 200


TYPES = "Failed to deserialize the JSON body into the target type: "
# What axum refuses before TGI sees it: plain text, no error_type.
UNREADABLE = [
    (b"{", 400, "Failed to parse the request body as JSON: EOF while parsing an object at line 1 column 1"),
    (b"", 400, "Failed to parse the request body as JSON: EOF while parsing a value at line 1 column 0"),
    (b"nonsense", 400, "Failed to parse the request body as JSON: expected value at line 1 column 1"),
    (b'{"inputs":"a"} x', 400, "Failed to parse the request body as JSON: trailing characters at line 1 column 16"),
    (b"{}", 422, TYPES + "missing field `inputs` at line 1 column 2"),
    (b'{"inputs":["a"]}', 422, TYPES + "inputs: invalid type: sequence, expected a string at line 1 column 10"),
    (b'{"inputs":null}', 422, TYPES + "inputs: invalid type: null, expected a string at line 1 column 14"),
    (b'{"inputs":5}', 422, TYPES + "inputs: invalid type: integer `5`, expected a string at line 1 column 11"),
    (
        b'{"inputs":"a","parameters":null}', 422,
        TYPES + "parameters: invalid type: null, expected struct GenerateParameters at line 1 column 31",
    ),
    *(
        (
            b'{"inputs":"a","parameters":{"%s":%s}}' % (name, value), 422,
            TYPES + f"parameters.{name.decode()}: {words} at line 1 column {31 + len(name) + len(value) - shift}",
        )
        for name, value, words, shift in [
            (b"do_sample", b"null", "invalid type: null, expected a boolean", 0),
            (b"details", b"null", "invalid type: null, expected a boolean", 0),
            (b"watermark", b'"yes"', 'invalid type: string "yes", expected a boolean', 0),
            (b"decoder_input_details", b"1", "invalid type: integer `1`, expected a boolean", 0),
            (b"stop", b"null", "invalid type: null, expected a sequence", 0),
            (b"stop", b'"."', 'invalid type: string ".", expected a sequence', 0),
            (b"max_new_tokens", b"-1", "invalid value: integer `-1`, expected u32", 0),
            (b"max_new_tokens", b"1.5", "invalid type: floating point `1.5`, expected u32", 0),
            (b"max_new_tokens", b'"5"', 'invalid type: string "5", expected u32', 0),
            (b"seed", b"-1", "invalid value: integer `-1`, expected u64", 0),
            (b"temperature", b'"hot"', 'invalid type: string "hot", expected f32', 0),
            (b"top_k", b"3000000000", "invalid value: integer `3000000000`, expected i32", 0),
            (b"return_full_text", b"[]", "invalid type: sequence, expected a boolean", 2),
        ]
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "text"), UNREADABLE)
def test_what_is_no_request_is_told_in_plain_text(gateway, body, status, text):
    answer = gateway.http.post("/generate", content=body, headers={"content-type": "application/json"})
    assert answer.text == text
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_nulls_are_taken_where_tgi_takes_them(post):
    numbers = ["best_of", "temperature", "repetition_penalty", "frequency_penalty", "top_p", "typical_p", "top_k"]
    others = ["return_full_text", "truncate", "seed", "top_n_tokens", "grammar", "adapter_id"]
    assert post(**dict.fromkeys(numbers + others), max_new_tokens=1).status_code == 200


def test_fields_that_tgi_does_not_have_are_ignored(post):
    plain = post(max_new_tokens=4).json()
    extra = {"no_repeat_ngram_size": 1, "min_new_tokens": 9, "stop_sequences": ["a"], "min_p": "?", "nonsense": None}
    assert post(max_new_tokens=4, **extra).json() == plain
