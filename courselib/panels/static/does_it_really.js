// Predicted and drawn shares, a bar over each other for every token.

function render({ model, el }) {
  const labels = model.get("labels");
  const empty = make("p", "cl-really-empty", labels.empty);
  const legend = make(
    "p",
    "cl-really-legend",
    make("span", "cl-really-key cl-really-key-predicted", labels.predicted),
    make("span", "cl-really-key cl-really-key-drawn", labels.drawn),
    make("span", "cl-really-key cl-really-key-band", labels.band),
  );
  const heads = [labels.token, labels.bars, labels.predicted, labels.drawn, labels.remark].map((text) => make("th", "", text));
  for (const each of heads) each.scope = "col";
  // They say to those who do not see it what the columns are.
  for (const at of [0, 1, 4]) heads[at].replaceChildren(make("span", "cl-spoken", heads[at].textContent));
  const head = make("tr", "", ...heads);
  // What is put in place of other HTML is mostly not spoken: an element that stays is.
  const spoken = make("p", "cl-spoken");
  spoken.setAttribute("role", "status");
  const body = make("tbody");
  const table = make("table", "cl-really", make("thead", "", head), body);
  table.setAttribute("aria-label", labels.bars);
  el.append(empty, legend, table, spoken);

  function bar(row, most) {
    const track = make("div", "cl-really-track");
    const width = (share) => `${(100 * share) / most}%`;
    const predicted = make("span", "cl-really-predicted");
    predicted.style.width = width(row.predicted);
    const drawn = make("span", "cl-really-drawn");
    drawn.style.width = width(row.drawn);
    track.append(predicted, drawn);
    if (row.band) {
      const band = make("span", "cl-really-band");
      band.style.left = width(row.band[0]);
      band.style.width = width(row.band[1] - row.band[0]);
      track.append(band);
    }
    return track;
  }

  function line(row, most) {
    const text = row.id == null ? labels.rest : row.text === "" ? labels.nothing.replace("{id}", row.id) : visible(row.text);
    const name = make("th", row.id == null ? "cl-really-rest" : "cl-really-token", text);
    name.scope = "row";
    const made = make(
      "tr",
      row.outside ? "cl-really-outside" : "",
      name,
      make("td", "cl-really-bars", bar(row, most)),
      make("td", "cl-really-number", percent(row.predicted)),
      make("td", "cl-really-number", percent(row.drawn)),
      make("td", "cl-really-mark", row.outside ? `✕ ${labels.outside}` : ""),
    );
    return made;
  }

  function draw() {
    const { rows = [], verdict = "" } = model.get("drawn");
    if (spoken.textContent !== verdict) spoken.textContent = verdict;
    empty.hidden = rows.length > 0;
    legend.hidden = table.hidden = !rows.length;
    const most = Math.max(1e-9, ...rows.map((row) => Math.max(row.predicted, row.drawn, row.band?.[1] ?? 0)));
    body.replaceChildren(...rows.map((row) => line(row, most)));
  }

  model.on("change:drawn", draw);
  draw();
  return () => model.off("change:drawn", draw);
}

export default { render };
