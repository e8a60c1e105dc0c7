"""vLLM as a library, in the interpreter that has it: all logits of each step, of several runs, into a file."""

import json
import sys

import numpy as np
from vllm import LLM, SamplingParams


def main():
    asked = json.load(sys.stdin)
    llm = LLM(
        asked["model"],
        max_model_len=256,
        max_logprobs=-1,
        logprobs_mode="processed_logits",
        enforce_eager=True,
        block_size=32,
        kv_cache_memory_bytes=64 << 20,
        enable_prefix_caching=False,
    )
    (forced,) = llm.get_tokenizer().encode(asked["forced"], add_special_tokens=False)
    rows, told = {}, {}
    for name, controls in asked["runs"].items():
        params = SamplingParams(
            temperature=1.0,
            seed=3,
            max_tokens=asked["steps"],
            logprobs=-1,
            ignore_eos=True,
            logit_bias={forced: 20.0},
            **controls,
        )
        (answer,) = llm.generate(asked["prompt"], params, use_tqdm=False)
        (output,) = answer.outputs
        told[name] = {"prompt": list(answer.prompt_token_ids), "output": list(output.token_ids)}
        for step, likely in enumerate(output.logprobs):
            row = np.full(asked["vocabulary"], -np.inf)
            for token, value in likely.items():
                row[token] = value.logprob
            rows[f"{name} {step}"] = row
    np.savez(asked["to"], told=json.dumps(told), **rows)


if __name__ == "__main__":
    main()
