// The tables: the paper's layout, differences, what the loss did, trials left out.
"use strict";

const TEXT = new Set(["class", "method", "settings"]); // columns set to the left
const heads = (names) => el("tr", {}, names.map((name) => el("th", { class: TEXT.has(name) ? "text" : null }, name.replace("/", "/ ").replaceAll("_", " "))));
const cells = (values) => values.map((value) => (value instanceof Node ? value : el("td", {}, value)));

function armCell(state, name) {
  const arm = state.model.arms.find((one) => one.name === name);
  const title = arm.settings ? `${arm.settings}; show its pictures` : "show its pictures";
  const link = el("a", { href: `#card-${name}`, title, onclick: () => pick(state, name) }, name);
  return el("td", { class: "text" }, swatch(state.looks[name]), link);
}

function paperTable(state) {
  const { model, data } = state;
  const columns = model.parts.flatMap((part) => model.levels.map((level) => [part, level]));
  const rows = shownClasses(state).flatMap((kind) => {
    const ours = model.arms.map(({ name }, i) =>
      el("tr", { class: [i ? "" : "group", name === model.baseline ? "base" : ""].join(" "), "data-arm": name },
        el("td", {}, i ? "" : lower(kind)), armCell(state, name),
        columns.map(([part, level]) => el("td", {}, apAph(model, name, kind, part, level)))));
    const paper = data.paper.filter((row) => row.class === kind).map((row) =>
      el("tr", { class: "paper" }, el("td"), el("td", { class: "text" }, `paper: ${row.method}`),
        columns.map(([part, level]) => el("td", {}, paperPair(row.cells[`${part}|${level}`])))));
    return [...ours, ...paper];
  });
  return el("table", {}, heads(["class", "method", ...columns.map(([part, level]) => `${part} L${level}`)]), rows);
}

function apAph(model, arm, kind, part, level) {
  const [ap, aph] = ["ap", "aph"].map((metric) => model.values[key(kind, part, level, metric)][arm]);
  const shown = (values) => fixed(mean(values), 1);
  const sd = spread(aph);
  return [`${shown(ap)}/${shown(aph)} `, el("small", { title: "standard deviation over seeds, AP/APH" }, sd === null ? "" : `\u00b1${fixed(spread(ap), 1)}/${fixed(sd, 1)}`)];
}
const paperPair = (pair) => (pair ? `${fixed(pair[0], 1)}/${pair[1] === null ? "\u2013" : fixed(pair[1], 1)}` : "");

function differenceTable(state) {
  const { model, cell } = state;
  const rows = model.arms.filter((arm) => arm.name !== model.baseline).flatMap(({ name }) =>
    shownClasses(state).map((kind, i) => {
      const one = model.differences[key(kind, ...cell)].find((d) => d.arm === name);
      return one ? differenceRow(state, name, kind, one, i === 0) : null;
    }));
  const names = ["arm", "class", "pairs", "difference", "over seeds", "over segments", "over both", "p", "p (Holm)", "p (Holm, all)", "detectable"];
  return el("table", {}, heads(names), rows);
}

function differenceRow(state, name, kind, one, first) {
  const sure = one.holmAll <= 0.05;
  const [p, adjusted, all] = [one.p, one.holm, one.holmAll].map((value) => fixed(value, 3));
  return el("tr", { class: first ? "group" : "", "data-arm": name },
    first ? armCell(state, name) : el("td"), el("td", { class: "text" }, lower(kind)),
    cells([String(one.seeds.length), el("td", { class: sure ? "sure" : null }, signed(one.mean)),
      interval(one.overSeeds), interval(one.overSegments), interval(one.overBoth), p, adjusted, all, fixed(one.detectable, 2)]));
}

function lossTable(state) {
  const { model } = state;
  const names = [...new Set(model.arms.flatMap(({ name }) => Object.keys(model.loss[name].atEnd)))];
  const rows = model.arms.map(({ name, settings, expect }) => {
    const { atEnd, calibrationError } = model.loss[name];
    const told = expect ? `${settings} (control: expected to be ${expect})` : settings;
    return el("tr", { class: name === model.baseline ? "base" : "", "data-arm": name }, armCell(state, name),
      cells(names.map((n) => fixed(n in atEnd ? atEnd[n] : null, 3))), cells([fixed(calibrationError, 3)]), el("td", { class: "text settings" }, told));
  });
  return el("table", {}, heads(["arm", ...names, "calibration error", "settings"]), rows);
}

function problems(data) {
  if (!data.excluded.length) return null;
  const rows = data.excluded.map((one) => el("tr", {}, el("td", {}, one.trial), el("td", { class: "text" }, one.reason)));
  return el("section", { class: "problems", id: "problems" }, el("h2", {}, `Left out: ${data.excluded.length} of ${data.trials} trials`),
    el("p", { class: "note" }, "These are in no number, curve or picture below."), el("table", {}, rows));
}
