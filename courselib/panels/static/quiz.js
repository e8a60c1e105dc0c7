// Questions with their options as buttons. Arrow keys move among a question's options and choose nothing; Enter, Space or a
// click chooses, and the option's reason appears below it.

// The options chosen, with one more; an option that was chosen before keeps its place.
const withChoice = (chosen, question, option) =>
  chosen.map((each, at) => (at === question && !each.includes(option) ? [...each, option] : each));

// Whatever the mark looks like, the verdict is in words as well.
const markOf = (isChosen, isRight) => (isChosen ? (isRight ? "✓" : "✕") : "○");

function render({ model, el }) {
  const labels = model.get("labels");
  // A screen reader speaks what changes within an element that stays.
  const spoken = make("p", "cl-spoken");
  spoken.setAttribute("role", "status");

  // The build has made this HTML from the lesson's text.
  const rich = (tag, className, html) => {
    const node = make(tag, className);
    node.innerHTML = html;
    return node;
  };

  function option(one, question, at) {
    const mark = make("span", "cl-option-mark");
    mark.setAttribute("aria-hidden", "true");
    const button = make("button", "cl-option", mark, rich("span", "", one.text));
    button.type = "button";
    button.tabIndex = at ? -1 : 0;
    // JupyterLab's shortcuts look for this mark at the very element.
    button.dataset.lmSuppressShortcuts = "true";
    const why = rich("span", "", one.why);
    const reason = make("div", "cl-why", make("strong", "", one.is_right ? labels.right : labels.wrong), " ", why);
    reason.id = `cl-why-${nextNumber()}`;
    button.onclick = () => {
      model.set("chosen", withChoice(model.get("chosen"), question, at));
      model.save_changes();
      spoken.textContent = reason.textContent;
    };
    const show = (chosen) => {
      const isChosen = chosen[question].includes(at);
      mark.textContent = markOf(isChosen, one.is_right);
      button.classList.toggle("cl-right", isChosen && one.is_right);
      button.classList.toggle("cl-wrong", isChosen && !one.is_right);
      button.setAttribute("aria-pressed", String(isChosen));
      if (isChosen) button.setAttribute("aria-describedby", reason.id);
      else button.removeAttribute("aria-describedby");
      reason.hidden = !isChosen;
    };
    return { nodes: [button, reason], show };
  }

  const shows = [];
  model.get("questions").forEach((one, question) => {
    const head = rich("p", "cl-question-text", `${question + 1}. ${one.text}`);
    head.id = `cl-question-${nextNumber()}`;
    const options = one.options.map((each, at) => option(each, question, at));
    const box = make("div", "cl-question", head, ...options.flatMap((each) => each.nodes));
    box.setAttribute("role", "group");
    box.setAttribute("aria-labelledby", head.id);
    roving(box, () => [...box.querySelectorAll("button")]);
    shows.push(...options.map((each) => each.show));
    el.append(box);
  });
  el.append(spoken);

  function draw() {
    const chosen = model.get("chosen");
    for (const show of shows) show(chosen);
    if (chosen.every((each) => !each.length)) spoken.textContent = "";
  }
  model.on("change:chosen", draw);
  draw();
  return () => model.off("change:chosen", draw);
}

export default { render };
