// Small helpers: drawings, numbers.
"use strict";

const svg = (tag, attributes, ...children) => node("http://www.w3.org/2000/svg", tag, attributes, children);

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
function spread(values) {
  if (values.length < 2) return null;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - middle) ** 2, 0) / (values.length - 1));
}
const fixed = (value, digits) => (value === null || value === undefined ? "" : value.toFixed(digits));
const signed = (value, digits = 2) => (value === null || value === undefined ? "" : (value > 0 ? "+" : value < 0 ? "\u2212" : "") + Math.abs(value).toFixed(digits));
const interval = ([low, high], digits = 2) => (low === null ? "" : `[${signed(low, digits)}, ${signed(high, digits)}]`);
const lower = (name) => (name === "MEAN" ? "mean over classes" : name.toLowerCase());
const key = (name, part, level, metric) => [name, part, level, metric].join("|");
