// A fold with a tab for each program and a copy button. Tabs follow the ARIA pattern: arrows move, Tab leaves.

// The program line by line; what was not there before lights up for a moment, so that one sees what a setting does.
function write(pre, text, before) {
  const known = new Set(before.split("\n"));
  pre.replaceChildren(
    ...(text.match(/[^\n]*\n|[^\n]+$/g) ?? []).map((line) => {
      const row = document.createElement("span");
      row.textContent = line;
      if (before && !known.has(line.replace("\n", ""))) row.className = "cl-changed";
      return row;
    }),
  );
}

async function copy(text, pre) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard without https: select the text, and ask the browser the old way.
    const range = document.createRange();
    range.selectNodeContents(pre);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy");
  }
}

function render({ model, el }) {
  const id = `cl-code-${nextNumber()}`;
  const labels = model.get("labels");
  const fold = document.createElement("details");
  fold.className = "cl-code";
  fold.open = model.get("opened");
  const summary = document.createElement("summary");
  summary.textContent = labels.title;
  const bar = document.createElement("div");
  bar.className = "cl-code-bar";
  const tabs = document.createElement("div");
  tabs.setAttribute("role", "tablist");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "cl-copy";
  button.textContent = labels.copy;
  const pre = document.createElement("pre");
  pre.id = id;
  pre.tabIndex = 0;
  pre.setAttribute("role", "tabpanel");
  const notes = document.createElement("ul");
  bar.append(tabs, button);
  fold.append(summary, bar, pre, notes);
  el.append(fold);

  let shown = "";

  const select = (name, focus) => {
    model.set("selected", name);
    model.save_changes();
    draw();
    if (focus) tabs.querySelector("[aria-selected=true]")?.focus();
  };

  function draw() {
    const programs = model.get("programs");
    const names = Object.keys(programs);
    const selected = model.get("selected");
    tabs.replaceChildren(
      ...names.map((name, at) => {
        const tab = document.createElement("button");
        tab.type = "button";
        tab.textContent = name;
        tab.setAttribute("role", "tab");
        tab.setAttribute("aria-controls", id);
        tab.setAttribute("aria-selected", String(name === selected));
        tab.tabIndex = name === selected ? 0 : -1;
        tab.onclick = () => select(name, false);
        tab.onkeydown = (event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (!step) return;
          event.preventDefault();
          event.stopPropagation();
          select(names[(at + step + names.length) % names.length], true);
        };
        return tab;
      }),
    );
    const program = programs[selected] ?? "";
    if (program !== pre.textContent) write(pre, program, selected === shown ? pre.textContent : "");
    shown = selected;
    bar.hidden = pre.hidden = !names.length;
    notes.replaceChildren(
      ...model.get("notes").map((note) => {
        const item = document.createElement("li");
        item.textContent = note;
        return item;
      }),
    );
    notes.hidden = !model.get("notes").length;
  }

  fold.ontoggle = () => {
    model.set("opened", fold.open);
    model.save_changes();
  };
  button.onclick = async () => {
    const done = await copy(pre.textContent, pre);
    button.textContent = done ? labels.copied : labels.failed;
    setTimeout(() => (button.textContent = labels.copy), 1500);
  };
  const open = () => (fold.open = model.get("opened"));
  model.on("change:programs", draw);
  model.on("change:selected", draw);
  model.on("change:notes", draw);
  model.on("change:opened", open);
  draw();
  return () => {
    model.off("change:programs", draw);
    model.off("change:selected", draw);
    model.off("change:notes", draw);
    model.off("change:opened", open);
  };
}

export default { render };
