"""A fake of what llama-server answers on its own routes: one fixed answer, token by token, as the real one words it."""

import threading

from courselib.sampling.text_stops import is_whole

# A vocabulary: special tokens have no text; a character of three bytes is two tokens.
SKY = "天".encode()
PIECES = [b"", b"", b".", b",", b"Paris", b" is", b" it", b" the", b" city", SKY[:1], SKY[1:]]
END, MARKER, STOP, COMMA, PARIS, IS, IT, THE, CITY, SKY_1, SKY_2 = range(len(PIECES))
WRITTEN = {END: "<end>", MARKER: "<|marker|>"}
PROMPT = [PARIS, IS, IT]


class FakeAnswers:
    """Teaches a ``FakeLlamaServer`` to answer with the same tokens again and again.

    While ``holds`` is set, whole answers do not come; ``waits`` says that one is due.
    ``before_chance`` is called before each probability of the end.

    Args:
        fake: the server.
        tokens: ids of the answer's tokens.
    """

    def __init__(self, fake, tokens):
        self.tokens, self.completions = list(tokens), []
        self.prompt_tokens = len(PROMPT)
        self.before_chance = lambda: None
        self.holds, self.waits = threading.Event(), threading.Event()
        self.fake = fake
        fake.replies |= {
            "/apply-template": lambda asked: {"prompt": f"<{asked['messages'][-1]['content']}>"},
            "/tokenize": lambda asked: {"tokens": {".": [STOP], ",": [COMMA]}.get(asked["content"], PROMPT)},
            "/detokenize": lambda asked: {"content": "".join(WRITTEN[token] for token in asked["tokens"])},
            "/completion": self.complete,
            "/v1/chat/completions": self.chat,
        }

    def complete(self, asked):
        self.completions.append(asked)
        if asked.get("post_sampling_probs"):
            ids = {token for token, _bias in asked["logit_bias"]}
            return told({"top_probs": [{"id": token, "prob": 0.5} for token in ids]})
        if asked.get("n_probs", 0) > len(PIECES):
            rows = [{"id": at, "logprob": -2.0, "bytes": list(piece)} for at, piece in enumerate(PIECES)]
            return told({"top_logprobs": rows})
        if asked.get("n_probs"):
            self.before_chance()
            return told({"id": END, "logprob": -1.0 if asked["prompt"][-1] == self.tokens[-2] else -9.0})
        if asked["n_predict"] == 1 and asked["ignore_eos"]:
            return {"generation_settings": {"logit_bias": [{"token": END, "bias": None}]}}
        return self.answer(asked)

    def chat(self, asked):
        tokens = self.tokens[: asked["max_tokens"]]
        if not asked.get("stream"):
            return {"__verbose": {"tokens": tokens if asked.get("return_tokens") else []}}
        usage = {"prompt_tokens": self.prompt_tokens, "completion_tokens": len(tokens), "total_tokens": 0}
        return [*(chunk([part]) for part in streamed(tokens)), chunk([], "stop"), {**chunk([]), "usage": usage}]

    def answer(self, asked):
        if self.holds.is_set():
            self.waits.set()
            self.fake.released.wait(30)
        tokens = self.tokens[: asked["n_predict"]]
        text = b"".join(PIECES[token] for token in tokens).decode("utf-8", "replace")
        stop = next((stop for stop in asked.get("stop", ()) if stop in text), "")
        reason = "word" if stop else "eos" if tokens[-1] == END else "limit"
        content = text.partition(stop)[0] if stop else text
        return {"content": content, "tokens": tokens, "stop_type": reason, "stopping_word": stop}


def told(entry):
    return {"completion_probabilities": [entry]}


def streamed(tokens):
    """Tokens as the real one streams them: those of one character as one, with the id and probability of the last."""
    held = b""
    for token in tokens:
        held += PIECES[token]
        if is_whole(held):
            own = {"id": token, "token": "", "bytes": list(PIECES[token]), "logprob": -1.0}
            yield {**own, "token": held.decode(), "bytes": list(held), "top_logprobs": [own]}
            held = b""


def chunk(entries, finish=None):
    text = "".join(entry["token"] for entry in entries)
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish, "logprobs": {"content": entries}}
    head = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "fake"}
    return {**head, "choices": [choice]}
