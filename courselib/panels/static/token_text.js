// Tokens as text. Each is a focusable element; one card tells the probability and the alternatives of the one in hand.

// From here up a token counts as likely as its shade says; the legend shows the same steps.
const STEPS = [0.9, 0.5, 0.2, 0.05];
const STEP_NAMES = ["≥ 90 %", "50 – 90 %", "20 – 50 %", "5 – 20 %", "< 5 %"];
const level = (p) => STEPS.findIndex((step) => p >= step) + 1 || STEPS.length + 1;

const SPECIAL = /^<\|[^|]*\|>$|^<\/?s>$|^<(pad|unk|bos|eos)>$/;

const name = ([shown, probability], labels) => {
  const what = shown === "" ? labels.nothing : visible(shown);
  return probability == null ? what : `${what}  ${percent(probability)}`;
};

// What the card draws, for those who do not see it.
function spoken(span, labels) {
  const others = span[2].map(([other, p]) => `${visible(other)} ${percent(p)}`);
  return [name(span, labels), ...(others.length ? [`${labels.instead} ${others.join(", ")}`] : [])].join(". ");
}

// A mark that is drawn and is no part of the text: neither copied nor read out with it.
function quiet(sign) {
  const node = make("span", "cl-quiet-mark");
  node.dataset.mark = sign;
  return node;
}

// The text as it reads, with quiet marks before what cannot be seen.
function fill(node, text) {
  let from = 0;
  for (const found of text.matchAll(INVISIBLE)) {
    node.append(text.slice(from, found.index), quiet(mark(found[0])));
    if (found[0] === "\n" || found[0] === "\t") node.append(found[0]);
    from = found.index + found[0].length;
  }
  node.append(text.slice(from));
}

function render({ model, el }) {
  const labels = model.get("labels");
  const box = make("div", "cl-tokens");
  const text = make("div", "cl-tokens-text");
  text.dataset.empty = labels.empty;
  text.dataset.lmSuppressShortcuts = "true"; // arrow keys are ours here, not JupyterLab's
  text.setAttribute("role", "listbox");
  text.setAttribute("aria-label", labels.name);
  const card = make("div", "cl-tokens-card");
  card.setAttribute("role", "tooltip");
  // Above everything and clipped by nothing, where the browser can.
  const floating = typeof card.showPopover === "function";
  if (floating) card.popover = "manual";
  else card.hidden = true;
  const legend = make("div", "cl-tokens-legend", labels.legend);
  legend.append(...STEP_NAMES.map((name, at) => make("span", `cl-swatch cl-level-${at + 1}`, name)));
  legend.append(make("div", "", labels.help));
  box.append(text, card, legend);
  el.append(box);
  let spans = [];

  function row([other, p], chosen) {
    const node = make("div", chosen ? "cl-tokens-row cl-chosen" : "cl-tokens-row");
    const bar = make("span", "cl-tokens-bar");
    bar.style.setProperty("--p", p);
    node.append(make("span", "", visible(other)), bar, make("span", "", percent(p)));
    return node;
  }

  let current;

  function open(token) {
    current = token;
    const span = spans[Number(token.dataset.at)];
    const known = spans.some(([, probability]) => probability != null);
    if (!span || !known) return close();
    const parts = [make("div", "cl-tokens-own", name(span, labels))];
    if (span[1] == null) parts.push(make("div", "cl-tokens-title", labels.unknown));
    if (span[3] > 1) parts.push(make("div", "cl-tokens-title", labels.together.replace("{n}", span[3])));
    if (span[2].length) parts.push(make("div", "cl-tokens-title", labels.instead));
    card.replaceChildren(...parts, ...span[2].map((other) => row(other, other[0] === span[0])));
    if (!floating) card.hidden = false;
    else if (!card.matches(":popover-open")) card.showPopover();
    place();
  }

  // Below the token, or above it where there is no room below.
  function place() {
    const at = current.getClientRects()[0];
    const home = floating ? new DOMRect() : box.getBoundingClientRect();
    const below = at.bottom + 4;
    const fits = below + card.offsetHeight <= window.innerHeight || at.top < card.offsetHeight + 4;
    const left = Math.max(4, Math.min(at.left, document.documentElement.clientWidth - card.offsetWidth - 4));
    card.style.top = `${(fits ? below : at.top - card.offsetHeight - 4) - home.top}px`;
    card.style.left = `${left - home.left}px`;
  }

  const isOpen = () => (floating ? card.matches(":popover-open") : !card.hidden);
  const close = () => {
    if (!floating) card.hidden = true;
    else if (isOpen()) card.hidePopover();
  };

  function element(span, at) {
    const [shown, probability] = span;
    const token = make("span", "cl-token");
    token.dataset.at = at;
    token.tabIndex = at === 0 ? 0 : -1;
    token.setAttribute("role", "option");
    token.setAttribute("aria-label", spoken(span, labels));
    if (probability != null) token.classList.add(`cl-level-${level(probability)}`);
    if (shown === "") token.append(quiet("∅"));
    else if (SPECIAL.test(shown)) token.append(make("span", "cl-special", shown));
    else fill(token, shown);
    return token;
  }

  function append(start, more) {
    if (start > spans.length) return model.send({ kind: "resync" });
    const fresh = more.slice(spans.length - start);
    text.append(...fresh.map((span, at) => element(span, spans.length + at)));
    spans = spans.concat(fresh);
    // An empty text keeps the legend's place, so that nothing below moves when the first token comes.
    legend.hidden = spans.length > 0 && !spans.some((span) => span[1] != null);
    legend.classList.toggle("cl-unseen", spans.length === 0);
  }

  function replace(all) {
    close();
    spans = [];
    text.replaceChildren();
    append(0, all);
  }

  function move(event) {
    const stride = STRIDE[event.key];
    if (event.key === "Escape" && isOpen()) close();
    else if (stride) {
      const at = Number(event.target.dataset.at) + stride;
      const next = text.children[Math.max(0, Math.min(at, spans.length - 1))];
      text.querySelector("[tabindex='0']").tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
      open(next);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  const over = (act) => (event) => {
    const token = event.target.closest(".cl-token");
    if (token) act(token);
  };
  const leave = () => {
    const focused = text.querySelector(".cl-token:focus");
    if (focused) open(focused);
    else close();
  };
  text.addEventListener("mouseover", over(open));
  text.addEventListener("mouseleave", leave);
  text.addEventListener("focusin", over(open));
  text.addEventListener("focusout", close);
  text.addEventListener("keydown", move);
  // A card that floats must follow its token, not least when the keyboard has moved it into view.
  const follow = () => isOpen() && place();
  window.addEventListener("scroll", follow, true);

  const receive = (message) => {
    if (message.kind === "clear") replace([]);
    else if (message.kind === "append") following(text, () => append(message.start, message.spans));
  };
  const sync = () => {
    const all = model.get("spans");
    if (JSON.stringify(all) !== JSON.stringify(spans)) replace(all);
  };
  model.on("msg:custom", receive);
  model.on("change:spans", sync);
  replace(model.get("spans"));
  if (!spans.length) model.send({ kind: "resync" });
  return () => {
    close();
    window.removeEventListener("scroll", follow, true);
    model.off("msg:custom", receive);
    model.off("change:spans", sync);
  };
}

export default { render };
