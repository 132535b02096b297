// A frame from above, on a canvas: points, labels found and missed, detections true and false.
"use strict";

const KINDS = {
  true: { colour: "#009e73", text: "detection that matches a label" },
  false: { colour: "#d55e00", text: "false detection (crossed)" },
  ignored: { colour: "#7d8794", text: "does not count: in a no-label zone, or matched with too wrong a heading" },
  missed: { colour: "#cc79a7", text: "label that was missed (dashed)" },
  found: { colour: "#4f83c4", text: "label that was found" },
};
const OUTCOMES = ["false", "true", "ignored"];

// Boxes of one arm in a scene, of the classes that are shown: [{box, kind, score, letter}], labels first.
function boxesOf(state, arm) {
  const scene = state.model.scenes[state.scene], seen = scene.arms[arm];
  const labels = scene.labels.map((box, i) => ({ box, kind: ["missed", "found", "ignored"][seen.found[i]] }));
  const detections = seen.detections.map((box) => ({ box, kind: OUTCOMES[box[9]], score: box[8] }));
  return [...labels, ...detections].filter(({ box }) => !state.hiddenClasses.has(state.model.classes[box[7]]));
}

// One of `boxesOf` as a Cloud draws it.
const styled = (state) => ({ box, kind, score }) => ({
  box, colour: KINDS[kind].colour, width: kind === "found" ? 1 : 2, dash: kind === "missed" ? [6, 4] : [], crossed: kind === "false", text: `${state.model.letters[box[7]]}${score === undefined ? "" : ` ${score.toFixed(2)}`}`,
});

function countsOf(state, arm) {
  const count = (kind) => boxesOf(state, arm).filter((one) => one.kind === kind).length;
  return `${count("found")} found, ${count("missed")} missed, ${count("false")} false`;
}

const HEIGHTS = { dark: [[78, 112, 152], [228, 242, 248]], light: [[132, 147, 163], [50, 62, 76]] };
const heightColour = (z) => blend(HEIGHTS[document.documentElement.dataset.theme], Math.max(0, Math.min(1, (z + 0.5) / 3.5)));

// Three bytes per point.
function heightColours(xyz) {
  const rgb = new Uint8Array(xyz.length);
  for (let i = 0; i < xyz.length; i += 3) rgb.set(heightColour(xyz[i + 2]), i);
  return rgb;
}

// Half the side of the square around the vehicle that holds all points and boxes.
function extent(scene) {
  let most = 1;
  for (let i = 0; i < scene.xyz.length; i += 3) most = Math.max(most, Math.abs(scene.xyz[i]), Math.abs(scene.xyz[i + 1]));
  for (const [x, y] of [scene.labels, ...Object.values(scene.arms).map((arm) => arm.detections)].flat()) most = Math.max(most, Math.abs(x) + 2, Math.abs(y) + 2);
  return most;
}

function drawBev(canvas, state, arm) {
  const scene = state.model.scenes[state.scene];
  const size = (canvas.width = canvas.height = 560);
  const context = canvas.getContext("2d");
  const scale = size / (2 * scene.extent);
  const at = (x, y) => [size / 2 - y * scale, size / 2 - x * scale]; // x forward is up, y left is left
  context.fillStyle = css(GROUNDS[document.documentElement.dataset.theme]);
  context.fillRect(0, 0, size, size);
  for (let i = 0; i < scene.xyz.length; i += 3) {
    const [u, v] = at(scene.xyz[i], scene.xyz[i + 1]);
    context.fillStyle = css(heightColour(scene.xyz[i + 2]));
    context.fillRect(u, v, 1.4, 1.4);
  }
  context.font = "18px system-ui, sans-serif";
  for (const { box, kind } of boxesOf(state, arm)) {
    const outline = corners(box).map(([x, y]) => at(x, y));
    drawOutline(context, outline, kind);
    context.fillStyle = KINDS[kind].colour;
    context.fillText(state.model.letters[box[7]], Math.max(...outline.map(([u]) => u)) + 3, Math.min(...outline.map(([, v]) => v)) + 6);
  }
}

function drawOutline(context, points, kind) {
  context.strokeStyle = KINDS[kind].colour;
  context.lineWidth = kind === "found" ? 1 : 2;
  context.setLineDash(kind === "missed" ? [5, 3] : []);
  context.beginPath();
  points.forEach(([u, v], i) => (i ? context.lineTo(u, v) : context.moveTo(u, v)));
  context.closePath();
  if (kind === "false") {
    context.moveTo(...points[0]); context.lineTo(...points[2]);
    context.moveTo(...points[1]); context.lineTo(...points[3]);
  }
  context.stroke();
}

function pictures(state) {
  const scene = state.model.scenes[state.scene];
  return Object.keys(scene.arms).map((arm) => {
    const canvas = el("canvas", { title: "show in 3D", role: "img", "aria-label": `${arm} from above: ${countsOf(state, arm)}`, onclick: () => { pick(state, arm); document.getElementById("view").scrollIntoView(); } });
    drawBev(canvas, state, arm);
    const row = el("a", { href: "#differences", onclick: () => pick(state, arm) }, arm);
    return el("figure", { id: `card-${arm}`, "data-arm": arm },
      el("figcaption", {}, swatch(state.looks[arm]), row, el("span", {}, ` seed ${scene.arms[arm].seed}: ${countsOf(state, arm)}`)), canvas);
  });
}

const colourKey = () => el("div", { class: "key" }, Object.entries(KINDS).map(([kind, { colour, text }]) => el("span", {}, el("i", { class: kind, style: `border-color:${colour}` }), text)));
