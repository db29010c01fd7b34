// The small pieces that every page element draws with: dashboard/page_element.py puts them before its own script.

const SVG = "http://www.w3.org/2000/svg";
// One shape a label beside its colour: circle, square, diamond, triangle, then again.
const MARKS = [
  "M5 0A5 5 0 1 0 5 10A5 5 0 1 0 5 0Z",
  "M.6.6H9.4V9.4H.6Z",
  "M5-.6L10.6 5L5 10.6L-.6 5Z",
  "M5 .2L10 9.4H0Z",
];

// A name for something that a person did, so that it is neither lost nor done twice.
function newId() {
  return crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint8Array(16)),
    (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function make(tag, className = "", text = null) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== null) node.textContent = text;
  return node;
}

function drawn(tag, attributes = {}) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function mark(number, color) {
  const svg = drawn("svg", { class: "mark", viewBox: "-1 -1 12 12", "aria-hidden": "true" });
  svg.append(drawn("path", { d: MARKS[number % MARKS.length] }));
  if (color) svg.style.color = color;
  return svg;
}

// Rebuild the children of a node only when what they stand for has changed.
function refill(node, key, build) {
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  node.replaceChildren(...build());
}
