"""What an engine's choice of a token depends on besides controls: the tokens so far, and how its server was started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from courselib.errors import SettingsError
from courselib.i18n import N_, _

LLAMA_CPP_ORDER = ("penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature")
# ``--sampler-seq`` and ``samplers`` take these letters, too.
LLAMA_CPP_LETTERS = dict(zip("edskypmxt", LLAMA_CPP_ORDER, strict=True))
# llama.cpp: how many of the last tokens penalties and DRY look back on.
LAST_N = 64
UNPREDICTABLE = N_(
    "This server was started with {setting}, so its draws cannot be predicted; start it without, or send {off}."
)


@dataclass(frozen=True)
class ServerSampling:
    """What a server applies to every request by itself and is no control; the fields are llama-server's.

    ``courselib.observe.effective.server_sampling`` reads it from a running server. The defaults are those of a
    llama-server that was started without any of these settings (b11549).

    Args:
        engine: the engine whose server it is; empty for none.
        samplers: llama.cpp's stages in their order; what is left out does not happen.
        repeat_last_n: tokens that penalties look back on; 0 for none, -1 for all.
        dry_penalty_last_n: the same for DRY.
        top_n_sigma: see ``TopNSigma``.
        xtc_probability: see ``Xtc``.
        xtc_threshold: see ``Xtc``.
        min_keep: tokens that typ_p, top_p, min_p and xtc keep in any case.
        mirostat: 1 or 2 draws by a rule that depends on the tokens drawn before; 0 is off.
        dynatemp_range: above 0, the temperature depends on the distribution; 0 is off.
        notes: what could not be found out, a sentence each.
    """

    engine: str = ""
    samplers: tuple[str, ...] = LLAMA_CPP_ORDER
    repeat_last_n: int = LAST_N
    dry_penalty_last_n: int = LAST_N
    top_n_sigma: float = -1.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    min_keep: int = 0
    mirostat: int = 0
    dynatemp_range: float = 0.0
    notes: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse what cannot be predicted.

        Raises:
            SettingsError: mirostat or a dynamic temperature is on.
        """
        for name, value in (("mirostat", self.mirostat), ("dynatemp_range", self.dynatemp_range)):
            if value:
                raise SettingsError(_(UNPREDICTABLE).format(setting=f"{name}={value:g}", off=f"{name}=0"))


@dataclass(frozen=True)
class Context:
    """What a choice depends on besides controls: the tokens before it, and the server that makes it.

    Args:
        prompt: ids of the prompt's tokens.
        output: ids of those generated so far.
        ends: ids of the tokens that end an answer; needed for ``min_tokens`` and ``ignore_eos``.
        breakers: sequences of ids at which DRY's runs end; see ``breakers_within``.
        server: what the server applies by itself.
    """

    prompt: tuple[int, ...] = ()
    output: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    breakers: tuple[tuple[int, ...], ...] = ()
    server: ServerSampling = ServerSampling()

    @property
    def tokens(self) -> tuple[int, ...]:
        """Prompt and output."""
        return self.prompt + self.output

    def last(self, n: int) -> tuple[int, ...]:
        """The last ``n`` tokens of prompt and output; all of them for a negative ``n``."""
        return self.tokens if n < 0 else self.tokens[len(self.tokens) - min(n, len(self.tokens)) :]


def samplers_of(order: Sequence[str] | str) -> tuple[str, ...]:
    """llama.cpp's names of stages, from names as in the request field ``samplers``, or from their letters.

    Raises:
        SettingsError: one is no stage, or one that cannot be predicted (mirostat and adaptive_p depend on the tokens
            drawn before, infill on the vocabulary).
    """
    names = [LLAMA_CPP_LETTERS.get(letter, letter) for letter in order] if isinstance(order, str) else list(order)
    names = ["typ_p" if name == "typical_p" else name for name in names]
    for name in names:
        if name not in LLAMA_CPP_ORDER:
            raise SettingsError(
                _("{name!r} is not a stage whose effect can be computed beforehand; llama.cpp has {names}.").format(
                    name=name, names=", ".join(LLAMA_CPP_ORDER)
                )
            )
    return tuple(names)
