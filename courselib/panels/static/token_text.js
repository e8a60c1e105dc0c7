// Tokens as text. Each is a focusable element; one card tells the probability and the alternatives of the one in hand.
const percent = (p) => (p >= 0.0995 ? `${(100 * p).toFixed(0)} %` : `${(100 * p).toPrecision(2)} %`);
const visible = (text) => text.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/ /g, "␣");

function render({ model, el }) {
  const labels = model.get("labels");
  const box = document.createElement("div");
  box.className = "cl-tokens";
  const text = document.createElement("div");
  text.className = "cl-tokens-text";
  text.dataset.empty = labels.empty;
  text.setAttribute("role", "group");
  const card = document.createElement("div");
  card.className = "cl-tokens-card";
  card.setAttribute("role", "tooltip");
  card.hidden = true;
  const legend = document.createElement("div");
  legend.className = "cl-tokens-legend";
  legend.textContent = labels.legend;
  box.append(text, card, legend);
  el.append(box);
  let spans = [];

  function describe([shown, probability, others]) {
    const own = probability == null ? visible(shown) : `${visible(shown)}  ${percent(probability)}`;
    return [own, ...others.map(([token, p]) => `${visible(token)}  ${percent(p)}`)];
  }

  function open(token) {
    const span = spans[Number(token.dataset.at)];
    if (!span) return;
    const head = document.createElement("div");
    head.className = "cl-tokens-own";
    head.textContent = describe(span)[0];
    const rows = span[2].map(([other, p]) => {
      const row = document.createElement("div");
      row.className = "cl-tokens-row";
      if (other === span[0]) row.classList.add("cl-chosen");
      const name = document.createElement("span");
      name.textContent = visible(other);
      const bar = document.createElement("span");
      bar.className = "cl-tokens-bar";
      bar.style.setProperty("--p", p);
      const number = document.createElement("span");
      number.textContent = percent(p);
      row.append(name, bar, number);
      return row;
    });
    const title = document.createElement("div");
    title.className = "cl-tokens-title";
    title.textContent = rows.length ? labels.instead : "";
    card.replaceChildren(head, title, ...rows);
    card.hidden = false;
    const home = box.getBoundingClientRect();
    const place = token.getBoundingClientRect();
    card.style.top = `${place.bottom - home.top + 4}px`;
    card.style.left = `${Math.max(0, Math.min(place.left - home.left, home.width - card.offsetWidth - 4))}px`;
  }
  const close = () => (card.hidden = true);

  function element(span, at) {
    const token = document.createElement("span");
    token.className = "cl-token";
    token.dataset.at = at;
    token.textContent = span[0];
    token.tabIndex = at === 0 ? 0 : -1;
    if (span[1] != null) {
      token.style.setProperty("--doubt", (1 - span[1]).toFixed(3));
      token.setAttribute("aria-label", describe(span)[0]);
    }
    return token;
  }

  function append(start, more) {
    if (start > spans.length) return model.send({ kind: "resync" });
    const fresh = more.slice(spans.length - start);
    text.append(...fresh.map((span, at) => element(span, spans.length + at)));
    spans = spans.concat(fresh);
    legend.hidden = !spans.some((span) => span[1] != null);
  }

  function replace(all) {
    close();
    spans = [];
    text.replaceChildren();
    append(0, all);
  }

  text.addEventListener("mouseover", (event) => event.target.classList.contains("cl-token") && open(event.target));
  text.addEventListener("mouseleave", close);
  text.addEventListener("focusin", (event) => event.target.classList.contains("cl-token") && open(event.target));
  text.addEventListener("focusout", close);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return close();
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const next = step && text.children[Number(event.target.dataset.at) + step];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    if (!next) return;
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  const receive = (message) => {
    if (message.kind === "clear") replace([]);
    else if (message.kind === "append") append(message.start, message.spans);
    else if (message.kind === "all") replace(message.spans);
  };
  const sync = () => {
    if (JSON.stringify(model.get("spans")) !== JSON.stringify(spans)) replace(model.get("spans"));
  };
  model.on("msg:custom", receive);
  model.on("change:spans", sync);
  replace(model.get("spans"));
  if (!spans.length) model.send({ kind: "resync" });
  return () => {
    model.off("msg:custom", receive);
    model.off("change:spans", sync);
  };
}

export default { render };
