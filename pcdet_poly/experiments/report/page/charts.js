// SVG charts: axes, lines, points with intervals, bars.
"use strict";

function ticks(low, high, count = 5) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw) || raw;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}
const tickText = (v) => (v && Math.abs(v) < 1e-3 ? v.toExponential(0) : String(+v.toPrecision(6))).replace("-", "\u2212");

// A chart with x and y limits; `xTicks` may be [[position, text], ...]; log: y is drawn by its logarithm.
class Chart {
  constructor({ x, y, width = 420, height = 260, xLabel = "", yLabel = "", xTicks = null, log = false, slant = false }) {
    Object.assign(this, { x, y, width, height, log });
    const longest = slant ? Math.max(...xTicks.map(([, text]) => text.length)) : 0;
    this.box = { left: 64, right: 12, top: 10, bottom: slant ? 28 + 4.6 * longest : 40 };
    this.root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    this.axes(xLabel, yLabel, xTicks, slant);
  }
  px(value) {
    const { left, right } = this.box;
    return left + ((value - this.x[0]) / (this.x[1] - this.x[0])) * (this.width - left - right);
  }
  py(value) {
    const { top, bottom } = this.box;
    const f = this.log ? (v) => Math.log10(Math.max(v, this.y[0])) : (v) => v;
    const share = (f(value) - f(this.y[0])) / (f(this.y[1]) - f(this.y[0]));
    return this.height - bottom - share * (this.height - top - bottom);
  }
  axes(xLabel, yLabel, xTicks, slant) {
    const { left, right, top, bottom } = this.box;
    const [x0, x1, y0, y1] = [left, this.width - right, this.height - bottom, top];
    const yTicks = this.log ? this.decades() : ticks(...this.y);
    for (const value of yTicks) {
      this.add("line", { x1: x0, x2: x1, y1: this.py(value), y2: this.py(value), stroke: value === 0 ? "var(--axis)" : "var(--grid)" });
      this.text(x0 - 6, this.py(value) + 4, tickText(value), "end");
    }
    for (const [value, text] of xTicks || ticks(...this.x).map((v) => [v, tickText(v)])) {
      const at = this.px(value);
      this.add("line", { x1: at, x2: at, y1: y0, y2: y0 + 4, stroke: "var(--axis)" });
      if (slant) this.add("text", { transform: `translate(${at + 3},${y0 + 14}) rotate(-40)`, "text-anchor": "end" }, text);
      else this.text(at, y0 + 17, text, "middle");
    }
    this.add("line", { x1: x0, x2: x1, y1: y0, y2: y0, stroke: "var(--axis)" });
    this.text((x0 + x1) / 2, this.height - 4, xLabel, "middle");
    if (yLabel) this.add("text", { transform: `translate(13,${(y0 + y1) / 2}) rotate(-90)`, "text-anchor": "middle" }, yLabel);
  }
  decades() {
    const found = [];
    for (let p = Math.ceil(Math.log10(this.y[0])); p <= Math.log10(this.y[1]); p++) found.push(10 ** p);
    return found;
  }
  add(tag, attributes, ...children) {
    const made = svg(tag, attributes, ...children);
    this.root.append(made);
    return made;
  }
  text(x, y, text, anchor) { this.add("text", { x, y, "text-anchor": anchor }, text); }
  // An arm's curve, with some markers along it; `number` shifts them, so that those of several arms lie apart.
  curve(points, look, { title = "", number = 0, markers = true } = {}) {
    this.path(points, look.colour, { dash: look.dash, title });
    if (!markers || !points.length) return;
    const step = Math.max(1, Math.ceil(points.length / 6));
    for (let i = Math.min(points.length - 1, number % step); i < points.length; i += step) if (points[i][1] > this.y[0]) this.dot(...points[i], look, { radius: 3, title });
  }
  path(points, colour, { dash = null, width = 1.6, title = "" } = {}) {
    const d = points.map(([x, y], i) => `${i ? "L" : "M"}${this.px(x).toFixed(1)},${this.py(y).toFixed(1)}`).join("");
    this.add("path", { d, fill: "none", stroke: colour, "stroke-width": width, "stroke-dasharray": dash, "stroke-linejoin": "round" }, svg("title", {}, title));
  }
  dot(x, y, look, { radius = 4, opacity = null, title = "" } = {}) {
    this.root.append(mark(look, this.px(x), this.py(y), radius, { opacity }, svg("title", {}, title)));
  }
  bar(x, low, high, colour, { width = 2, title = "" } = {}) {
    this.add("line", { x1: this.px(x), x2: this.px(x), y1: this.py(low), y2: this.py(high), stroke: colour, "stroke-width": width, "stroke-linecap": "round" }, svg("title", {}, title));
  }
  column(x, width, value, look, title) {
    const [left, right, y] = [this.px(x), this.px(x + width), this.py(value)];
    this.add("rect", { x: left, y, width: Math.max(right - left - 1, 1), height: Math.max(this.py(this.y[0]) - y, 0), fill: look.colour }, svg("title", {}, title));
    this.root.append(mark(look, (left + right) / 2, y - 6, Math.min(3.2, Math.max(1.5, (right - left) / 3))));
  }
}

// Limits around the values, 0 included, with some air.
function limits(values) {
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const air = 0.06 * (high - low || 1);
  return [low < 0 ? low - air : low, high + air];
}
function figure(title, chart) {
  chart.root.setAttribute("aria-label", title);
  return el("figure", {}, el("figcaption", {}, title), chart.root);
}
