// What every picture of tokens begins with: elements, signs that cannot be seen, and arrow keys. Put before its own script.

// Signs that draw nothing, or would reorder the text around them, and the marks that stand for them.
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const mark = (sign) => {
  const code = sign.codePointAt(0);
  if (sign === "\n") return "⏎";
  if (sign === "\t") return "⇥";
  if (code < 32) return String.fromCharCode(0x2400 + code);
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
};
const visible = (text) => text.replace(INVISIBLE, mark).replace(/^ +| +$/g, (blanks) => "␣".repeat(blanks.length));

function make(tag, className = "", ...children) {
  const node = document.createElement(tag);
  node.className = className;
  node.append(...children);
  return node;
}

// How far an arrow key goes among things in a row.
const STRIDE = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };

// Arrow keys move the focus among the nodes of a box that is one stop of the Tab key.
function roving(box, nodes) {
  box.addEventListener("keydown", (event) => {
    const stride = STRIDE[event.key];
    if (!stride) return;
    const all = nodes();
    all[Math.max(0, Math.min(all.indexOf(event.target) + stride, all.length - 1))].focus();
    event.preventDefault();
    event.stopPropagation();
  });
  box.addEventListener("focusin", (event) => {
    for (const node of nodes()) node.tabIndex = node === event.target ? 0 : -1;
  });
}
