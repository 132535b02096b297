// A frame from above, on a canvas: points, labels found and missed, detections true and false.
"use strict";

const KINDS = {
  true: { colour: "#009e73", text: "detection that matches a label" },
  false: { colour: "#d55e00", text: "false detection (crossed)" },
  ignored: { colour: "#7d8794", text: "detection in a no-label zone" },
  missed: { colour: "#cc79a7", text: "label that was missed (dashed)" },
  found: { colour: "#4f83c4", text: "label that was found" },
};
const OUTCOMES = ["false", "true", "ignored"];

// Boxes of one arm in a scene: [{box, kind, score}], labels first.
function boxesOf(scene, arm) {
  const seen = scene.arms[arm];
  const labels = scene.labels.map((box, i) => ({ box, kind: seen.found[i] ? "found" : "missed" }));
  const detections = seen.detections.map((box) => ({ box, kind: OUTCOMES[box[9]], score: box[8] }));
  return [...labels, ...detections];
}

// One of `boxesOf` as a Cloud draws it.
const styled = ({ box, kind, score }) => ({
  box, colour: KINDS[kind].colour, width: kind === "found" ? 1 : 2, dash: kind === "missed" ? [6, 4] : [], crossed: kind === "false", text: score === undefined ? "" : score.toFixed(2),
});

function countsOf(scene, arm) {
  const count = (kind) => boxesOf(scene, arm).filter((one) => one.kind === kind).length;
  return `${count("found")} found, ${count("missed")} missed, ${count("false")} false`;
}

function heightColour(z) {
  const t = Math.max(0, Math.min(1, (z + 0.5) / 3.5));
  return [78 + 150 * t, 112 + 130 * t, 152 + 96 * t];
}

// Three bytes per point.
function heightColours(xyz) {
  const rgb = new Uint8Array(xyz.length);
  for (let i = 0; i < xyz.length; i += 3) rgb.set(heightColour(xyz[i + 2]), i);
  return rgb;
}

function extent(scene) {
  let most = 1;
  for (let i = 0; i < scene.xyz.length; i += 3) most = Math.max(most, Math.abs(scene.xyz[i]), Math.abs(scene.xyz[i + 1]));
  return most;
}

function drawBev(canvas, scene, arm) {
  const size = (canvas.width = canvas.height = 560);
  const context = canvas.getContext("2d");
  const scale = size / (2 * scene.extent);
  const at = (x, y) => [size / 2 - y * scale, size / 2 - x * scale]; // x forward is up, y left is left
  context.fillStyle = GROUND;
  context.fillRect(0, 0, size, size);
  for (let i = 0; i < scene.xyz.length; i += 3) {
    const [r, g, b] = heightColour(scene.xyz[i + 2]);
    const [u, v] = at(scene.xyz[i], scene.xyz[i + 1]);
    context.fillStyle = `rgb(${r | 0},${g | 0},${b | 0})`;
    context.fillRect(u, v, 1.4, 1.4);
  }
  for (const one of boxesOf(scene, arm)) drawOutline(context, corners(one.box).map(([x, y]) => at(x, y)), one.kind);
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
    const canvas = el("canvas", { title: "show in 3D", role: "img", "aria-label": `${arm} from above: ${countsOf(scene, arm)}`, onclick: () => { pick(state, arm); document.getElementById("view").scrollIntoView(); } });
    drawBev(canvas, scene, arm);
    const row = el("a", { href: "#differences", onclick: () => pick(state, arm) }, arm);
    return el("figure", { id: `card-${arm}`, "data-arm": arm },
      el("figcaption", {}, el("span", { class: "swatch", style: `background:${state.colours[arm]}` }), row, el("span", {}, ` seed ${scene.arms[arm].seed}: ${countsOf(scene, arm)}`)), canvas);
  });
}

const colourKey = () => el("div", { class: "key" }, Object.values(KINDS).map(({ colour, text }) => el("span", {}, el("i", { style: `border-color:${colour}` }), text)));
