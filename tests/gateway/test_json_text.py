"""Bodies that are no JSON to serde_json, in its words; and that whatever is read can be passed on."""

import json

import hypothesis
import pytest
from hypothesis import strategies

from courselib.gateway import openai_schema, schema
from courselib.gateway.errors import ExtractorError
from courselib.gateway.json_text import JsonFault, loads
from tests.gateway.nasty import texts

HUGE = "9" * 400
FAULTS = [
    ("1e400", "number out of range at line 1 column 5"),
    ('{"1e400": [-1e400]}', "number out of range at line 1 column 17"),
    (f"[{HUGE}]", "number out of range at line 1 column 401"),
    (f"[\n-{HUGE}]", "number out of range at line 2 column 401"),
    ("9" * 5000, "number out of range at line 1 column 5000"),
    ('{"a":NaN}', "expected value at line 1 column 6"),
    ('["NaN", Infinity]', "expected value at line 1 column 9"),
    ("[-Infinity]", "invalid number at line 1 column 3"),
    ('"\\ud800"', "unexpected end of hex escape at line 1 column 8"),
    ('{"\\uD83D x":1}', "unexpected end of hex escape at line 1 column 9"),
    ('"\\uDE00"', "lone leading surrogate in hex escape at line 1 column 7"),
    ('"\\ud800\\u0041"', "lone leading surrogate in hex escape at line 1 column 13"),
    ("[" * 128 + "]" * 128, "recursion limit exceeded at line 1 column 128"),
    ("[" * 100_000, "recursion limit exceeded at line 1 column 128"),
    ('{"a":' * 200, "recursion limit exceeded at line 1 column 636"),
]


@pytest.mark.parametrize(("text", "fault"), FAULTS, ids=[fault for _text, fault in FAULTS])
def test_refused_in_serdes_words(text, fault):
    with pytest.raises(JsonFault) as refused:
        loads(text)
    assert str(refused.value) == fault


TAKEN = [
    ("18446744073709551615", 2**64 - 1),
    ("18446744073709551616", 2.0**64),
    ("-9223372036854775808", -(2**63)),
    ("-9223372036854775809", -(2.0**63)),
    ("9" * 300, 1e300),
    ("-0", -0.0),
    ("1e-400", 0.0),
    ('"\\ud83d\\ude00"', "😀"),
    ('"\\\\ud800"', "\\ud800"),
    ('"' + "[" * 200 + '"', "[" * 200),
    ("[[]" + ",[]" * 200 + "]", [[]] * 201),
]


@pytest.mark.parametrize(("text", "value"), TAKEN)
def test_read(text, value):
    read = loads(text)
    assert (read, type(read)) == (value, type(value))


def test_as_deep_as_serde_goes():
    assert json.dumps(loads("[" * 127 + "]" * 127)) == "[" * 127 + "]" * 127


FUZZ = hypothesis.settings(max_examples=300, deadline=None, derandomize=True, database=None)


@hypothesis.given(texts())
@FUZZ
def test_whatever_is_read_can_be_written(text):
    try:
        value = loads(text)
    except JsonFault as fault:
        assert " at line " in str(fault)
    else:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


READERS = [schema.generate_request, schema.compat_request, openai_schema.chat_request, openai_schema.completion_request]


@hypothesis.given(strategies.sampled_from(READERS), texts())
@FUZZ
def test_every_body_is_a_request_or_refused_as_text(read, text):
    try:
        read(text.encode())
    except ExtractorError as refused:
        assert refused.status in (400, 422)
        assert refused.text.startswith("Failed to ")
