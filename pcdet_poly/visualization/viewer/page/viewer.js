// The page: one frame at a time in 3D, with what is known of each box under the mouse.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const palettes = Object.fromEntries(Object.entries(data.palettes).map(([mode, text]) => [mode, decodeBytes(text)]));
const state = { frame: 0, mode: data.mode, labels: true, detections: true, score: data.score, help: false, outcomes: false, kinds: new Set(data.classes.keys()), timer: null };
const canvas = document.getElementById("cloud");
const cloud = new Cloud(canvas, () => {
  const scale = Math.min(window.devicePixelRatio || 1, 1.5);
  return [canvas.clientWidth, canvas.clientHeight].map((length) => Math.max(1, Math.round(length * scale)));
});
const HELP = ["drag: turn", "wheel: zoom", "shift-drag or right button: move", "n p: frame", "arrows: turn, + -: zoom", "space: play", "o: true, false, missed", "x: light or dark", "c: colours", "l d: labels, detections", "t: from above", "r or double click: first view", "s: save a picture"];
const RAMPS = { // name at both ends
  score: ["score 0", "1"],
  intensity: ["intensity: tanh 0", "1"],
  height: [`height ${data.heights[0]} m`, `${data.heights[1]} m`],
};

function decoded(frame) {
  frame.xyz = frame.xyz || decodePoints(frame.points);
  const num = frame.xyz.length / 3;
  const decode = (codes) => (typeof codes === "number" ? new Uint8Array(num).fill(codes) : decodeBytes(codes)); // one number: all alike
  frame.bytes = frame.bytes || { ...Object.fromEntries(Object.entries(frame.codes).map(([mode, codes]) => [mode, decode(codes)])), height: heightCodes(frame.xyz) };
  return frame;
}

function heightCodes(xyz) {
  const [low, high] = data.heights;
  return Uint8Array.from({ length: xyz.length / 3 }, (_, i) => Math.round(254 * Math.max(0, Math.min(1, (xyz[3 * i + 2] - low) / (high - low)))));
}

const colourOf = (mode, code) => `rgb(${palettes[mode].subarray(3 * code, 3 * code + 3).join(",")})`;

function pointColours(frame) {
  const [codes, palette] = [frame.bytes[state.mode], palettes[state.mode]];
  const rgb = new Uint8Array(3 * codes.length);
  for (let i = 0; i < codes.length; i++) for (let k = 0; k < 3; k++) rgb[3 * i + k] = palette[3 * codes[i] + k];
  return rgb;
}

// A row is a box's seven numbers, its class, its points, and the score of a detection.
function boxesOf(frame) {
  if (state.outcomes) return outcomesOf(frame).filter(({ box }) => state.kinds.has(box[7]));
  const byScore = state.mode === "score";
  const labels = state.labels ? frame.labels.map((box) => ({ box, of: "label", width: 1.2, text: data.letters[box[7]], dash: [6, 4], colour: byScore ? data.labelColour : colourOf("class", box[7]) })) : [];
  const shown = state.detections && frame.detections ? frame.detections.filter((_, i) => frame.steps[i] >= scoreStep()) : [];
  const detections = shown.map((box) => ({ box, of: "detection", width: 2, text: `${data.letters[box[7]]} ${box[9].toFixed(2)}`, colour: byScore ? colourOf("score", Math.round(box[9] * 254)) : colourOf("class", box[7]) }));
  return [...labels, ...detections].filter(({ box }) => state.kinds.has(box[7]));
}

// Where the slider stands, in its own steps: scores and cut-offs are compared in Python, where the metrics are.
const scoreStep = () => Math.round((state.score - data.score) / data.scoreStep);

// The label that each detection matches at the slider's score; -1 for none, leftOut - label for a match that counts as nothing.
function partnersOf(frame) {
  const partner = frame.detections.map(() => -1);
  for (const [step, ...pairs] of frame.outcomes.changes) {
    if (step < scoreStep()) break;
    for (let k = 0; k < pairs.length; k += 2) partner[pairs[k]] = pairs[k + 1];
  }
  return partner;
}

// Coloured by what became of them, as the metrics count it.
function outcomesOf(frame) {
  const { ignored, counted, leftOut } = frame.outcomes;
  const partner = partnersOf(frame);
  const found = new Set(partner);
  const detections = !state.detections ? [] : frame.detections.flatMap((box, i) => {
    if (frame.steps[i] < scoreStep()) return [];
    const kind = partner[i] >= 0 ? "true" : ignored[i] || partner[i] <= leftOut ? "ignored" : "false";
    return [{ box, kind, of: "detection", width: 2, crossed: kind === "false", text: `${data.letters[box[7]]} ${box[9].toFixed(2)}`, colour: data.outcomes[kind] }];
  });
  const labels = !state.labels ? [] : frame.labels.map((box, i) => {
    const kind = found.has(i) ? "found" : counted[i] && !found.has(leftOut - i) ? "missed" : "ignored";
    return { box, kind, of: "label", width: kind === "missed" ? 2 : 1, dash: [6, 4], text: data.letters[box[7]], colour: data.outcomes[kind] };
  });
  return [...labels, ...detections];
}

function describe({ box, of }) {
  const [x, y, , length, width, height, , kind, points, score] = box;
  const lines = [`${data.classes[kind].toLowerCase()} (${of})`, `${points} points, ${Math.hypot(x, y).toFixed(1)} m away`, `${length.toFixed(2)} × ${width.toFixed(2)} × ${height.toFixed(2)} m`];
  if (of === "detection") lines.splice(1, 0, `score ${score.toFixed(3)}`);
  return lines.join("\n");
}

function tip(event) {
  const place = document.getElementById("tip");
  const hit = event.buttons && event.type !== "pointerup" ? undefined : cloud.boxAt(event);
  place.hidden = !hit;
  if (!hit) return;
  place.textContent = describe(hit);
  place.style.left = `${Math.min(event.clientX + 14, window.innerWidth - place.offsetWidth - 8)}px`;
  place.style.top = `${Math.min(event.clientY + 14, window.innerHeight - place.offsetHeight - 8)}px`;
}

function countsOf(frame, boxes) {
  const number = (kind) => boxes.filter((one) => one.kind === kind).length;
  if (state.outcomes) return `${number("true")} true, ${number("false")} false, ${number("missed")} missed`;
  const [shown, count] = [frame.xyz.length / 3, (of) => boxes.filter((one) => one.of === of).length];
  const thinned = shown < frame.total ? ` of ${frame.total.toLocaleString("en")}` : "";
  return `${shown.toLocaleString("en")}${thinned} points, ${count("label")} labels${data.detects ? `, ${count("detection")} detections` : ""}`;
}

function keyOf(frame, boxes) {
  const swatch = (colour, text) => el("div", {}, el("i", { style: `background:${colour}` }), text);
  const line = (style, text) => el("div", {}, el("i", { class: "line", style: `border-top-style:${style}` }), text);
  const ramp = RAMPS[state.mode];
  const stops = () => [0, 63, 127, 190, 254].map((code) => colourOf(state.mode, code)).join(",");
  const classes = state.mode === "score" ? [] : data.classes.map((name, i) => swatch(colourOf("class", i), `${data.letters[i]}  ${name.toLowerCase()}`));
  if (state.outcomes) classes.splice(0, classes.length, ...[["true", "detection that matches a label"], ["false", "false detection (crossed)"], ["missed", "label that was missed"], ["found", "label that was found"], ["ignored", "what does not count"]].map(([kind, text]) => swatch(data.outcomes[kind], text)));
  return [
    ...classes,
    ...(state.mode === "return" ? [swatch(colourOf("return", 0), "points of the first return"), swatch(colourOf("return", 1), "points of the second return"), swatch(colourOf("return", 255), "return unknown")] : []),
    ...(ramp ? [el("div", { class: "ramp", style: `background:linear-gradient(90deg,${stops()})` }), el("div", { class: "ends" }, ...ramp.map((text) => el("span", {}, text)))] : []),
    line("dashed", "label"), ...(data.detects ? [line("solid", "detection")] : []), ...(frame.zones.length ? [line("dotted", "no-label zone")] : []),
    el("div", { id: "counts" }, countsOf(frame, boxes)),
    ...(state.help ? HELP.map((text) => el("div", { class: "hint" }, text)) : [el("div", { class: "hint" }, "h: help")]),
  ];
}

function bar() {
  const button = (text, title, act, id) => el("button", { title, id, "aria-label": title, onclick: act }, text);
  const frames = el("select", { id: "frame", title: "frame", "aria-label": "frame", onchange: (event) => go(+event.target.value) }, data.frames.map((frame, i) => el("option", { value: i }, `${i + 1}/${data.frames.length}  ${frame.id}`)));
  const score = el("input", { id: "score", type: "range", min: data.score, max: 1, step: data.scoreStep, value: data.score, title: "smallest score shown", oninput: (event) => { state.score = +event.target.value; refresh(); } });
  const toggles = [button("labels", "labels (l)", () => toggle("labels"), "labels"), ...(data.detects ? [button("detections", "detections (d)", () => toggle("detections"), "detections")] : [])];
  return [
    el("strong", {}, data.title),
    el("span", { class: "group" }, button("‹", "previous frame (p or left)", () => go(state.frame - 1), "previous"), frames, button("›", "next frame (n or right)", () => go(state.frame + 1), "next")),
    el("span", { class: "group", title: "colours (c)" }, ...data.modes.map((mode) => el("button", { "data-mode": mode, onclick: () => paint(mode) }, mode))),
    el("span", { class: "group" }, ...toggles),
    ...(data.detects ? [el("label", { class: "group" }, "score", score, el("output", { id: "least" }))] : []),
    el("span", { class: "group", title: "classes" }, ...data.classes.map((name, i) => el("button", { "data-kind": i, onclick: () => { if (!state.kinds.delete(i)) state.kinds.add(i); refresh(); } }, name.toLowerCase()))),
    el("span", { class: "group" }, button("play", "play (space)", play, "play"), ...(data.judges ? [button("true/false", "colours of true, false and missed (o)", () => toggle("outcomes"), "outcomes")] : []), button("light/dark", "light/dark ground (x)", switchTheme)),
    el("span", { class: "group" }, button("above", "from above (t)", () => cloud.look(FROM_ABOVE)), button("reset", "reset the view (r)", () => cloud.look(START))),
  ];
}

function refresh() {
  const frame = decoded(data.frames[state.frame]);
  const boxes = boxesOf(frame);
  cloud.show({ xyz: frame.xyz, rgb: pointColours(frame) }, boxes, frame.zones);
  document.getElementById("frame").value = state.frame;
  document.querySelectorAll("[data-mode]").forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.mode === state.mode)));
  for (const name of ["labels", "detections", "outcomes"]) document.getElementById(name)?.setAttribute("aria-pressed", String(state[name]));
  document.querySelectorAll("[data-kind]").forEach((one) => one.setAttribute("aria-pressed", String(state.kinds.has(+one.dataset.kind))));
  document.getElementById("play").setAttribute("aria-pressed", String(state.timer !== null));
  if (data.detects) document.getElementById("least").textContent = state.score.toFixed(2);
  document.getElementById("key").replaceChildren(...keyOf(frame, boxes));
}

function go(frame) { state.frame = (frame + data.frames.length) % data.frames.length; refresh(); }
function paint(mode) { state.mode = mode; refresh(); }
function toggle(name) { state[name] = !state[name]; refresh(); }

// Frames one after the other, ten a second as the sensor turns.
function play() {
  if (state.timer !== null) { clearInterval(state.timer); state.timer = null; return refresh(); }
  state.timer = setInterval(() => go(state.frame + 1), 100);
  refresh();
}

function switchTheme(theme) {
  cloud.theme = theme === "light" || theme === "dark" ? theme : cloud.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = cloud.theme;
  cloud.queue();
}

function save() {
  const link = el("a", { href: cloud.picture().toDataURL("image/png"), download: `${data.frames[state.frame].id.replaceAll("/", "_")}.png` });
  link.click();
}

const KEYS = {
  n: () => go(state.frame + 1), p: () => go(state.frame - 1),
  c: () => paint(data.modes[(data.modes.indexOf(state.mode) + 1) % data.modes.length]),
  l: () => toggle("labels"), d: () => toggle("detections"), t: () => cloud.look(FROM_ABOVE), r: () => cloud.look(START), s: save, h: () => toggle("help"), o: () => data.judges && toggle("outcomes"), x: () => switchTheme(), " ": play,
};

function start() {
  document.getElementById("bar").replaceChildren(...bar());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
    if (event.key === " " && event.target.matches?.("button, select, input")) return; // it presses them
    event.preventDefault();
    KEYS[event.key]();
  });
  for (const name of ["pointermove", "pointerup"]) canvas.addEventListener(name, tip);
  canvas.addEventListener("pointerleave", () => { document.getElementById("tip").hidden = true; });
  window.addEventListener("resize", () => cloud.queue());
  const asked = new URLSearchParams(location.hash.slice(1)); // #frame=2&colour=score, to link to a frame
  if (data.modes.includes(asked.get("colour"))) state.mode = asked.get("colour");
  if (asked.get("frame") > 0 && asked.get("frame") <= data.frames.length) state.frame = asked.get("frame") - 1;
  switchTheme(window.matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
  canvas.focus({ preventScroll: true });
  refresh();
  document.documentElement.dataset.drawn = cloud.inked();
  note();
  document.documentElement.dataset.ready = "yes";
}
start();
