"""The controls of one generation: immutable, checked, and apart from any engine.

A control that is not set (``None``) is not sent, and the engine's own default applies; engines differ in these. To
switch a control off wherever it goes, set it to its *off* value.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from courselib.controls.catalogue import CONTROLS
from courselib.controls.control import Biases
from courselib.errors import SettingsError
from courselib.i18n import _


@dataclass(frozen=True, kw_only=True)
class Controls:
    """Generation controls; ``None`` leaves one to the engine. ``CONTROLS`` tells of each its range and its off value.

    Raises:
        SettingsError: a value is out of its range, or ``min_tokens`` is more than ``max_tokens``.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    ignore_eos: bool | None = None
    skip_special_tokens: bool | None = None
    seed: int | None = None
    logit_bias: Biases | Mapping[int, float] | None = None
    logprobs: int | None = None
    n: int | None = None

    def __post_init__(self) -> None:
        for name, control in CONTROLS.items():
            object.__setattr__(self, name, control.check(getattr(self, name)))
        if self.min_tokens and self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise SettingsError(
                _("min_tokens is {low}, more than max_tokens ({high}); lower it, or raise max_tokens.").format(
                    low=self.min_tokens, high=self.max_tokens
                )
            )

    def given(self) -> dict[str, Any]:
        """The controls that are set, by name."""
        return {name: value for name in CONTROLS if (value := getattr(self, name)) is not None}

    def with_(self, **changes: Any) -> Controls:
        """The same with some changed; ``None`` unsets one."""
        return dataclasses.replace(self, **changes)

    @classmethod
    def off(cls, **changes: Any) -> Controls:
        """Every control at its off value, so that tokens are drawn from the model's own distribution."""
        return cls(**{name: control.off for name, control in CONTROLS.items()}).with_(**changes)

    def to_json(self) -> str:
        """As JSON; only what is set."""
        return json.dumps(self.given(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Controls:
        """From what ``to_json`` gave.

        Raises:
            SettingsError: it is no JSON object, names what is no control, or holds a value out of range.
        """
        try:
            values = json.loads(text)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise SettingsError(_('This is no JSON object of controls; write one like {"temperature": 0.7}.'))
        if unknown := sorted(set(values) - set(CONTROLS)):
            raise SettingsError(
                _("There is no control {name!r}; there are {names}.").format(name=unknown[0], names=", ".join(CONTROLS))
            )
        return cls(**values)

    def __repr__(self) -> str:
        return f"Controls({', '.join(f'{name}={value!r}' for name, value in self.given().items())})"
