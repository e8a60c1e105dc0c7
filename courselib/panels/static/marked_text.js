// A text of tokens, each of which can be chosen. What was said before has a number that leads to its first place.

const LASTS_MS = 1500;

function render({ model, el }) {
  const labels = model.get("labels");
  const box = make("div", "cl-said");
  box.dataset.empty = labels.empty;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", labels.name);
  el.append(box);

  const words = () => [...box.querySelectorAll(".cl-word")];
  // The part that holds a token.
  const holding = (place) => [...box.children].findLast((part) => Number(part.dataset.at) <= place);

  function word([text, at], first) {
    const node = make("span", "cl-word", text);
    // What cannot be seen must be there to be pointed at.
    if (text.trim() === "") node.prepend(make("span", "cl-word-mark", text === "" ? "∅" : visible(text)));
    node.dataset.at = at;
    node.tabIndex = first ? 0 : -1;
    // Enter is ours here, not JupyterLab's: its shortcuts look for this mark at the very element.
    node.dataset.lmSuppressShortcuts = "true";
    node.title = labels.pick;
    node.setAttribute("role", "button");
    node.setAttribute("aria-label", text === "" ? labels.nothing : visible(text));
    return node;
  }

  function element({ words, kind, number, first }, place) {
    const part = make("span", kind && `cl-${kind}`, ...words.map((each, at) => word(each, place === 0 && at === 0)));
    part.dataset.at = words[0][1];
    if (kind) part.append(numbered(labels[kind].replace("{n}", number), number, kind === "again" ? first : null));
    return part;
  }

  function numbered(title, number, first) {
    const mark = make("sub", "", String(number));
    mark.title = title;
    if (first == null) return mark;
    mark.dataset.first = first;
    mark.dataset.lmSuppressShortcuts = "true";
    mark.tabIndex = 0;
    mark.setAttribute("role", "link");
    mark.setAttribute("aria-label", title);
    return mark;
  }

  function lead(mark) {
    const to = holding(Number(mark.dataset.first));
    to.scrollIntoView({ block: "nearest" });
    to.classList.add("cl-found");
    setTimeout(() => to.classList.remove("cl-found"), LASTS_MS);
  }

  function choose(event) {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    const node = event.target.closest(".cl-word, sub[data-first]");
    if (!node) return;
    if (node.matches("sub")) lead(node);
    else model.send({ kind: "pick", at: Number(node.dataset.at) });
    event.preventDefault();
    event.stopPropagation();
  }
  box.addEventListener("click", choose);
  box.addEventListener("keydown", choose);
  roving(box, words);

  function show() {
    const picked = model.get("picked");
    const node = picked < 0 ? null : words().findLast((each) => Number(each.dataset.at) <= picked);
    for (const each of words()) each.classList.toggle("cl-picked", each === node);
    for (const each of words()) each.setAttribute("aria-pressed", String(each === node));
    box.classList.toggle("cl-said-busy", model.get("busy"));
  }

  function draw() {
    const top = box.scrollTop;
    following(box, () => {
      box.replaceChildren(...model.get("parts").map(element));
      box.scrollTop = top;
    });
    show();
  }
  const events = { "change:parts": draw, "change:picked": show, "change:busy": show };
  for (const [name, act] of Object.entries(events)) model.on(name, act);
  draw();
  box.scrollTop = 0;
  return () => {
    for (const [name, act] of Object.entries(events)) model.off(name, act);
  };
}

export default { render };
