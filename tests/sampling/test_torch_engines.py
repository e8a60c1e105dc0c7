"""Pipelines of vLLM, transformers and TGI against vLLM's and transformers' own code, which compute in float32.

Their numbers agree with ours to 1e-6, and the spacing of float32 at the greatest logit, which the exponential turns
into a relative error. Where a sum of probabilities comes within rounding of a boundary, their set must be the one ours
is with the setting moved by that rounding; over a whole vocabulary it may differ by the tokens in between. Of equals,
whichever torch's sorting put first. How float32 rounds a sum differs with the processor's vectors
(``ATEN_CPU_CAPABILITY=default`` and ``avx2`` try two): a sum of n probabilities is at most n half spacings off.
"""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from courselib.controls.controls import Controls
from courselib.sampling import Context, pipeline
from tests.sampling import cases

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SCRIPT = Path(__file__).with_name("torch_reference.py")
MOVE = 1e-5
HALF_SPACING = 2**-24
LEAST = 1e-30
BOUNDARIES = ("top_p", "min_p", "typical_p")
HAVE = {
    "vllm": "temperature top_k top_p min_p repetition_penalty presence_penalty frequency_penalty logit_bias",
    "transformers": "temperature top_k top_p min_p typical_p repetition_penalty no_repeat_ngram_size logit_bias",
    "tgi": "temperature top_k top_p typical_p repetition_penalty",
}


def drawn(random, name, size):
    if name == "logit_bias":
        return {int(token): float(np.float32(random.uniform(-5, 5))) for token in random.integers(0, size, 2)}
    if name in ("top_k", "no_repeat_ngram_size"):
        return int(random.integers(1, size + 3 if name == "top_k" else 4))
    low, high = {
        "temperature": (0.1, 2), "min_p": (0, 0.3), "repetition_penalty": (0.5, 2), "presence_penalty": (-2, 2),
        "frequency_penalty": (-2, 2),
    }.get(name, (0.01, 0.99))  # fmt: skip
    return float(np.float32(random.uniform(low, high)))


def jobs():
    """For each row and engine: every control alone in turn, and all of them, each left out now and then."""
    rows, made = {}, []
    for i, row in enumerate(cases.rows(seed=10)):
        rows[str(i)] = row.astype(np.float32)
        random = np.random.default_rng(i)
        for engine, names in HAVE.items():
            history, output = cases.tokens(random, row.size), cases.tokens(random, row.size)
            have = names.split()
            alone = {have[i % len(have)]}
            for chosen in (alone, {name for name in have if random.random() < 0.6}):
                given = {name: drawn(random, name, row.size) for name in have if name in chosen}
                if engine == "transformers" and not history + output:
                    given = {
                        name: v
                        for name, v in given.items()
                        if name not in ("repetition_penalty", "no_repeat_ngram_size")
                    }
                made.append({"engine": engine, "row": i, "given": given, "prompt": history, "output": output})
    return rows, made


@pytest.fixture(scope="module")
def compared(installed, tmp_path_factory):
    """All jobs, the rows, and what the engines' own code gave: one process for all, in vLLM's environment."""
    folder = tmp_path_factory.mktemp("torch")
    rows, made = jobs()
    (folder / "jobs.json").write_text(json.dumps(made))
    np.savez(folder / "rows.npz", **rows)
    files = [folder / name for name in ("jobs.json", "rows.npz", "result.npz")]
    done = subprocess.run([installed.python, SCRIPT, *files], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(files[2]) as results:
        return rows, made, [results[str(i)] for i in range(len(made))]


def agree(ours, theirs, row, temperature):
    tolerance = 1e-6 + float(np.spacing(np.abs(row[np.isfinite(row)]).max() / np.float32(temperature)))
    if cases.has_ties(row):
        ours, theirs = np.sort(ours), np.sort(theirs)
    return bool(((ours > LEAST) == (theirs > LEAST)).all() and np.abs(ours - theirs).max() <= tolerance)


@pytest.mark.parametrize("engine", HAVE)
def test_pipelines_are_what_the_engines_own_code_computes(engine, compared):
    rows, made, results = compared
    tried = on_boundary = unexplained = 0
    for job, theirs in zip(made, results, strict=True):
        if job["engine"] != engine:
            continue
        row, given = rows[str(job["row"])], Controls(**job["given"])
        if engine == "tgi" and given.temperature is None:
            # The reference draws by chance; TGI would be greedy without a control that asks for it.
            given = given.with_(temperature=1.0)
        context = Context(job["prompt"], job["output"])

        def ours(changed, row=row, context=context):
            return pipeline(engine, changed, context).probabilities(row)

        tried += 1
        if np.isnan(theirs).all():
            with pytest.raises(ValueError, match="leaves no token"):
                ours(given)
            continue
        if agree(ours(given), theirs, row, given.temperature or 1):
            continue
        on_boundary += 1
        rounding = row.size * HALF_SPACING
        if row.size == cases.VOCABULARY:
            # Of what is kept, which the boundary's share is divided by in the end.
            limit = rounding / min(given.top_p or 1, given.typical_p or 1)
            assert np.abs(np.sort(ours(given)).cumsum() - np.sort(theirs).cumsum()).max() < limit, job["given"]
            continue
        moved = (
            given.with_(**{name: min(value + by, 1.0)})
            for name, value in given.given().items()
            if name in BOUNDARIES
            for by in (-rounding, -MOVE * value, MOVE * value, rounding)
            if value + by > 0
        )
        if not any(agree(ours(other), theirs, row, given.temperature or 1) for other in moved):
            # Two tokens may be equally near the average surprise in float32 and not in double precision.
            assert given.typical_p, (job["row"], job["given"])
            unexplained += 1
    assert tried == 2 * len(rows)
    assert on_boundary < tried / 100
    assert unexplained < tried / 500
