// What every picture of tokens begins with: signs that cannot be seen, shares, elements, and arrow keys. Put before its
// own script.

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

// A share for people: two digits, three from 10 % on; what is neither 0 nor 1 is never said to be.
function percent(share) {
  if (share === 0 || share === 1) return `${100 * share} %`;
  if (share < 0.0001) return "< 0.01 %";
  if (share >= 0.9995) return "> 99.9 %";
  return `${share >= 0.0995 ? (100 * share).toFixed(1) : (100 * share).toPrecision(2)} %`;
}

function make(tag, className = "", ...children) {
  const node = document.createElement(tag);
  node.className = className;
  node.append(...children);
  return node;
}

// A text that grows: its end stays in view if it was in view; a reader who has scrolled up, or who is at a token, is
// left there.
function following(box, grow) {
  const follows = box.scrollHeight - box.scrollTop - box.clientHeight < 8 && !box.contains(document.activeElement);
  grow();
  if (follows) box.scrollTop = box.scrollHeight;
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
