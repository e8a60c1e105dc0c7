"""Each engine's pipeline, from controls and the tokens so far.

What an engine goes by, its defaults for what is not set, and what it does not have, is in the tables of
``courselib.controls.routes``; here are the order of its stages, their rules, and which tokens they look at. Read in the
source of llama.cpp 0c1e57098, llama-cpp-python 0.3.36, vLLM 0.32.0, TGI 3.3.7 and transformers 5.19, and run against
all of them but TGI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.controls.route import LOST, Route, Verdict, missing, sent
from courselib.controls.routes import ROUTES
from courselib.errors import SettingsError
from courselib.i18n import N_, _
from courselib.sampling.context import LAST_N, Context, samplers_of
from courselib.sampling.dry import Dry
from courselib.sampling.penalties import LogitBias, NoEnd, NoRepeatNgram, Penalties
from courselib.sampling.pipeline import Pipeline
from courselib.sampling.stages import Greedy, Stage, Temperature
from courselib.sampling.truncation import MinP, TopK, TopNSigma, TopP, Typical, Xtc

# TGI's order in llama.cpp's names, as the gateway asks for it.
GATEWAY_ORDER = ("penalties", "temperature", "top_k", "top_p", "typ_p")
# transformers is no engine of the course, and has no route; this is what its ``generate`` takes.
TRANSFORMERS = Route(
    "transformers generate",
    "transformers",
    (),
    "prompt",
    {
        **{name: sent(name, control.off) for name, control in CONTROLS.items()},
        "top_k": sent("top_k", 50),
        **{name: missing("") for name in ("presence_penalty", "frequency_penalty", "ignore_eos")},
        **{name: missing("") for name in ("dry_multiplier", "dry_base", "dry_allowed_length")},
    },
    "transformers 5.19",
)
UNDEFINED_TYPICAL = N_(
    "llama.cpp does not drop tokens that are forbidden or outside top_n_sigma, and typical_p then computes 0 times"
    " infinity: the tokens that it keeps are not defined."
)


NOTHING = Context()


class _Settings:
    """What an engine goes by when these controls are sent to one of its routes."""

    def __init__(self, controls: Controls, route: Route) -> None:
        report = route.plan(controls).report
        # A default in words, such as none, is the same as off.
        self._values = {
            line.control: CONTROLS[line.control].off if isinstance(line.applies, str) else line.applies
            for line in report
        }
        self.ignored = tuple(line.control for line in report if line.matters and line.verdict in LOST)
        self.notes = tuple(f"{line.control}: {line.text}." for line in report if line.verdict is Verdict.CLAMPED)

    def __getattr__(self, name: str) -> Any:
        return self._values[name]


def llama_cpp(
    controls: Controls, context: Context = NOTHING, *, order: Sequence[str] | str | None = None, **more: Any
) -> Pipeline:
    """llama-server's pipeline: its own chain, or any order.

    Args:
        controls: what is set; the rest takes llama.cpp's defaults.
        context: the tokens so far, and what the server applies by itself.
        order: names as in the request field ``samplers``, or its letters; what is left out does not happen.
        more: what else is sent with the request, in place of the server's own: fields of ``ServerSampling``.

    Raises:
        SettingsError: the order names what is no stage, or something is on that cannot be predicted.
    """
    settings = _Settings(controls, ROUTES["llama.cpp /completion"])
    server = replace(context.server, **more)
    server.check()
    window = context.last(server.repeat_last_n)
    stages: dict[str, Stage] = {
        "penalties": _penalties(settings, repeated=window, counted=window),
        "dry": Dry(
            settings.dry_multiplier, settings.dry_base, settings.dry_allowed_length,
            context.last(server.dry_penalty_last_n), context.breakers,
        ),
        "top_n_sigma": TopNSigma(server.top_n_sigma),
        "top_k": TopK(settings.top_k, ties=False),
        "typ_p": Typical(settings.typical_p, ties=False, min_keep=server.min_keep),
        "top_p": TopP(settings.top_p, server.min_keep),
        "min_p": MinP(settings.min_p, server.min_keep),
        "xtc": Xtc(server.xtc_probability, server.xtc_threshold, server.min_keep),
        "temperature": _temperature(settings.temperature),
    }  # fmt: skip
    chain = [stages[name] for name in samplers_of(server.samplers if order is None else order)]
    first = (LogitBias(settings.logit_bias), NoEnd(context.ends if settings.ignore_eos else (), "ignore_eos"))
    return Pipeline("llama.cpp", (*first, *chain), settings.ignored, _undefined(first[1:], chain))


def llama_cpp_native(
    controls: Controls, context: Context = NOTHING, *, chat: bool = False, last_n: int = LAST_N
) -> Pipeline:
    """``llama_cpp.Llama``'s pipeline, which cannot be reordered.

    Its penalties look back on the output only, for only generated tokens are shown to the sampler.

    Args:
        controls: what is set; the rest takes the library's defaults.
        context: the tokens so far.
        chat: whether it is ``create_chat_completion``, whose default temperature is 0.2.
        last_n: tokens that penalties look back on (``last_n_tokens_size`` of the constructor).
    """
    settings = _Settings(controls, ROUTES["llama_cpp.Llama chat" if chat else "llama_cpp.Llama"])
    window = context.output[-last_n:] if last_n > 0 else ()
    first = (LogitBias(settings.logit_bias), _penalties(settings, repeated=window, counted=window))
    # Greedily, it takes the likeliest before anything could be cut (Llama._init_sampler).
    chain: tuple[Stage, ...] = (
        (Greedy(),)
        if settings.temperature == 0
        else (
            TopK(settings.top_k, ties=False),
            Typical(settings.typical_p, ties=False),
            TopP(settings.top_p),
            MinP(settings.min_p),
            Temperature(settings.temperature),
        )
    )
    return Pipeline("llama_cpp.Llama", (*first, *chain), settings.ignored)


def vllm(controls: Controls, context: Context = NOTHING) -> Pipeline:
    """The pipeline of vLLM (V1 model runner): temperature first, then min_p, top_k and top_p."""
    settings = _Settings(controls, ROUTES["vLLM completions"])
    stages = (
        NoEnd(context.ends if settings.min_tokens > len(context.output) else ()),
        LogitBias(settings.logit_bias, strict=True),
        _penalties(settings, repeated=context.tokens, counted=context.output),
        _temperature(settings.temperature),
        MinP(settings.min_p),
        TopK(settings.top_k, ties=True),
        TopP(settings.top_p),
    )
    return Pipeline("vLLM", stages, settings.ignored, settings.notes)


def tgi(controls: Controls, context: Context = NOTHING) -> Pipeline:
    """TGI's pipeline, of its ``/generate``: greedy unless one of temperature, top_k, top_p and typical_p is set."""
    settings = _Settings(controls, ROUTES["TGI /generate"])
    stages = (
        _penalties(settings, repeated=context.tokens, counted=context.tokens, relative=True),
        _tgi_temperature(controls),
        TopK(settings.top_k, ties=True),
        TopP(settings.top_p),
        Typical(settings.typical_p, ties=True),
    )
    return Pipeline("TGI", stages, settings.ignored)


def tgi_gateway(controls: Controls, context: Context = NOTHING) -> Pipeline:
    """The gateway's: TGI's order and defaults, llama.cpp's rules; penalties look at the whole context.

    Its frequency penalty counts occurrences, as llama.cpp's does, not shares, as TGI's.
    """
    settings = _Settings(controls, ROUTES["TGI /generate"])
    stages = (
        _penalties(settings, repeated=context.tokens, counted=context.tokens),
        _tgi_temperature(controls),
        TopK(settings.top_k, ties=False),
        TopP(settings.top_p),
        Typical(settings.typical_p, ties=False),
    )
    return Pipeline("TGI gateway", stages, settings.ignored)


def transformers(controls: Controls, context: Context = NOTHING) -> Pipeline:
    """``generate`` of transformers with ``do_sample=True``, or greedily at temperature 0."""
    settings = _Settings(controls, TRANSFORMERS)
    stages = (
        LogitBias(settings.logit_bias, strict=True),
        _penalties(settings, repeated=context.tokens, counted=()),
        NoRepeatNgram(settings.no_repeat_ngram_size, context.tokens),
        NoEnd(context.ends if settings.min_tokens > len(context.output) else ()),
        _temperature(settings.temperature),
        TopK(settings.top_k, ties=True),
        TopP(settings.top_p),
        MinP(settings.min_p),
        Typical(settings.typical_p, ties=True),
    )
    return Pipeline("transformers", stages, settings.ignored)


# By the names of engines as ``courselib.launch`` knows them; the other two by their package's.
PIPELINES: Mapping[str, Callable[[Controls, Context], Pipeline]] = {
    "llama.cpp": llama_cpp,
    "llama_cpp": llama_cpp_native,
    "vllm": vllm,
    "tgi": tgi,
    "tgi-gateway": tgi_gateway,
    "transformers": transformers,
}


def pipeline(engine: str, controls: Controls, context: Context = NOTHING) -> Pipeline:
    """The pipeline of an engine by its name.

    Raises:
        SettingsError: there is no pipeline of that name.
    """
    if engine not in PIPELINES:
        raise SettingsError(
            _("There is no pipeline for {engine!r}; there are {names}.").format(
                engine=engine, names=", ".join(PIPELINES)
            )
        )
    made = PIPELINES[engine](controls, context)
    # What another engine's server leaves unknown is of no account here.
    return replace(made, notes=(*made.notes, *context.server.notes)) if context.server.engine == engine else made


def _temperature(value: float) -> Stage:
    return Temperature(value) if value > 0 else Greedy()


def _tgi_temperature(controls: Controls) -> Stage:
    """TGI draws by chance if a control asks for it, and a temperature of 1 is one that does."""
    if controls.temperature is not None:
        return _temperature(controls.temperature)
    chance = any(getattr(controls, name) not in (None, CONTROLS[name].off) for name in ("top_k", "top_p", "typical_p"))
    return Temperature(1.0) if chance else Greedy()


def _penalties(
    settings: _Settings, *, repeated: tuple[int, ...], counted: tuple[int, ...], relative: bool = False
) -> Penalties:
    return Penalties(
        settings.repetition_penalty,
        settings.presence_penalty,
        settings.frequency_penalty,
        repeated,
        counted,
        relative,
    )


def _undefined(first: Sequence[Stage], chain: Sequence[Stage]) -> tuple[str, ...]:
    """The note on llama.cpp's typ_p, where tokens that an earlier stage has set to -inf still stand in its list."""
    forbidden = any(stage.is_on for stage in first)
    for stage in chain:
        if not stage.is_on:
            continue
        if isinstance(stage, TopNSigma):
            forbidden = True
        elif isinstance(stage, TopP | MinP):
            forbidden = False
        elif isinstance(stage, Typical) and forbidden:
            return (_(UNDEFINED_TYPICAL),)
    return ()
