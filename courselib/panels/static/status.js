// How a panel stands: what is seen, and what is spoken. The latter is an element that stays, since a screen reader speaks
// what changes within such a one, and mostly not what is put in its place.

// Seconds that count up are seen; were they spoken, nothing else would be.
const words = (text) => text.replace(/\d+([.,]\d+)?/g, "");
const isNews = (before, text) => words(before) !== words(text);

function render({ model, el }) {
  const seen = document.createElement("span");
  seen.className = "cl-state";
  seen.setAttribute("aria-hidden", "true");
  const spoken = document.createElement("span");
  spoken.className = "cl-spoken";
  spoken.setAttribute("role", "status");
  el.append(seen, spoken);
  const draw = () => {
    const text = model.get("text");
    seen.textContent = text;
    if (isNews(spoken.textContent, text)) spoken.textContent = text;
  };
  model.on("change:text", draw);
  draw();
  return () => model.off("change:text", draw);
}

export default { render };
