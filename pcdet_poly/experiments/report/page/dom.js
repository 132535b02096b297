// Small helpers: drawings, numbers, colours of arms.
"use strict";

const svg = (tag, attributes, ...children) => node("http://www.w3.org/2000/svg", tag, attributes, children);

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
function spread(values) {
  if (values.length < 2) return null;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - middle) ** 2, 0) / (values.length - 1));
}
const fixed = (value, digits) => (value === null || value === undefined ? "" : value.toFixed(digits));
const signed = (value, digits = 2) => (value === null ? "" : (value > 0 ? "+" : value < 0 ? "\u2212" : "") + Math.abs(value).toFixed(digits));
const interval = (e, digits = 2) => (e.low === null ? "" : `[${signed(e.low, digits)}, ${signed(e.high, digits)}]`);
const lower = (name) => (name === "MEAN" ? "mean over classes" : name.toLowerCase());
const key = (name, part, level, metric) => [name, part, level, metric].join("|");

// Okabe and Ito's colours, told apart by colour-blind eyes, for arms that are no point of the epsilon curve.
const CONTROL_COLOURS = ["#009e73", "#cc79a7", "#e69f00", "#7a5195", "#8c6d31", "#00a6a6", "#6b7280", "#b5651d"];
const BELOW = [[33, 82, 175], [120, 170, 225]];
const ABOVE = [[240, 140, 110], [178, 24, 43]];

// Baseline black; epsilon below it blue, above it red, stronger the farther away; controls by number.
function colours(model) {
  const base = model.arms.find((arm) => arm.name === model.baseline);
  const epsilons = model.arms.map((arm) => arm.epsilon).filter((e) => e !== null);
  const zero = base && base.epsilon !== null ? base.epsilon : 0;
  const [least, most] = [Math.min(...epsilons, zero), Math.max(...epsilons, zero)];
  const blend = ([a, b], t) => `rgb(${a.map((v, i) => Math.round(v + t * (b[i] - v))).join(",")})`;
  let control = 0;
  return Object.fromEntries(model.arms.map((arm) => {
    if (arm.name === model.baseline) return [arm.name, "#202020"];
    if (arm.epsilon === null) return [arm.name, CONTROL_COLOURS[control++ % CONTROL_COLOURS.length]];
    if (arm.epsilon < zero) return [arm.name, blend(BELOW, (arm.epsilon - least) / (zero - least))];
    return [arm.name, blend(ABOVE, (arm.epsilon - zero) / (most - zero))];
  }));
}
