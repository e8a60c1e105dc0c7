"""What can be told of ``courselib.observe`` without an engine; the rest is in the tests on live ones."""

import numpy as np
import pytest

from courselib.observe.logits import NextToken, level


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
