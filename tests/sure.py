"""Questions of whose answers the model is sure, for tests that compare greedy texts.

Where two tokens nearly tie, the format of the numbers, the processor, and what of a prompt is in a cache choose between
them. Here the likeliest token leads the next by 0.2 or more in every step; by 0.3 or more, it was on llama.cpp (Q4_1),
vLLM in float32, and vLLM in bfloat16 with and without the processor's own instructions for it.
"""

import math

QUESTION = "Paris is the capital of France. Write that sentence again."
ANSWER = "Paris is the capital of France."
MESSAGES = [{"role": "user", "content": QUESTION}]
# The answer, and the token that ends it.
LENGTH = 8
# A text, and how it goes on.
TEXT, NEXT = "The capital of France is", " Paris."
LEAD = 0.2


def least_lead(server):
    """By how much the likeliest token leads, at the step of the answer where it does so by the least."""
    answer = server.openai().chat.completions.create(
        model=server.model, messages=MESSAGES, max_tokens=LENGTH, temperature=0, logprobs=True, top_logprobs=2
    )
    assert answer.choices[0].message.content == ANSWER
    steps = [[math.exp(one.logprob) for one in token.top_logprobs] for token in answer.choices[0].logprobs.content]
    return min(first - second for first, second in steps)
