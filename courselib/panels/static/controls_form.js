// Controls as rows: a box that says whether one is sent, a slider and a number (or a text), and what becomes of it.

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// Each kind of row: its inputs, what they hold as an entry, and how an entry (undefined where not sent) is shown.
const KINDS = {
  number(row, change) {
    const field = make("input", { type: "number", step: "any" });
    const slider = make("input", { type: "range", min: row.low, max: row.high, step: row.step });
    field.oninput = () => {
      if (!field.validity.badInput) change(field.value === "" ? undefined : Number(field.value));
    };
    slider.oninput = () => change(Number(slider.value));
    return {
      inputs: row.slider ? [slider, field] : [field],
      first: (told) => told?.applies ?? row.off,
      show(entry, told) {
        const instead = told?.applies ?? row.off;
        slider.value = entry ?? instead;
        // A number half typed, as "0.", is left alone.
        if (entry === undefined) field.value = "";
        else if (field.value === "" || Number(field.value) !== entry) field.value = entry;
        field.placeholder = told?.applies ?? "";
      },
    };
  },
  flag(_row, change, labels) {
    const field = make(
      "select",
      {},
      ...["unset", "yes", "no"].map((answer) => make("option", { value: answer, textContent: labels[answer] })),
    );
    field.oninput = () => change({ yes: true, no: false }[field.value]);
    return {
      inputs: [field],
      first: () => true,
      show: (entry) => (field.value = entry === undefined ? "unset" : entry ? "yes" : "no"),
    };
  },
  text(row, change) {
    const field = make("textarea", { rows: 2, placeholder: row.hint, spellcheck: false });
    field.oninput = () => change(field.value || undefined);
    return {
      inputs: [field],
      first: () => "",
      show(entry) {
        if (field.value !== (entry ?? "")) field.value = entry ?? "";
      },
    };
  },
};

function drawRow(row, labels, id, change) {
  const kind = KINDS[row.kind](row, (entry) => change(row.name, entry), labels);
  const box = make("input", { type: "checkbox" });
  box.setAttribute("aria-label", labels.send.replace("{name}", row.name));
  const name = make("label", { className: "cl-control-name" }, box, make("span", { textContent: row.name }));
  const help = make("p", { className: "cl-control-help", id: `${id}-help`, textContent: row.help });
  const state = make("p", { className: "cl-control-state", id: `${id}-state` });
  const inputs = make("div", { className: "cl-control-inputs" }, ...kind.inputs);
  const node = make("div", { className: "cl-control" }, name, inputs, state, help);
  node.dataset.control = row.name;
  for (const input of kind.inputs) {
    input.title = row.takes;
    input.setAttribute("aria-label", row.name);
    input.setAttribute("aria-describedby", `${state.id} ${help.id}`);
  }
  let told;
  box.onchange = () => change(row.name, box.checked ? kind.first(told) : undefined);
  return {
    node,
    show(entry, line) {
      told = line;
      box.checked = entry !== undefined;
      node.classList.toggle("cl-unset", entry === undefined);
      kind.show(entry, line);
      for (const input of kind.inputs)
        if (input.type === "range") input.setAttribute("aria-valuetext", entry ?? labels.unset);
      state.className = `cl-control-state ${line?.kind ? `cl-${line.kind}` : ""}`;
      // What is sent, or left to the engine, says so itself; what comes to another effect begins with a word for it.
      state.replaceChildren(...(line?.kind ? [make("b", { textContent: line.word }), " "] : []), line?.text ?? "");
    },
  };
}

function render({ model, el }) {
  const labels = model.get("labels");
  const id = `cl-controls-${nextNumber()}`;
  const form = make("div", { className: "cl-controls" });

  function change(name, entry) {
    const { [name]: _before, ...others } = model.get("entries");
    model.set("entries", entry === undefined ? others : { ...others, [name]: entry });
    model.save_changes();
  }

  const groups = model.get("groups").map(({ title, rows }, at) => {
    const given = make("span", { className: "cl-controls-given" });
    const drawn = rows.map((row) => ({ row, ...drawRow(row, labels, `${id}-${row.name}`, change) }));
    const fold = make("details", { open: at === 0 && model.get("opened") }, make("summary", {}, title, given));
    fold.append(make("div", { className: "cl-controls-rows" }, ...drawn.map(({ node }) => node)));
    form.append(fold);
    return { given, drawn };
  });
  // Keys are for what has the focus here, not for JupyterLab: its shortcuts look for this mark at the very element, and
  // its notebook takes Enter.
  form.onkeydown = (event) => event.stopPropagation();
  for (const node of form.querySelectorAll("summary, input, select, textarea")) node.dataset.lmSuppressShortcuts = "true";
  el.append(form);

  function draw() {
    const entries = model.get("entries");
    const report = model.get("report");
    for (const { given, drawn } of groups) {
      for (const { row, show } of drawn) show(entries[row.name], report[row.name]);
      const set = drawn.map(({ row }) => row.name).filter((name) => name in entries);
      given.textContent = set.map((name) => `${name}=${JSON.stringify(entries[name])}`).join("  ");
    }
  }

  model.on("change:entries", draw);
  model.on("change:report", draw);
  draw();
  return () => {
    model.off("change:entries", draw);
    model.off("change:report", draw);
  };
}

export default { render };
