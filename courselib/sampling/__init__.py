"""From logits to a token: each engine's stages in its own order, as a distribution that can be looked at.

Pure arrays and numbers: no engine, no network, no widget. ``logits`` are one row, shape (vocabulary,), raw as the model
gives them; ``courselib.observe.logits`` gets them from a live engine. Where an engine returns log-probabilities only,
they come as ``LogProbabilities``, which a repetition penalty refuses. Everything is double precision.

    from courselib.controls.controls import Controls
    from courselib.sampling import Context, agreement, first_divergence, pipeline

    controls = Controls(temperature=1.5, top_k=20, top_p=0.7, min_p=0.05)
    outcome = pipeline("llama.cpp", controls, Context(prompt=ids)).run(logits)
    outcome.probabilities                # what the engine draws from: shape (vocabulary,)
    for step in outcome.steps:           # one a stage, those that are off too
        step.name, step.is_on, step.stage.setting, step.stage.rule
        step.survivors, step.removed, step.removed_mass, step.sentence
        step.logits, step.probabilities, step.kept      # shape (vocabulary,), made when asked for
    outcome.follow(token)                # its probability at the start and after each step
    first_divergence(outcome, pipeline("vllm", controls).run(logits))
    agreement({token: count}, outcome.probabilities).verdict

| name | what |
|---|---|
| ``pipeline(engine, controls, context)`` | the ``Pipeline`` of ``llama.cpp``, ``llama_cpp`` (the library), ``vllm``, ``tgi``, ``tgi-gateway`` or ``transformers``, with that engine's defaults for what is not set; ``PIPELINES`` holds all |
| ``llama_cpp(controls, context, order=…, …)`` | llama-server's, in any order; also top_n_sigma and XTC, which are no controls |
| ``Context(prompt, output, ends, breakers, server)`` | the token ids before the one to be chosen, and the server that chooses |
| ``ServerSampling`` | what a server applies by itself and is no control: its samplers and their order, windows, notes |
| ``Pipeline`` | ``engine``, ``stages``, ``ignored`` controls, ``notes``; ``run(logits)``, ``probabilities(logits)`` |
| ``Outcome`` | ``start`` and ``steps``, ``end``, ``probabilities``, ``follow(token)`` |
| ``softmax entropy perplexity survivors top`` | of one distribution; entropy in bits |
| ``total_variation overlap first_divergence`` | of two |
| ``text_perplexity(logits, tokens)`` | of a text, from a row of logits for each token |
| ``kl_divergence top_agreement`` | of two models on the same text, row by row |
| ``agreement(counts, predicted)`` | chi-square test of drawn tokens: ``p_value``, ``outside``, ``agrees``, ``verdict`` |

What cannot be computed raises ``SettingsError``: NaN or +inf in the logits, all tokens forbidden, a value out of range.
"""  # noqa: E501 - a table

from courselib.sampling.agreement import Agreement, agreement
from courselib.sampling.candidates import LogProbabilities
from courselib.sampling.context import Context, ServerSampling
from courselib.sampling.distribution import (
    Divergence,
    Overlap,
    entropy,
    first_divergence,
    overlap,
    perplexity,
    softmax,
    survivors,
    top,
    total_variation,
)
from courselib.sampling.dry import breakers_within
from courselib.sampling.engines import PIPELINES, llama_cpp, pipeline
from courselib.sampling.likelihood import kl_divergence, log_softmax, text_perplexity, top_agreement
from courselib.sampling.pipeline import Outcome, Pipeline, State, Step

__all__ = [
    "PIPELINES",
    "Agreement",
    "Context",
    "Divergence",
    "LogProbabilities",
    "Outcome",
    "Overlap",
    "Pipeline",
    "ServerSampling",
    "State",
    "Step",
    "agreement",
    "breakers_within",
    "entropy",
    "first_divergence",
    "kl_divergence",
    "llama_cpp",
    "log_softmax",
    "overlap",
    "perplexity",
    "pipeline",
    "softmax",
    "survivors",
    "text_perplexity",
    "top",
    "top_agreement",
    "total_variation",
]
