"""vLLM as a library, in the interpreter that has it: one model, a JSON line for each call and each answer."""

import inspect
import json
import os
import sys

MIB = 1 << 20


def main(model):
    # vLLM and its children log on standard output; answers go where only this program writes.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from vllm import LLM, SamplingParams

    # In float32: in bfloat16 the same call is rounded otherwise beside others, or with its prompt in the cache.
    options = {"dtype": "float32", "max_model_len": 512, "kv_cache_memory_bytes": 128 * MIB}
    llm = LLM(model, enforce_eager=True, max_num_seqs=16, **options)
    names = inspect.signature(SamplingParams).parameters
    told = {
        "defaults": {name: value for name in names if _is_plain(value := getattr(SamplingParams(), name))},
        "seed": llm.llm_engine.vllm_config.model_config.seed,
    }
    print(json.dumps(told), file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = call(llm, SamplingParams, **json.loads(line))
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), file=answers, flush=True)
    llm.llm_engine.engine_core.shutdown()


def _is_plain(value):
    return value is None or isinstance(value, int | float | str | list)


def call(llm, params, prompt, many):
    for arguments in many:
        if "logit_bias" in arguments:
            arguments["logit_bias"] = {int(token): bias for token, bias in arguments["logit_bias"].items()}
    requests = llm.generate([prompt] * len(many), [params(**arguments) for arguments in many], use_tqdm=False)
    return [read(request.outputs) for request in requests]


def read(outputs):
    steps = [{one.decoded_token: one.logprob for one in step.values()} for step in outputs[0].logprobs or ()]
    return {
        "texts": [one.text for one in outputs],
        "length": len(outputs[0].token_ids),
        "finish": outputs[0].finish_reason,
        "steps": steps,
    }


if __name__ == "__main__":
    main(sys.argv[1])
