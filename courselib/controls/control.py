"""What there is to know of one control, apart from any engine: its range, its off value, what it does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NoReturn

from courselib.errors import SettingsError
from courselib.i18n import _

# The highest whole number that every engine takes; stands for no limit.
MANY = 2**31 - 1
# llama.cpp's seeds have 32 bits, of which the highest stands for chance.
SEEDS = 2**32 - 2


class Biases(dict[int, float]):
    """Token ids with what is added to their logits; not to be changed, so that ``Controls`` can be a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type, tuple[dict[int, float]]]:
        return Biases, (dict(self),)  # a dictionary is otherwise copied and pickled by setting its items

    def _refuse(self, *_arguments: Any, **_named: Any) -> NoReturn:
        raise TypeError("Controls are immutable; make others with dataclasses.replace")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


@dataclass(frozen=True)
class Control:
    """What there is to know of one control, apart from any engine.

    Args:
        name: as in vLLM's ``SamplingParams``.
        kind: ``float``, ``int``, ``bool``, ``tuple`` (of strings) or ``dict`` (token id to bias).
        off: the value that makes it do nothing; ``None`` where only leaving it out does.
        sentence: what it does, for a person.
        low, high: the interval of a number; infinite where there is no limit.
        open_low: whether ``low`` itself is outside.
        unit: of the value, for a person.
        step: of a slider.
        shown: the part of the interval that a slider shows.
        group: which controls it stands with.
    """

    name: str
    kind: type
    off: Any
    sentence: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    unit: str = ""
    step: float = 1
    shown: tuple[float, float] = (0, 1)
    group: str = ""

    @property
    def interval(self) -> str:
        """The values allowed, as a person reads them."""
        if self.kind is bool:
            return _("yes or no")
        if self.kind is tuple:
            return _("a list of texts, none of them empty")
        if self.kind is dict:
            return _("token ids, each with a number from -100 to 100")
        number = _("a whole number") if self.kind is int else _("a number")
        if self.high >= MANY and self.high != SEEDS:
            words = _("{number} above {low:.10g}") if self.open_low else _("{number} of {low:.10g} or more")
        elif self.open_low:
            words = _("{number} above {low:.10g}, at most {high:.10g}")
        else:
            words = _("{number} from {low:.10g} to {high:.10g}")
        return words.format(number=number, low=self.low, high=self.high)

    def check(self, value: Any) -> Any:
        """The value, in the control's own type.

        Raises:
            SettingsError: it is outside the interval; names that.
        """
        if value is None:
            return None
        try:
            return self._checked(value)
        except (TypeError, ValueError):
            raise SettingsError(
                _("{name} is {value!r}; give {interval}.").format(name=self.name, value=value, interval=self.interval)
            ) from None

    def _checked(self, value: Any) -> Any:
        if self.kind is bool:
            return _demand(value, isinstance(value, bool))
        if self.kind is tuple:
            texts = (value,) if isinstance(value, str) else tuple(value)
            # Half a character (a lone surrogate) cannot be sent: encoding it is a ValueError.
            return _demand(texts, all(isinstance(text, str) and text.encode() for text in texts))
        if self.kind is dict:
            biases = {int(token): float(bias) for token, bias in dict(value).items()}
            return _demand(Biases(biases), all(token >= 0 and -100 <= bias <= 100 for token, bias in biases.items()))
        _demand(value, isinstance(value, int | float) and not isinstance(value, bool))
        number = self.kind(value)
        above = number > self.low if self.open_low else number >= self.low
        return _demand(number, number == value and above and number <= self.high and math.isfinite(number))


def _demand(value: Any, fits: bool) -> Any:
    if not fits:
        raise ValueError
    return value
