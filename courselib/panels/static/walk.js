// What could come next as a list of buttons, and the ways taken as a tree; arrows move within each, Tab between them.

function render({ model, el }) {
  const labels = model.get("labels");
  const empty = make("p", "cl-walk-empty", labels.empty);
  const text = make("p", "cl-walk-text");
  text.setAttribute("role", "status");
  text.setAttribute("aria-label", labels.text);
  const rows = make("div", "cl-walk-rows");
  const tree = make("div", "cl-walk-tree");
  for (const box of [rows, tree]) {
    box.setAttribute("role", "group");
    roving(box, () => [...box.querySelectorAll("button")]);
  }
  rows.setAttribute("aria-label", labels.rows);
  tree.setAttribute("aria-label", labels.tree);
  const sides = make(
    "div",
    "cl-walk-sides",
    make("div", "", make("div", "cl-walk-head", labels.rows), rows),
    make("div", "", make("div", "cl-walk-head", labels.tree), tree),
  );
  el.append(empty, text, sides);

  const shown = (piece) => (piece === "" ? labels.nothing : visible(piece));

  function choice(className, first, ...parts) {
    const button = make("button", className, ...parts);
    button.type = "button";
    button.tabIndex = first ? 0 : -1;
    // JupyterLab's shortcuts look for this mark at the very element.
    button.dataset.lmSuppressShortcuts = "true";
    return button;
  }

  function row(one, place, all, at) {
    const bar = make("span", "cl-walk-bar");
    bar.style.setProperty("--p", one.p / all[0].p);
    const button = choice("cl-walk-row", place === 0, make("span", "cl-walk-token", shown(one.text)), bar, make("span", "", percent(one.p)));
    button.onclick = () => model.send({ kind: "take", token: one.token, at });
    return button;
  }

  function node(one, here) {
    const name = one.number === 0 ? labels.start : shown(one.text);
    const share = one.number === 0 ? "" : percent(one.p);
    const button = choice("cl-walk-node", one === here, make("span", "cl-walk-token", name), make("span", "cl-walk-share", share));
    button.style.setProperty("--depth", one.depth);
    button.classList.toggle("cl-walk-on-path", one.onPath);
    button.classList.toggle("cl-walk-here", one.here);
    if (one.here) button.setAttribute("aria-current", "true");
    if (one.number) button.title = labels.under.replace("{controls}", one.controls);
    button.onclick = () => model.send({ kind: "go", number: one.number });
    return button;
  }

  function draw() {
    const drawn = model.get("drawn");
    const some = Boolean(drawn.tree);
    empty.hidden = some;
    text.hidden = sides.hidden = !some;
    if (!some) return;
    const inRows = rows.contains(document.activeElement);
    const inTree = tree.contains(document.activeElement);
    text.replaceChildren(make("span", "cl-walk-prompt", drawn.prompt), drawn.text);
    const here = drawn.tree.find((one) => one.here);
    rows.replaceChildren(...drawn.rows.map((one, place, all) => row(one, place, all, here.number)));
    const more = (n) => (n ? [make("div", "cl-walk-more", labels.more.replace("{n}", n.toLocaleString("en")))] : []);
    tree.replaceChildren(...more(drawn.before), ...drawn.tree.map((one) => node(one, here)), ...more(drawn.after));
    // The focus stays with what the keyboard was doing: choosing the next token, or a way.
    if (inRows) rows.querySelector("button")?.focus();
    if (inTree) tree.querySelector(".cl-walk-here")?.focus();
    tree.querySelector(".cl-walk-here")?.scrollIntoView({ block: "nearest" });
  }

  const wait = () => sides.classList.toggle("cl-walk-busy", model.get("busy"));
  model.on("change:drawn", draw);
  model.on("change:busy", wait);
  draw();
  return () => {
    model.off("change:drawn", draw);
    model.off("change:busy", wait);
  };
}

export default { render };
