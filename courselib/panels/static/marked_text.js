// A text in parts; from one that was said before, a click or Enter leads to where it was said first.

const LASTS_MS = 1500;

function render({ model, el }) {
  const labels = model.get("labels");
  const box = make("div", "cl-said");
  box.tabIndex = 0;
  box.dataset.lmSuppressShortcuts = "true"; // Enter is ours here, not JupyterLab's
  el.append(box);

  // The part that holds a token.
  const holding = (place) => [...box.children].findLast((part) => Number(part.dataset.at) <= place);

  function element({ text, kind, number, at, first }) {
    const part = make("span", kind && `cl-${kind}`, text);
    part.dataset.at = at;
    if (!kind) return part;
    part.title = labels[kind].replace("{n}", number);
    part.append(make("sub", "", String(number)));
    if (kind === "again") {
      part.dataset.first = first;
      part.tabIndex = 0;
      part.dataset.lmSuppressShortcuts = "true";
      part.setAttribute("role", "link");
    }
    return part;
  }

  function lead(event) {
    const from = event.target.closest(".cl-again");
    if (!from || (event.type === "keydown" && event.key !== "Enter")) return;
    const to = holding(Number(from.dataset.first));
    to.scrollIntoView({ block: "nearest" });
    to.classList.add("cl-found");
    setTimeout(() => to.classList.remove("cl-found"), LASTS_MS);
    event.preventDefault();
    event.stopPropagation();
  }
  box.addEventListener("click", lead);
  box.addEventListener("keydown", lead);

  const draw = () => box.replaceChildren(...model.get("parts").map(element));
  model.on("change:parts", draw);
  draw();
  return () => model.off("change:parts", draw);
}

export default { render };
