"""Every stage once more, slowly and plainly, on ``{token: logit}``: what the vectorised stages must agree with.

Written from the engines' sources, not from ``courselib.sampling``, and with nothing in common with it: sorted lists and
sums, no arrays. Each function takes the tokens that are left and gives those that are left after it.
"""

import math


def probabilities(left):
    highest = max(left.values())
    weights = {token: math.exp(logit - highest) for token, logit in left.items()}
    total = math.fsum(weights.values())
    return {token: weight / total for token, weight in weights.items()}


def descending(left):
    """Tokens from the likeliest to the least likely, of equals the lowest id first."""
    return sorted(left, key=lambda token: (-left[token], token))


def only(left, tokens):
    chosen = set(tokens)
    return {token: logit for token, logit in left.items() if token in chosen}


def logit_bias(left, bias):
    moved = {token: logit + bias.get(token, 0) for token, logit in left.items()}
    return {token: logit for token, logit in moved.items() if logit != -math.inf}


def penalties(left, repetition, presence, frequency, repeated, counted, relative=False):
    after = {}
    for token, logit in left.items():
        if token in repeated:
            logit = logit * repetition if logit <= 0 else logit / repetition
        count = list(counted).count(token)
        if count:
            logit -= frequency * (count / len(counted) if relative else count)
            logit -= presence
        after[token] = logit
    return after


def no_repeat_ngram(left, size, tokens):
    if size == 0:
        return left
    grams = {tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)}
    ending = tuple(tokens[len(tokens) - size + 1 :])
    return {token: logit for token, logit in left.items() if (*ending, token) not in grams}


def dry(left, multiplier, base, allowed, context, breakers):
    """A token pays for the longest run that it would lengthen; runs do not reach across single-token breakers."""
    alone = {breaker[0] for breaker in breakers if len(breaker) == 1}
    since = list(context)
    for back in range(len(context)):
        if context[len(context) - 1 - back] in alone:
            since = list(context[len(context) - back :])
            break
    after = dict(left)
    for token in left:
        best = -1
        for end in range(1, len(context)):
            if context[end] != token or token in alone:
                continue
            for run in range(len(since), -1, -1):
                if run <= end and list(context[end - run : end]) == since[len(since) - run :]:
                    best = max(best, run)
                    break
        if best >= allowed and len(since) >= allowed and len(context) > allowed and multiplier:
            after[token] = left[token] - multiplier * base ** (best - allowed)
    return after


def top_n_sigma(left, n):
    if n <= 0:
        return left
    mean = math.fsum(left.values()) / len(left)
    deviation = math.sqrt(math.fsum((logit - mean) ** 2 for logit in left.values()) / len(left))
    least = max(left.values()) - n * deviation
    return {token: logit for token, logit in left.items() if logit >= least}


def top_k(left, k, ties):
    if k <= 0:
        return left
    first = descending(left)[:k]
    return {token: logit for token, logit in left.items() if logit >= left[first[-1]]} if ties else only(left, first)


def top_p(left, p, min_keep):
    if p >= 1:
        return left
    shares = probabilities(left)
    kept, before = [], 0.0
    for token in descending(left):
        if before >= p and len(kept) >= max(min_keep, 1):
            break
        kept.append(token)
        before = math.fsum((before, shares[token]))
    return only(left, kept)


def min_p(left, p, min_keep):
    if p <= 0:
        return left
    shares = probabilities(left)
    highest = max(shares.values())
    kept = [token for i, token in enumerate(descending(left)) if shares[token] >= p * highest or i < min_keep]
    return only(left, kept)


def typical(left, p, ties, min_keep):
    if p >= 1:
        return left
    shares = probabilities(left)
    surprise = {token: -math.log(share) for token, share in shares.items() if share > 0}
    average = math.fsum(shares[token] * value for token, value in surprise.items())
    distance = {token: abs(surprise.get(token, math.inf) - average) for token in left}
    order = sorted(descending(left), key=distance.__getitem__)
    kept, total = [], 0.0
    for token in order:
        kept.append(token)
        total += shares[token]
        if (total >= p if ties else total > p) and len(kept) >= min_keep:
            break
    if ties:
        kept = [token for token in left if distance[token] <= distance[kept[-1]]]
    return only(left, kept)


def temperature(left, value):
    return {token: logit / value for token, logit in left.items()}


def greedy(left):
    return only(left, descending(left)[:1])


def xtc(left, probability, threshold, min_keep):
    """Both things that may happen, each with its probability."""
    shares = probabilities(left)
    top = [token for token in descending(left) if shares[token] >= threshold]
    removed = set(top[:-1])
    rest = [token for token in left if token not in removed]
    if probability <= 0 or threshold > 0.5 or len(top) < 2 or len(rest) < min_keep:
        return [(1.0, left)]
    return [(weight, kept) for weight, kept in ((1 - probability, left), (probability, only(left, rest))) if weight]
