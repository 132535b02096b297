// How arms look: a colour, a marker and a line style each, so that nothing depends on colour alone; two themes.
"use strict";

// Okabe and Ito's colours, told apart by colour-blind eyes, for arms that are no point of the epsilon curve.
const CONTROL_COLOURS = [[0, 158, 115], [204, 121, 167], [230, 159, 0], [122, 81, 149], [140, 109, 49], [0, 166, 166], [107, 114, 128], [181, 101, 29]];
const BELOW = [[120, 170, 225], [33, 82, 175]]; // from near the baseline to far from it
const ABOVE = [[240, 140, 110], [178, 24, 43]];
const INK = { light: [32, 32, 32], dark: [235, 239, 244] }; // of the baseline

const MARKERS = { // on a square from -1 to 1
  circle: "M1,0A1,1 0 1 1 -1,0A1,1 0 1 1 1,0Z", square: "M-.9,-.9H.9V.9H-.9Z", triangle: "M0,-1.1L1.05,.8H-1.05Z", diamond: "M0,-1.25L1.1,0L0,1.25L-1.1,0Z",
  down: "M0,1.1L1.05,-.8H-1.05Z", plus: "M-.35,-1.1H.35V-.35H1.1V.35H.35V1.1H-.35V.35H-1.1V-.35H-.35Z", hourglass: "M-1,-1H1L-1,1H1Z",
};
const DASHES = [null, "7 3", "2 2.5", "9 3 2 3", "12 4", "5 2 1.5 2 1.5 2"];

const blend = ([a, b], t) => a.map((v, i) => Math.round(v + t * (b[i] - v)));
const css = (rgb) => `rgb(${rgb.join(",")})`;

// Arm -> { colour, marker, dash }. The colour is a variable of the page, which `setTheme` fills.
function looks(model) {
  const names = Object.keys(MARKERS);
  return Object.fromEntries(model.arms.map((arm, i) => [arm.name, { colour: `var(--arm-${i})`, marker: MARKERS[names[i % names.length]], dash: DASHES[i % DASHES.length] }]));
}

// Baseline in ink; epsilon below it blue, above it red, stronger the farther away; controls by number.
function armColours(model) {
  const base = model.arms.find((arm) => arm.name === model.baseline);
  const epsilons = model.arms.map((arm) => arm.epsilon).filter((e) => e !== null);
  const zero = base && base.epsilon !== null ? base.epsilon : 0;
  const [least, most] = [Math.min(...epsilons, zero), Math.max(...epsilons, zero)];
  let control = 0;
  return model.arms.map((arm) => {
    if (arm.name === model.baseline) return null;
    if (arm.epsilon === null) return CONTROL_COLOURS[control++ % CONTROL_COLOURS.length];
    return arm.epsilon < zero ? blend(BELOW, (zero - arm.epsilon) / (zero - least)) : blend(ABOVE, (arm.epsilon - zero) / (most - zero || 1));
  });
}

// Light or dark: the page's own colours follow data-theme in page.css; those of arms are lightened or darkened here.
function setTheme(theme, model) {
  document.documentElement.dataset.theme = theme;
  const ground = theme === "dark" ? [255, 255, 255] : [0, 0, 0];
  armColours(model).forEach((rgb, i) => document.documentElement.style.setProperty(`--arm-${i}`, css(rgb ? blend([rgb, ground], theme === "dark" ? 0.35 : 0.15) : INK[theme])));
}

// A marker at a place of a drawing.
const mark = (look, x, y, radius, attributes = {}, ...children) => svg("path", { d: look.marker, transform: `translate(${x.toFixed(1)},${y.toFixed(1)}) scale(${radius})`, fill: look.colour, ...attributes }, ...children);

// An arm's line and marker, beside its name.
const swatch = (look) => svg("svg", { class: "swatch", viewBox: "0 0 28 12", "aria-hidden": "true" },
  svg("line", { x1: 0, x2: 28, y1: 6, y2: 6, stroke: look.colour, "stroke-width": 2, "stroke-dasharray": look.dash }), mark(look, 14, 6, 4));
