// A line that opens and closes what stands below it; fold.css does the hiding.

function render({ model, el }) {
  const head = document.createElement("button");
  head.type = "button";
  head.className = "cl-fold-head";
  el.append(head);
  const draw = () => {
    head.textContent = model.get("title");
    head.setAttribute("aria-expanded", String(model.get("opened")));
  };
  head.addEventListener("click", () => {
    model.set("opened", !model.get("opened"));
    model.save_changes();
  });
  model.on("change", draw);
  draw();
  return () => model.off("change", draw);
}

export default { render };
