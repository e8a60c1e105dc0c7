"""Answers as a class writes them: right ones, each by itself, and what somebody makes of another one's answer."""

NUCLEUS = (
    """def top_p_filter(probabilities, top_p):
    order = sorted(range(len(probabilities)), key=lambda i: probabilities[i], reverse=True)
    kept = []
    total = 0.0
    for i in order:
        kept.append(i)
        total += probabilities[i]
        if total >= top_p:
            break
    result = [0.0] * len(probabilities)
    for i in kept:
        result[i] = probabilities[i] / total
    return result
""",
    """import numpy as np


def top_p_filter(probabilities, top_p):
    p = np.asarray(probabilities, dtype=float)
    ranks = np.argsort(-p, kind="stable")
    before = np.cumsum(p[ranks]) - p[ranks]
    mask = np.zeros(len(p), dtype=bool)
    mask[ranks[before < top_p]] = True
    q = np.where(mask, p, 0)
    return (q / q.sum()).tolist()
""",
    """def top_p_filter(probabilities, top_p):
    # pairs of probability and place, the largest first
    pairs = sorted(((p, -i) for i, p in enumerate(probabilities)), reverse=True)
    cumulative, keep = 0, set()
    while pairs and cumulative < top_p:
        p, minus_i = pairs.pop(0)
        cumulative = cumulative + p
        keep.add(-minus_i)
    return [p / cumulative if i in keep else 0 for i, p in enumerate(probabilities)]
""",
    """def top_p_filter(probabilities, top_p):
    left = list(enumerate(probabilities))
    left.sort(key=lambda item: item[1], reverse=True)
    chosen = {}
    for token, share in left:
        if sum(chosen.values()) >= top_p:
            break
        chosen[token] = share
    whole = sum(chosen.values())
    answer = []
    for token in range(len(probabilities)):
        answer.append(chosen.get(token, 0.0) / whole)
    return answer
""",
    """from itertools import accumulate


def top_p_filter(probabilities, top_p):
    index = sorted(range(len(probabilities)), key=probabilities.__getitem__, reverse=True)
    sums = list(accumulate(probabilities[i] for i in index))
    count = 1 + sum(s < top_p for s in sums[:-1])
    head = index[:count]
    norm = sums[count - 1]
    return [probabilities[i] / norm if i in head else 0.0 for i in range(len(probabilities))]
""",
    """def top_p_filter(probabilities, top_p):
    remaining = dict(enumerate(probabilities))
    out = [0.0 for _ in probabilities]
    mass = 0.0
    while remaining:
        best = max(remaining, key=remaining.get)
        out[best] = remaining.pop(best)
        mass += out[best]
        if not mass < top_p:
            break
    for n in range(len(out)):
        out[n] = out[n] / mass
    return out
""",
    """def top_p_filter(probabilities, top_p):
    n = len(probabilities)
    idx = list(range(n))
    idx.sort(key=lambda k: -probabilities[k])
    acc = 0
    j = 0
    for j in range(n):
        acc += probabilities[idx[j]]
        if acc >= top_p:
            break
    nuc = idx[: j + 1]
    res = [0] * n
    z = sum(probabilities[k] for k in nuc)
    for k in nuc:
        res[k] = probabilities[k] / z
    return res
""",
    """def top_p_filter(probabilities, top_p):
    def size():
        running = 0.0
        for count, share in enumerate(sorted(probabilities, reverse=True), start=1):
            running += share
            if running >= top_p:
                return count
        return len(probabilities)

    by_share = sorted(enumerate(probabilities), key=lambda pair: (-pair[1], pair[0]))
    inside = dict(by_share[: size()])
    scale = 1 / sum(inside.values())
    return [scale * inside.get(token, 0.0) for token in range(len(probabilities))]
""",
)
# The first one with other names, another comment, and spaces where none were.
RENAMED = """def top_p_filter(probs, p):
    # sort the tokens, then cut
    ranking = sorted( range(len(probs)), key=lambda t: probs[t], reverse=True )
    nucleus_tokens = []
    mass = 0.0
    for t in ranking:
        nucleus_tokens.append(t)
        mass += probs[t]
        if mass >= p:
            break
    out = [0.0] * len(probs)
    for t in nucleus_tokens:
        out[t] = probs[t] / mass
    return out
"""
# Everybody writes it so.
SOFTMAX = """import math


def softmax(logits, temperature):
    scaled = [x / temperature for x in logits]
    top = max(scaled)
    powers = [math.exp(x - top) for x in scaled]
    total = sum(powers)
    return [p / total for p in powers]
"""
ESSAYS = (
    '''def explanation():
    return """The seed decides which random numbers are drawn. It says nothing about the logits, which depend on how the
    build adds up its products. A draw picks the same token as long as the number falls into the same piece of the line,
    and for eleven words it did. I would choose temperature 0, but near ties may still flip."""
''',
    '''def explanation():
    return """1. With a seed, the sampler's random numbers repeat. Rounding differs between builds, so probabilities are
    not bit for bit the same. 2. Small differences rarely move a border across the drawn number. 3. Greedy decoding;
    even so, two candidates of almost equal score can swap, after which the contexts differ."""
''',
    """def explanation():
    return (
        "A seed only makes the sequence of pseudo random numbers repeatable and cannot make two kernels compute "
        "identical floating point sums. Tokens agree until one number lands between the old and the new boundary. "
        "Setting the temperature to zero removes the draw, though equal maxima remain a risk."
    )
""",
)
COPIED_ESSAY = '''def explanation():
    text = """My answer: The seed decides which random numbers are drawn. It says nothing about the logits, which
    depend on how the build adds up its products. A draw picks the same token as long as the number falls into the same
    piece of the line, and for eleven words it did. I would use temperature 0, but near ties may still flip."""
    return text
'''
