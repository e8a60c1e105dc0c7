"""Controls drawn at random over their whole range."""

import math

from hypothesis import strategies as st

from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
VOCABULARY = 49_152


def values(control):
    """Values of one control, from its interval; those without an upper limit from what a slider shows."""
    if control.kind is bool:
        return st.booleans()
    if control.kind is tuple:
        return st.lists(TEXTS, max_size=3).map(tuple)
    if control.kind is dict:
        return st.dictionaries(st.integers(0, VOCABULARY - 1), st.integers(-100, 100), max_size=3)
    high = control.high if control.high < 1e6 else control.shown[1]
    if control.kind is int:
        return st.integers(int(control.low), int(high))
    low = control.low if math.isfinite(control.low) else control.shown[0]
    # In thousandths: of numbers next to zero an engine's 32 bits make zero itself.
    return st.integers(round(1000 * low) + control.open_low, round(1000 * high)).map(
        lambda thousandths: thousandths / 1000
    )


@st.composite
def some_controls(draw, **fixed):
    """``Controls`` with some set; ``fixed`` gives values or strategies for some of them."""
    names = draw(st.sets(st.sampled_from([name for name in CONTROLS if name not in fixed]), max_size=8))
    chosen = {name: draw(values(CONTROLS[name])) for name in sorted(names)}
    chosen |= {name: draw(value) if isinstance(value, st.SearchStrategy) else value for name, value in fixed.items()}
    if chosen.get("min_tokens") and chosen.get("max_tokens"):
        chosen["min_tokens"] = min(chosen["min_tokens"], chosen["max_tokens"])
    return Controls(**chosen)
