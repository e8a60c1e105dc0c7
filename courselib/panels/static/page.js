// A panel and its page: keys that send, names that are offered, names of sliders, and a word when the kernel behind the
// panel is gone.

// A view is made before it is put into the page.
function whenPlaced(el, act) {
  if (el.isConnected) act();
  else requestAnimationFrame(() => whenPlaced(el, act));
}

// The handle of a slider is what has the focus, and ipywidgets (7 and 8) gives it no name.
const HANDLES = ":is(.noUi-handle, .ui-slider-handle):not([aria-label])";
function nameSliders(panel) {
  for (const handle of panel.querySelectorAll(HANDLES)) {
    const label = handle.closest(".jupyter-widgets")?.querySelector(".widget-label");
    if (label) handle.setAttribute("aria-label", label.textContent);
  }
}

function render({ model, el }) {
  let panel;
  const sliders = new MutationObserver(() => nameSliders(panel));

  // JupyterLab's own shortcuts (Shift+Enter runs the cell) look for this mark at the very element.
  const mark = (event) => {
    if (model.get("submits") && event.target.matches("textarea, input, select, [contenteditable]")) event.target.dataset.lmSuppressShortcuts = "true";
  };
  const submit = (event) => {
    if (!model.get("submits") || event.key !== "Enter" || !(event.ctrlKey || event.metaKey || event.shiftKey)) return;
    if (!event.target.matches("textarea, input")) return;
    event.preventDefault();
    event.stopPropagation();
    // What was typed last may still be on its way to the kernel: the text goes with the key.
    const prompt = event.target.closest(".cl-prompt") ? event.target.value : null;
    model.send({ kind: "submit", prompt });
  };
  // So with the button: ipywidgets holds back what is typed while the kernel is at work, and a click overtakes it.
  const press = (event) => {
    const prompt = model.get("submits") && event.target.closest(".cl-run") && panel.querySelector(".cl-prompt textarea");
    if (!prompt) return;
    event.stopPropagation();
    model.send({ kind: "submit", prompt: prompt.value });
  };
  // A box that offers names shows those that fit what it holds, which is mostly one: all are shown while it is empty.
  const offer = (event) => {
    const box = event.target;
    if (!box.matches("input[list]")) return;
    const before = box.value;
    if (![...box.list.options].some((option) => option.value === before)) return;
    box.value = "";
    box.addEventListener("blur", () => (box.value ||= before), { once: true });
    box.showPicker?.();
  };
  const lost = () => {
    if (!panel || panel.querySelector(":scope > .cl-lost")) return;
    const sentence = document.createElement("p");
    sentence.className = "cl-lost";
    sentence.setAttribute("role", "alert");
    sentence.textContent = model.get("labels").lost;
    panel.prepend(sentence);
    panel.classList.add("cl-dead");
  };

  whenPlaced(el, () => {
    panel = el.closest(".cl-panel");
    panel?.addEventListener("focusin", mark);
    if (panel?.contains(document.activeElement)) mark({ target: document.activeElement }); // it was quicker than we
    panel?.addEventListener("keydown", submit, true); // before ipywidgets, which lets no key out of a box of text
    panel?.addEventListener("click", press, true);
    panel?.addEventListener("click", offer);
    if (!panel) return;
    nameSliders(panel);
    sliders.observe(panel, { childList: true, subtree: true });
  });
  model.on("comm_live_update", lost);
  // Of a kernel's ends, ipywidgets takes notice of a restart only; JupyterLab's notebook knows of a shutdown as well.
  const session = model.widget_manager?.context?.sessionContext;
  const changed = (_session, { oldValue }) => oldValue && lost();
  session?.kernelChanged.connect(changed);
  return () => {
    sliders.disconnect();
    panel?.removeEventListener("focusin", mark);
    panel?.removeEventListener("keydown", submit, true);
    panel?.removeEventListener("click", press, true);
    panel?.removeEventListener("click", offer);
    model.off("comm_live_update", lost);
    session?.kernelChanged.disconnect(changed);
  };
}

export default { render };
