// Candidates as bars and stages as a strip. Rows and cards are made once and filled anew, so that focus stays where it is
// while a slider moves.

// As many children as there are things, each made once; `fill` writes a thing into a child.
function fillAll(parent, nodes, things, create, fill) {
  while (nodes.length < things.length) {
    const made = create();
    made.node.tabIndex = nodes.length ? -1 : 0;
    // JupyterLab's shortcuts look for this mark at the very element.
    made.node.dataset.lmSuppressShortcuts = "true";
    nodes.push(made);
    parent.append(made.node);
  }
  nodes.forEach((each, at) => {
    each.node.hidden = at >= things.length;
    if (at < things.length) fill(each, things[at], at);
  });
}

// A sentence with a node in place of a word.
function around(sentence, word, node) {
  const [before, behind = ""] = sentence.split(word);
  return [before, node, behind];
}

function card() {
  const name = make("div", "cl-stage-name");
  const count = make("div", "cl-stage-count");
  const passes = make("div", "cl-stage-passes");
  const followed = make("div", "cl-stage-followed");
  const bar = make("div", "cl-stage-bar");
  const node = make("div", "cl-stage", name, count, passes, bar, followed);
  node.setAttribute("role", "listitem");
  return { node, name, count, passes, bar, followed };
}

function candidate() {
  const text = make("span", "cl-candidate-text");
  const own = make("span", "cl-bar-own");
  const now = make("span", "cl-bar-now");
  const rival = make("span", "cl-bar-rival");
  const track = make("span", "cl-candidate-track", own, now, rival);
  const numbers = make("span", "cl-candidate-numbers");
  const struck = make("span", "cl-candidate-struck");
  const node = make("div", "cl-candidate", text, track, numbers, struck);
  node.setAttribute("role", "option");
  return { node, text, own, now, rival, numbers, struck };
}

// Heads say of what they are heads; the corner is none.
function factCell(text, line, column) {
  const isHead = text !== "" && !(line && column);
  const cell = make(isHead ? "th" : "td", "", text);
  if (isHead) cell.scope = line ? "row" : "col";
  return cell;
}

function render({ model, el }) {
  const labels = model.get("labels");
  const empty = make("p", "cl-next-empty", labels.empty);
  const after = make("p", "cl-next-after");
  const facts = make("table", "cl-next-facts");
  const strip = make("div", "cl-strip");
  strip.setAttribute("role", "list");
  strip.setAttribute("aria-label", labels.strip);
  const sentence = make("p", "cl-strip-sentence");
  sentence.setAttribute("role", "status");
  const legend = make("p", "cl-next-legend");
  const bars = make("div", "cl-candidates");
  bars.setAttribute("role", "listbox");
  bars.setAttribute("aria-label", labels.bars);
  const head = make("div", "cl-candidate cl-candidate-head");
  head.setAttribute("aria-hidden", "true"); // each candidate tells its numbers by name
  const rest = make("p", "cl-next-rest");
  const notes = make("ul", "cl-next-notes");
  const duel = make("div", "cl-next-duel");
  const box = make("div", "cl-next", after, facts, duel, strip, sentence, legend, head, bars, rest, notes);
  el.append(empty, box);

  const cards = [];
  const rows = [];
  let drawn = {};
  let followed = null; // the id of a token
  let pointed = null; // the place of a stage

  const nameOf = (row) => (row.text === "" ? labels.nothing.replace("{id}", row.id) : visible(row.text));
  const stageName = (stage) => stage.name || labels.model;
  const followedRow = () => drawn.rows.find((row) => row.id === followed);

  function fillCard(each, stage, at) {
    const row = followedRow();
    const { node } = each;
    const inTitle = stage.setting.startsWith(`${stage.name}=`);
    each.name.textContent = inTitle && stage.on ? stage.setting : stageName(stage);
    each.count.textContent = stage.on ? labels.tokens.replace("{n}", stage.survivors.toLocaleString("en")) : labels.off;
    each.passes.textContent = stage.on && at ? labels.passes.replace("{share}", percent(stage.passes)) : "";
    node.classList.toggle("cl-off", !stage.on);
    node.style.setProperty("--share", row ? row.path[at] / Math.max(...row.path, 1e-12) : stage.passes);
    const gone = row && row.struck != null && at >= row.struck;
    each.followed.textContent = !row ? "" : gone ? "✕" : percent(row.path[at]);
    node.classList.toggle("cl-followed", Boolean(row));
    node.classList.toggle("cl-gone", Boolean(gone));
    node.setAttribute(
      "aria-label",
      [stage.sentence, row && `${nameOf(row)}: ${gone ? labels.gone.replace("{stage}", stageName(drawn.stages[row.struck])) : percent(row.path[at])}`]
        .filter(Boolean)
        .join(" "),
    );
  }

  function fillRow(each, row) {
    const { node } = each;
    const highest = Math.max(...drawn.rows.map((one) => Math.max(one.own, one.now, one.rival ?? 0)));
    node.dataset.id = row.id;
    each.text.textContent = nameOf(row);
    for (const kind of ["own", "now", "rival"]) {
      each[kind].hidden = row[kind] == null;
      each[kind].style.width = `${(100 * (row[kind] ?? 0)) / highest}%`;
    }
    const gone = row.struck != null;
    const struck = gone ? stageName(drawn.stages[row.struck]) : "";
    const values = [row.now, ...(row.rival == null ? [] : [row.rival]), row.own].map(percent);
    each.numbers.replaceChildren(...values.map((value) => make("span", "", value)));
    each.struck.textContent = gone ? `✕ ${struck}` : "";
    node.classList.toggle("cl-gone", gone);
    node.classList.toggle("cl-followed", row.id === followed);
    node.setAttribute("aria-selected", String(row.id === followed));
    const told = gone ? labels.gone.replace("{stage}", struck) : `${labels.now} ${percent(row.now)}`;
    node.setAttribute("aria-label", `${nameOf(row)}: ${told}, ${labels.own} ${percent(row.own)}`);
  }

  function fillStrip() {
    fillAll(strip, cards, drawn.stages, card, fillCard);
    const row = followedRow();
    sentence.textContent =
      pointed != null && drawn.stages[pointed]
        ? drawn.stages[pointed].sentence
        : row
          ? labels.follow.replace("{token}", nameOf(row))
          : labels.help;
  }

  function fillRows() {
    fillAll(bars, rows, drawn.rows, candidate, fillRow);
  }

  const swatch = (kind, text) => make("span", `cl-legend cl-legend-${kind}`, text);

  function draw() {
    drawn = model.get("drawn");
    const some = Boolean(drawn.rows);
    empty.hidden = some;
    box.hidden = !some;
    if (!some) return;
    after.replaceChildren(...around(labels.after, "{prompt}", make("b", "", `“${drawn.after}”`)));
    facts.replaceChildren(
      ...drawn.facts.map((cells, at) => make("tr", "", ...cells.map((cell, i) => factCell(cell, at, i)))),
    );
    const rival = drawn.duel?.engine;
    legend.replaceChildren(
      swatch("now", `${drawn.engine}, ${labels.now}`),
      ...(rival ? [swatch("rival", `${rival}, ${labels.now}`)] : []),
      swatch("own", labels.own),
    );
    const heads = [drawn.engine, ...(rival ? [rival] : []), labels.model];
    head.replaceChildren(make("span"), make("span"), make("span", "cl-candidate-numbers", ...heads.map((text) => make("span", "", text))));
    box.classList.toggle("cl-dueling", Boolean(rival));
    duel.replaceChildren(...(drawn.duel?.sentences ?? []).map((text) => make("p", "", text)));
    const focused = rows.find(({ node }) => node === document.activeElement)?.node.dataset.id;
    fillRows();
    // The rows may have changed places: the focus goes with its token.
    if (focused != null) rows.find(({ node }) => !node.hidden && node.dataset.id === focused)?.node.focus();
    fillStrip();
    for (const nodes of [rows, cards])
      if (!nodes.some(({ node }) => node.tabIndex === 0 && !node.hidden)) nodes[0].node.tabIndex = 0;
    rest.textContent = drawn.remainder ? `${labels.rest}: ${percent(drawn.remainder)}` : "";
    notes.replaceChildren(...drawn.notes.map((note) => make("li", "", note)));
    el.dataset.drawn = Number(el.dataset.drawn ?? 0) + 1;
  }

  function follow(id) {
    if (id === followed) return;
    followed = id;
    fillRows();
    fillStrip();
  }
  function point(at) {
    if (at === pointed) return;
    pointed = at;
    fillStrip();
  }

  const idOf = (event) => {
    const node = event.target.closest(".cl-candidate");
    return node ? Number(node.dataset.id) : null;
  };
  const placeOf = (event) => {
    const at = cards.findIndex(({ node }) => node.contains(event.target));
    return at < 0 ? null : at;
  };
  // What the keyboard holds stays when the mouse leaves. And to the strip one goes to read of the token followed, which
  // is let go when one leaves both.
  const held = (nodes) => nodes.findIndex(({ node }) => node === document.activeElement);
  for (const kind of ["mouseover", "focusin"]) {
    bars.addEventListener(kind, (event) => follow(idOf(event)));
    strip.addEventListener(kind, (event) => point(placeOf(event)));
  }
  for (const kind of ["mouseleave", "focusout"]) {
    const release = (event) => {
      if (bars.contains(event.relatedTarget) || strip.contains(event.relatedTarget)) return;
      const at = kind === "mouseleave" ? held(rows) : -1;
      follow(at < 0 ? null : Number(rows[at].node.dataset.id));
    };
    bars.addEventListener(kind, release);
    strip.addEventListener(kind, (event) => {
      const at = kind === "mouseleave" ? held(cards) : -1;
      point(at < 0 ? null : at);
      release(event);
    });
  }
  roving(bars, () => [...bars.children].slice(0, drawn.rows?.length ?? 0));
  roving(strip, () => [...strip.children].slice(0, drawn.stages?.length ?? 0));
  model.on("change:drawn", draw);
  draw();
  return () => model.off("change:drawn", draw);
}

export default { render };
