"""What transformers' and vLLM's own code make of rows of logits. Run by vLLM's interpreter, which has both and torch.

    python torch_reference.py JOBS.json ROWS.npz RESULT.npz

A job is ``{"engine", "row", "given", "prompt", "output"}``; the result holds, for each by its number, the probability
of each token. Nothing of courselib is imported: it is not installed there.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch


def transformers(row, given, prompt, output):
    """The processors that ``generate`` itself would make, in its order."""
    from transformers import GenerationConfig, GenerationMixin, PretrainedConfig

    biases = given.pop("logit_bias", {})
    sequence_bias = [[[int(token)], bias] for token, bias in biases.items()] or None
    config = GenerationConfig(do_sample=True, sequence_bias=sequence_bias, **{"top_k": 50, **given})
    ids = torch.tensor([prompt + output], dtype=torch.long)
    generator = GenerationMixin()
    generator.config = PretrainedConfig()
    processors = generator._get_logits_processor(config, input_ids_seq_length=ids.shape[1], device="cpu")
    return processors(ids, row)


def tgi(row, given, prompt, output):
    """TGI's stages, whose classes derive from transformers', in TGI's order (server/utils/tokens.py, 3.3.7)."""
    from transformers.generation import logits_process as hf

    ids = torch.tensor([prompt + output], dtype=torch.long)
    if "repetition_penalty" in given and ids.numel():
        row = hf.RepetitionPenaltyLogitsProcessor(given["repetition_penalty"])(ids, row)
    for name, make in (
        ("temperature", hf.TemperatureLogitsWarper),
        ("top_k", hf.TopKLogitsWarper),
        ("top_p", hf.TopPLogitsWarper),
        ("typical_p", hf.TypicalLogitsWarper),
    ):
        if given.get(name, 0):
            row = make(given[name])(ids, row)
    return row


def vllm(row, given, prompt, output):
    """All of vLLM's sampler, asked for the log-probabilities after its last stage."""
    from vllm.v1.sample.logits_processor.builtin import LogitBiasLogitsProcessor, MinPLogitsProcessor
    from vllm.v1.sample.logits_processor.state import LogitsProcessors
    from vllm.v1.sample.metadata import SamplingMetadata
    from vllm.v1.sample.sampler import Sampler

    def one(name, off, dtype=torch.float32):
        return torch.tensor([given.get(name, off)], dtype=dtype)

    size = row.shape[1]
    min_p = object.__new__(MinPLogitsProcessor)
    min_p.min_p_count, min_p.min_p = int(given.get("min_p", 0) > 0), one("min_p", 0).unsqueeze(1)
    bias = LogitBiasLogitsProcessor(None, torch.device("cpu"), False)
    if given.get("logit_bias"):
        bias.biases = {0: given["logit_bias"]}
        bias.bias_tensor = torch.tensor(list(given["logit_bias"].values()), dtype=torch.float32)
        tokens = torch.tensor([int(token) for token in given["logit_bias"]])
        bias.logits_slice = torch.zeros(len(tokens), dtype=torch.int64), tokens
    top_k = given.get("top_k", 0)
    metadata = SamplingMetadata(
        temperature=one("temperature", 1),
        all_greedy=False,
        all_random=True,
        top_p=one("top_p", 1) if given.get("top_p", 1) < 1 else None,
        # vLLM's batch puts the vocabulary's size in for what is off or more.
        top_k=torch.tensor([top_k], dtype=torch.int32) if 0 < top_k < size else None,
        generators={},
        max_num_logprobs=-1,
        no_penalties=False,
        prompt_token_ids=torch.tensor([prompt or [size]], dtype=torch.int64),
        frequency_penalties=one("frequency_penalty", 0),
        presence_penalties=one("presence_penalty", 0),
        repetition_penalties=one("repetition_penalty", 1),
        output_token_ids=[output],
        allowed_token_ids_mask=None,
        bad_words_token_ids={},
        logitsprocs=LogitsProcessors([min_p, bias]),
    )
    return Sampler(logprobs_mode="processed_logprobs")(row, metadata).logprobs_tensors.logprobs


def main():
    jobs, rows = json.loads(Path(sys.argv[1]).read_text()), np.load(sys.argv[2])
    engines = {"transformers": transformers, "tgi": tgi, "vllm": vllm}
    results = {}
    for i, job in enumerate(jobs):
        row = torch.from_numpy(rows[str(job["row"])]).unsqueeze(0)
        after = engines[job["engine"]](row.clone(), job["given"], job["prompt"], job["output"])
        results[str(i)] = after.double().softmax(-1)[0].numpy()
    np.savez(sys.argv[3], **results)


if __name__ == "__main__":
    main()
