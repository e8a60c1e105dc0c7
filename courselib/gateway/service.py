"""From a request to its tokens: permits, checks, queue, engine, and what all this took."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import AsyncGenerator, Iterator

from courselib.gateway import translate, validation
from courselib.gateway.admission import Admission
from courselib.gateway.answer import Answer, Event, Plan
from courselib.gateway.errors import TgiError, as_tgi_error, incomplete
from courselib.gateway.generation import Generator
from courselib.gateway.limits import Limits
from courselib.gateway.llama_client import LlamaClient
from courselib.gateway.metrics import GatewayMetrics
from courselib.gateway.schema import GenerateRequest
from courselib.gateway.tasks import together


class Service:
    """What all routes share."""

    def __init__(self, llama: LlamaClient, limits: Limits, metrics: GatewayMetrics) -> None:
        self.llama = llama
        self.limits = limits
        self.metrics = metrics
        self.admission = Admission(limits)

    async def stream(self, request: GenerateRequest) -> AsyncGenerator[Event, None]:
        """The answer token by token.

        Raises:
            TgiError: at the first step where it is refused, later where the engine fails.
        """
        try:
            with self._counted(), self.admission.permit():
                validation.check_best_of(request.parameters, self.limits, stream=True)
                async with contextlib.aclosing(self._run(request)) as events:
                    async for event in events:
                        yield event
        except TgiError as error:
            raise error.in_stream() from None

    async def generate(self, request: GenerateRequest) -> list[Answer]:
        """The whole answer; for ``best_of`` all of them, the best first.

        Raises:
            TgiError: it is refused, or the engine fails.
        """
        number = validation.check_best_of(request.parameters, self.limits, stream=False)
        # Each counts as a request, as with TGI.
        answers = await together(self._generate(request) for _ in range(number))
        return sorted(answers, key=lambda answer: answer.mean_logprob, reverse=True)

    async def _generate(self, request: GenerateRequest) -> Answer:
        answer = None
        with self._counted(), self.admission.permit():
            async with contextlib.aclosing(self._run(request)) as events:
                async for event in events:
                    answer = event.answer
        assert answer is not None  # an answer without a token is an error
        return answer

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Counts a request, and its failure by kind; whatever fails comes out as TGI's error."""
        self.metrics.count("tgi_request_count")
        try:
            yield
        except Exception as cause:  # noqa: BLE001 - what it becomes is raised
            error = as_tgi_error(cause)
            self.metrics.count("tgi_request_failure", err=error.error_type.removesuffix("_generation"))
            raise error from None

    async def _plan(self, request: GenerateRequest) -> Plan:
        """What to generate, all of TGI's checks passed."""
        given, limits = request.parameters, self.limits
        validation.check_parameters(given, limits)
        validation.check_inputs(request.inputs, given.truncate, limits)
        pieces = await self.llama.tokenize(request.inputs, add_special=request.add_special_tokens)
        prompt = [piece.id for piece in pieces][-given.truncate if given.truncate else 0 :]
        most = validation.new_tokens(len(prompt), given, limits)
        schema = validation.check_grammar(given.grammar)
        validation.check_supported(given)
        sampling = validation.sampling(given)
        drawn = random.randrange(translate.SEEDS) if given.seed is None else given.seed  # noqa: S311 - no secret
        return Plan(prompt, most, sampling, drawn if sampling.sampled else None, schema)

    async def _run(self, request: GenerateRequest) -> AsyncGenerator[Event, None]:
        begin = time.perf_counter()
        plan = await self._plan(request)
        top_n = request.parameters.top_n_tokens or 0
        generator = Generator(
            self.llama,
            request.parameters.stop,
            new_tokens=plan.most,
            logprobs=translate.tells_logprob(plan.sampling),
            top_n=top_n,
        )
        body = translate.completion_body(
            plan.prompt, plan.sampling, new_tokens=plan.most, seed=plan.seed, top_n=top_n,
            context=self.limits.max_total_tokens, schema=plan.schema,
        )  # fmt: skip
        answer = Answer(generator.result, plan.seed, len(plan.prompt))
        answer.validation_s = time.perf_counter() - begin
        async with self.admission.place(len(plan.prompt) + plan.most):
            start = time.perf_counter()
            answer.queue_s = start - begin - answer.validation_s
            async with (
                contextlib.aclosing(self.llama.complete(body)) as chunks,
                contextlib.aclosing(generator.tokens(chunks)) as tokens,
            ):
                async for token in tokens:
                    now = time.perf_counter()
                    answer.inference_s, answer.total_s = now - start, now - begin
                    if token.finish_reason:
                        self.metrics.finished(answer, plan.most)
                    yield Event(token, answer)
        if not generator.result.finish_reason:
            raise incomplete()
