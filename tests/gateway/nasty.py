"""JSON, or nearly, that a reader, a check or a writer of JSON may stumble over: strategies for hypothesis."""

from hypothesis import strategies

NUMBERS = [
    "9" * 400, "-" + "9" * 400, "9" * 5000, "1e400", "-1e400", "1e308", "1e39", "1e-400", "-0", "0", "-1", "1.5", "0.5",
    "3", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "4294967296", "NaN", "Infinity",
    "-Infinity",
]  # fmt: skip
STRINGS = [
    '"a"', '""', '"\\ud800"', '"\\udc00x"', '"\\ud800\\ud800"', '"\\ud83d\\ude00"', '"\\\\ud800"', '"\\u0000"',
    '"\\u2028"', '"{\\"properties\\":{\\"a\\":{\\"const\\":1e400}}}"', '"{\\"properties\\":{\\"a\\":\\"\\\\ud800\\"}}"',
    '"' + "[" * 1000 + '"',
]  # fmt: skip
OTHERS = ["null", "true", "false", "[" * 127 + "]" * 127, "[" * 5000, '{"a":' * 100 + "1" + "}" * 100, "{", "", "\x00"]
NAMES = [
    "inputs", "parameters", "messages", "role", "content", "type", "value", "text", "image_url", "url", "prompt",
    "stop", "temperature", "max_tokens", "grammar", "tools", "stream", "properties", "\\ud800", "a",
]  # fmt: skip


def texts():
    """Values nested in each other, as JSON."""
    return strategies.recursive(
        strategies.sampled_from(NUMBERS + STRINGS + OTHERS),
        lambda inner: strategies.one_of(
            strategies.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]"), objects(NAMES, inner)
        ),
        max_leaves=8,
    )


def objects(names, values, given=()):
    """Objects with up to three of these names, after the members ``given``."""

    def written(found):
        return "{" + ",".join([*given, *(f'"{name}":{value}' for name, value in found.items())]) + "}"

    return strategies.dictionaries(strategies.sampled_from(names), values, max_size=3).map(written)
