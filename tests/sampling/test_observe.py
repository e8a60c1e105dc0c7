"""What can be told of ``courselib.observe`` without an engine; the rest is in the tests on live ones."""

import numpy as np
import pytest

from courselib.controls.controls import Controls
from courselib.errors import SettingsError
from courselib.observe import logits
from courselib.observe.logits import NextToken, level, next_token
from courselib.sampling import Context, pipeline
from tests.panels.fake_llama_server import FakeLlamaServer


@pytest.mark.parametrize("logit", [25.0, 3.0, 0.0, -0.5, -1.5, -4.0, -30.0])
def test_a_logit_is_found_from_what_penalties_do_to_it(logit):
    def ratio(penalty):
        lifted = logit + 1
        return (lifted / penalty if lifted > 0 else lifted * penalty) - logit

    assert level(ratio(2), ratio(4)) == pytest.approx(logit)


def test_what_was_not_told_is_the_remainder():
    told = NextToken((1,), np.log([0.5, 0.25, 0.25]), offset=2.0)
    assert told.remainder == 0
    np.testing.assert_allclose(told.logits, np.log([0.5, 0.25, 0.25]) + 2)
    partly = NextToken((1,), np.array([np.log(0.5), -np.inf, np.log(0.3)]))
    assert partly.remainder == pytest.approx(0.2)
    np.testing.assert_array_equal(partly.logits, partly.logprobs)


def test_what_an_engine_returned_without_logits_is_not_penalised():
    told = NextToken((0,), np.log([0.5, 0.25, 0.25]))
    penalised = pipeline("vllm", Controls(repetition_penalty=1.5), Context(told.prompt))
    with pytest.raises(SettingsError, match="divides logits"):
        penalised.run(told.logits)
    penalised.run(NextToken((0,), told.logprobs, offset=2.0).logits)


def test_rows_of_one_server_share_its_vocabulary(monkeypatch):
    asked = []

    def ask(_server, path, body):
        asked.append(path)
        if path == "/tokenize":
            return {"tokens": [{".": 1, ",": 2}[body["content"]]]}
        if "samplers" in body:
            return {"completion_probabilities": [{"top_probs": [{"id": n, "prob": 0.5} for n in (0, 1)]}]}
        entries = [{"id": n, "logprob": -1.0, "bytes": [97 + n]} for n in range(3)]
        return {"completion_probabilities": [{"top_logprobs": entries}]}

    monkeypatch.setattr(logits, "ask", ask)
    with FakeLlamaServer() as fake, FakeLlamaServer() as other:
        server = fake.server()
        first, second = (next_token(server, (0,)) for _time in range(2))
        assert first.pieces == (b"a", b"b", b"c") and second.pieces is first.pieces
        assert asked.count("/tokenize") == 2, "what a full stop and a comma are is asked once"
        assert next_token(other.server(), (0,)).pieces is not first.pieces
