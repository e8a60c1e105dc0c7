"""Answers to the exercises without a program: predictions and explanations."""

from __future__ import annotations

from tests.exercises.cases import Case

EXPLAINED = (
    "A seed fixes the stream of random numbers from which the sampler draws. With the same logits, the same draws give "
    "the same tokens. Another build of the engine computes slightly different logits, so a draw near a border falls on "
    "the other side, and from there on the texts differ. Temperature zero draws nothing at all."
)


def predicted(**changed):
    """Predictions by comparing numbers; a key's word can be replaced."""

    def answer(temperature, top_k):
        words = ("sharper", "unchanged", "flatter")
        right = {
            "seed": "same",
            "greedy": "same",
            "top_k": ("one", "two", "many")[min(top_k, 3) - 1],
            "temperature": words[(temperature > 1) - (temperature < 1) + 1],
        }
        return right | changed

    return answer


CASES = {
    "predict_sampling": Case(
        predicted(),
        (
            (predicted(temperature="sharper"), "distance between two"),
            (predicted(top_k="many"), "left to draw from"),
            (predicted(seed="different"), "What does a seed fix"),
            (predicted(greedy="different"), "use a random number at all"),
            (lambda *_settings: {"seed": "same"}, "exactly the four keys"),
            (predicted(temperature="Flatter"), "none of the words"),
        ),
    ),
    "explain_seeds": Case(
        lambda: EXPLAINED,
        (
            (lambda: "", "is empty"),
            (lambda: None, "as one text"),
            (lambda: "The seed makes it the same.", "at least forty words"),
            (lambda: "seed " * 60, "again and again"),
        ),
    ),
}
