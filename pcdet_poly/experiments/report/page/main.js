// The page: sections, what was picked, and the marks that tell a test that everything was drawn.
"use strict";

function section(id, title, note, ...children) {
  return el("section", { id }, el("h2", {}, title), note ? el("p", { class: "note" }, note) : null, ...children);
}

function stateOf(data, model) {
  model.scenes.forEach((scene) => { scene.xyz = scene.xyz || decodePoints(scene.points); scene.extent = scene.extent || extent(scene); });
  return { data, model, looks: looks(model), cell: model.main, hidden: new Set(), hiddenClasses: new Set(), timer: null, scene: 0, arm: model.baseline, cloud: null };
}

const name = ([part, level, metric]) => `${part} LEVEL_${level} ${metric.toUpperCase()}`;

function render(data, model) {
  const state = stateOf(data, model);
  const parts = [
    el("h1", {}, data.study), el("p", { class: "note" }, model.described),
    section("findings", "Findings", null, el("ul", { class: "findings" }, model.findings.map((line) => el("li", {}, line)))),
    problems(data),
    section("table", "AP/APH, per cent", "Mean over seeds, \u00b1 standard deviation over seeds. In italics what the paper reports on real data: its layout, for orientation, not for comparison with other data. An arm's name leads to its pictures.", el("div", { id: "paper-table" })),
    ...differenceSections(state),
    ...curveSections(state),
    ...sceneSections(state),
  ];
  document.getElementById("main").replaceChildren(...parts.filter(Boolean));
  setTheme(document.documentElement.dataset.theme, model);
  navigation(state);
  refresh(state);
  return state;
}

function differenceSections(state) {
  const cells = state.model.parts.flatMap((part) => state.model.levels.flatMap((level) => ["ap", "aph"].map((metric) => [part, level, metric])));
  const choice = el("select", { onchange: (event) => { state.cell = cells[event.target.value]; refresh(state); } },
    cells.map((cell, i) => el("option", { value: i, selected: String(cell) === String(state.model.main) ? "" : null }, name(cell))));
  const pickCell = el("div", { class: "controls" }, el("label", {}, "Metric ", choice));
  return [
    section("epsilon", `Difference from ${state.model.baseline}`, "Paired by seed. Large dot: mean; line: 95 % interval over seeds and segments; small dots: the seeds. Left: epsilon; right: controls.", pickCell, el("div", { id: "epsilon-panels", class: "panels wide" })),
    section("differences", "Differences and intervals, points", "Over seeds: other seeds, these segments. Over segments: these networks, other segments. Over both: what a claim needs, and what p is of. Holm: corrected over the arm's classes, or over all arms and classes (for the ranking metric only). Detectable: the smallest true difference that so many seeds find with 80 % power. Bold: p (Holm, all) at most 0.05.", el("div", { id: "difference-table" })),
  ];
}

function curveSections(state) {
  const { model } = state;
  const panels = (id, wide) => el("div", { id, class: wide ? "panels wide" : "panels" });
  const legend = () => el("div", { class: "legend" });
  const seeds = [...new Set(Object.values(model.histograms).map((h) => h.seed))].join(", ");
  return [
    Object.keys(model.ranges).length ? section("ranges", `By distance, ${name(model.main)}`, "Mean over seeds.", legend(), panels("range-panels")) : null,
    section("pr", "Precision and recall", "Counts of all seeds together, at Waymo's score cut-offs.", legend(), panels("pr-panels")),
    section("loss", "What the loss did", "Means over seeds and the last fifth of the training. Probabilities are of the right answer; shares are of the sum of |dL/dlogit| that the first polynomial carries.", lossTable(state)),
    Object.keys(model.histograms).length ? section("histograms", "P_t on validation frames", `One run per arm, seed ${seeds}.`, legend(), panels("histogram-panels", true)) : null,
    section("shares", "Share of the first polynomial in the gradient", "Mean over seeds.", legend(), panels("share-panels")),
    section("curves", "Loss curves", "Mean over seeds. Classification losses of different arms are different functions: only the box loss compares.", legend(), panels("loss-panels")),
  ];
}

function sceneSections(state) {
  const { model } = state;
  if (!model.scenes.length) return [];
  const frames = () => el("div", { class: "controls frames" }, "Frame ", model.scenes.map((scene, i) =>
    el("button", { "data-scene": i, onclick: () => { state.scene = i; refreshScenes(state); } }, scene.frame)),
    model.scenes.length < 2 ? null : el("button", { class: "play", onclick: () => play(state) }, "play"));
  const canvas = el("div", { id: "cloud", tabindex: 0, role: "img", "aria-label": "The frame in 3D. Arrow keys turn, plus and minus zoom." });
  state.cloud = new Cloud(canvas);
  const arms = el("select", { id: "cloud-arm", onchange: (event) => pick(state, event.target.value) }, Object.keys(model.scenes[0].arms).map((arm) => el("option", {}, arm)));
  const reset = el("button", { onclick: () => state.cloud.look(START) }, "Reset view");
  const note = "Detections at the score where the arm's F1 is best, per class: arms differ in how high they score.";
  return [
    section("pictures", "The same frames, every arm", `${note} The vehicle looks up. Click a picture to see it in 3D.`, frames(), colourKey(), el("div", { class: "pictures", id: "picture-grid" })),
    section("view", "A frame in 3D", "Drag or arrow keys to turn, wheel (after a click, or with ctrl) or + and - to zoom, shift-drag (or right button) to move, double click to reset, escape to scroll on.", frames(), el("div", { class: "controls" }, el("label", {}, "Arm ", arms), reset, el("span", { id: "cloud-counts" })), colourKey(), canvas),
  ];
}

function navigation(state) {
  const { data, model } = state;
  const names = { findings: "Findings", problems: "Left out", table: "Table", epsilon: "Epsilon", differences: "Differences", ranges: "Distance", pr: "PR", loss: "Loss", histograms: "P_t", shares: "Gradient", curves: "Curves", pictures: "Pictures", view: "3D" };
  const links = Object.entries(names).filter(([id]) => document.getElementById(id)).map(([id, text]) => el("a", { href: `#${id}` }, text));
  const choice = data.models.length < 2 ? null : el("select", { "aria-label": "detector", onchange: (event) => { clearInterval(state.timer); render(data, data.models[event.target.value]); } },
    data.models.map((one, i) => el("option", { value: i, selected: one === model ? "" : null }, one.name)));
  const classes = model.classes.map((kind) => el("button", { "data-class": kind, onclick: () => toggleClass(state, kind) }, kind === "MEAN" ? "mean" : lower(kind)));
  const theme = el("button", { id: "theme", onclick: () => { setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark", model); refreshScenes(state); } }, "light/dark");
  document.getElementById("nav").replaceChildren(el("strong", {}, data.study), ...(choice ? [choice] : []), ...links, el("span", { class: "group", role: "group", "aria-label": "Classes" }, ...classes), theme);
}

// A class is hidden from tables, curves and pictures, or shown again.
function toggleClass(state, kind) {
  if (!state.hiddenClasses.delete(kind)) state.hiddenClasses.add(kind);
  refresh(state);
}

function refresh(state) {
  const fill = (id, children) => { const place = document.getElementById(id); if (place) place.replaceChildren(...children); };
  fill("epsilon-panels", epsilonFigures(state));
  fill("paper-table", [paperTable(state)]);
  fill("difference-table", [differenceTable(state)]);
  document.querySelectorAll("[data-class]").forEach((one) => one.setAttribute("aria-pressed", String(!state.hiddenClasses.has(one.dataset.class))));
  fill("range-panels", rangeFigures(state));
  fill("pr-panels", prFigures(state));
  fill("histogram-panels", histogramFigures(state));
  fill("share-panels", courseFigures(state, "first_term_share/", { unit: true }));
  fill("loss-panels", [...courseFigures(state, "loss/"), ...courseFigures(state, "p_t/", { unit: true })]);
  document.querySelectorAll(".legend").forEach((legend) => legend.replaceChildren(...legendButtons(state)));
  refreshScenes(state);
}

function legendButtons(state) {
  const toggle = (arm) => { if (!state.hidden.delete(arm)) state.hidden.add(arm); refresh(state); };
  return state.model.arms.map(({ name: arm }) =>
    el("button", { "aria-pressed": String(!state.hidden.has(arm)), onclick: () => toggle(arm) }, swatch(state.looks[arm]), arm));
}

// The frames one after the other, two a second.
function play(state) {
  if (state.timer === null) state.timer = setInterval(() => { state.scene = (state.scene + 1) % state.model.scenes.length; refreshScenes(state); }, 500);
  else { clearInterval(state.timer); state.timer = null; }
  refreshScenes(state);
}

function refreshScenes(state) {
  if (!state.model.scenes.length) return;
  document.querySelectorAll(".play").forEach((b) => b.setAttribute("aria-pressed", String(state.timer !== null)));
  document.querySelectorAll("[data-scene]").forEach((b) => b.setAttribute("aria-pressed", String(+b.dataset.scene === state.scene)));
  document.getElementById("picture-grid").replaceChildren(...pictures(state));
  showCloud(state);
}

// One arm is picked: its rows and its picture stand out, and the 3D view shows it.
function pick(state, arm) {
  state.arm = arm;
  document.querySelectorAll("[data-arm]").forEach((one) => one.classList.toggle("picked", one.dataset.arm === arm));
  if (state.model.scenes.length) showCloud(state);
}

function showCloud(state) {
  const scene = state.model.scenes[state.scene];
  document.getElementById("cloud-arm").value = state.arm;
  document.getElementById("cloud-counts").textContent = countsOf(state, state.arm);
  state.cloud.theme = document.documentElement.dataset.theme;
  state.cloud.show({ xyz: scene.xyz, rgb: heightColours(scene.xyz) }, boxesOf(state, state.arm).map(styled(state)));
}

// Pixels of a canvas that are not background.
function inked(canvas) {
  const { width, height } = canvas;
  const pixels = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, width, height).data.buffer);
  return pixels.reduce((count, pixel) => count + (pixel !== packed(GROUNDS[document.documentElement.dataset.theme]) && pixel !== 0), 0);
}

function start() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const drawn = [];
  document.documentElement.dataset.theme = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  if (!data.models.length) {
    document.getElementById("main").replaceChildren(el("h1", {}, data.study), problems(data), el("p", {}, "No run of a baseline: nothing to compare."));
  } else {
    const state = render(data, data.models[0]);
    if (state.cloud) drawn.push(state.cloud.inked());
  }
  document.documentElement.dataset.drawn = [...[...document.querySelectorAll(".pictures canvas")].map(inked), ...drawn].join(",");
  document.documentElement.dataset.charts = document.querySelectorAll("svg path").length;
  note();
  document.documentElement.dataset.ready = "yes";
}
start();
