// Elements, and errors noted where a test sees them.
"use strict";

const errors = [];
window.addEventListener("error", (event) => { errors.push(event.message); note(); });

function note() { document.documentElement.dataset.errors = errors.join("; "); }

function node(space, tag, attributes, children) {
  const made = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) made.append(child);
  return made;
}
const el = (tag, attributes, ...children) => node(null, tag, attributes, children);
