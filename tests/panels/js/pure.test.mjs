import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./source.mjs";

for (const script of ["code_fold.js", "controls_form.js"]) {
  test(`no two models of ${script} share an id`, async () => {
    const numbers = [];
    for (let model = 0; model < 3; model++) numbers.push((await load(["ids.js", script], ["nextNumber"])).nextNumber());
    assert.equal(new Set(numbers).size, 3);
  });
}

test("what cannot be seen is marked", async () => {
  const { visible } = await load(["tokens.js"], ["visible"]);
  assert.equal(visible("a\nb\t"), "a⏎b⇥");
  assert.equal(visible("  a b "), "␣␣a b␣");
  assert.equal(visible("\u0000\u202e"), "␀⟨U+202E⟩");
  assert.equal(visible("你好，é"), "你好，é");
});

test("shades of tokens", async () => {
  const { level } = await load(["tokens.js", "token_text.js"], ["level"]);
  assert.deepEqual([1, 0.9, 0.89, 0.5, 0.2, 0.05, 0.049, 0].map(level), [1, 1, 2, 2, 3, 4, 5, 5]);
});

test("a share reads the same in every picture", async () => {
  const { percent } = await load(["tokens.js"], ["percent"]);
  assert.deepEqual([1, 0.9996, 0.973, 0.1, 0.0996].map(percent), ["100 %", "> 99.9 %", "97.3 %", "10.0 %", "10.0 %"]);
  assert.deepEqual([0.05, 0.00123, 0.0001, 0.00001, 0].map(percent), ["5.0 %", "0.12 %", "0.010 %", "< 0.01 %", "0 %"]);
  for (const script of ["token_text.js", "next_token.js", "does_it_really.js", "walk.js"])
    assert.equal((await load(["tokens.js", script], ["percent"])).percent(0.05), "5.0 %");
});

test("a token's name has the alternatives that the card draws", async () => {
  const { spoken } = await load(["tokens.js", "token_text.js"], ["spoken"]);
  const labels = { nothing: "nothing", instead: "the most likely here" };
  const others = [[" red", 0.5], [" blue", 0.25]];
  assert.equal(spoken([" red", 0.5, others, 1], labels), "␣red  50.0 %. the most likely here ␣red 50.0 %, ␣blue 25.0 %");
  assert.equal(spoken(["red", null, [], 1], labels), "red");
  assert.equal(spoken(["", 0.5, [], 1], labels), "nothing  50.0 %");
});

test("a choice is added once, at the end, to its own question", async () => {
  const { withChoice, markOf } = await load(["tokens.js", "ids.js", "quiz.js"], ["withChoice", "markOf"]);
  const chosen = [[2], []];
  assert.deepEqual(withChoice(chosen, 0, 1), [[2, 1], []]);
  assert.deepEqual(withChoice(chosen, 1, 0), [[2], [0]]);
  assert.deepEqual(withChoice([[2, 1], []], 0, 2), [[2, 1], []]);
  assert.deepEqual(chosen, [[2], []]); // a model takes no notice of a list changed in place
  assert.equal(new Set([markOf(false, true), markOf(true, true), markOf(true, false)]).size, 3);
  assert.equal(markOf(false, true), markOf(false, false));
});

test("numbers that count up are not spoken, words are", async () => {
  const { isNews } = await load(["status.js"], ["isNews"]);
  assert.equal(isNews("starting, 0.1 s", "starting, 12.3 s"), false);
  assert.equal(isNews("starting, 0.1 s", "running, first token after 0.1 s"), true);
  assert.equal(isNews("", "ready"), true);
});
