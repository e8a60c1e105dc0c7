"""Settings worth starting from, by what they are for."""

from __future__ import annotations

from courselib.controls.controls import Controls
from courselib.i18n import N_

PRESETS: dict[str, Controls] = {
    N_("the engine's own defaults"): Controls(max_tokens=128),
    N_("greedy: the most likely token each time"): Controls(temperature=0, max_tokens=128),
    N_("careful"): Controls(temperature=0.3, top_p=0.9, max_tokens=128, seed=42),
    N_("varied, by min_p"): Controls(
        temperature=1.2, top_k=0, top_p=1.0, min_p=0.1, typical_p=1.0, max_tokens=128, seed=42
    ),
    N_("against repetition"): Controls(
        temperature=0.7, repetition_penalty=1.1, frequency_penalty=0.3, max_tokens=128, seed=42
    ),
    N_("the model's own distribution, nothing cut"): Controls.off(max_tokens=128, seed=42),
}
