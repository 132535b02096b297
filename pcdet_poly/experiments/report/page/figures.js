// The curves: epsilon, ranges, precision and recall, P_t, gradient shares, losses.
"use strict";

const shownArms = (state) => state.model.arms.map((arm) => arm.name).filter((name) => !state.hidden.has(name));

const shownClasses = (state) => state.model.classes.filter((kind) => !state.hiddenClasses.has(kind));

// Texts of a chart shrink with it: a narrow page gets narrower charts.
const wide = () => (window.innerWidth < 700 ? 400 : 560);

// Epsilon arms stand at their epsilon, controls side by side to the right of them.
function places(model) {
  const curve = model.arms.filter((arm) => arm.epsilon !== null).map((arm) => [arm.name, arm.epsilon]);
  const right = Math.max(...curve.map(([, x]) => x), 0);
  const left = Math.min(...curve.map(([, x]) => x), 0);
  const step = Math.max(0.35, (right - left) / 7);
  const controls = model.arms.filter((arm) => arm.epsilon === null).map((arm, i) => [arm.name, right + step * (i + 1.2)]);
  const all = [...curve, ...controls];
  return { curve, controls, all, range: [left - 0.6 * step, Math.max(...all.map(([, x]) => x)) + 0.6 * step] };
}

function epsilonFigures(state) {
  const { model, cell } = state;
  const where = places(model);
  const of = (kind) => Object.fromEntries(model.differences[key(kind, ...cell)].map((d) => [d.arm, d]));
  return shownClasses(state).map((kind) => {
    const found = of(kind);
    const values = Object.values(found).flatMap((d) => [...d.claim, ...d.bySeed]).filter((v) => v !== null);
    const xTicks = [...where.curve.map(([, x]) => [x, `\u03b5 ${tickText(x)}`]), ...where.controls.map(([name, x]) => [x, name])];
    const chart = new Chart({ x: where.range, y: limits(values), width: wide(), height: 310, yLabel: "difference, points", xTicks, slant: true });
    const line = where.curve.filter(([name]) => name in found || name === model.baseline).sort((a, b) => a[1] - b[1]);
    chart.path(line.map(([name, x]) => [x, name in found ? found[name].mean : 0]), "var(--axis)", { width: 1 });
    for (const [name, x] of where.all) drawDifference(chart, x, found[name], state.looks[name], name, model);
    return figure(lower(kind), chart);
  });
}

function drawDifference(chart, x, one, look, name, model) {
  if (!one) {
    if (name === model.baseline) chart.dot(x, 0, look, { title: `${name}: the baseline` });
    return;
  }
  one.bySeed.forEach((value, i) => chart.dot(x, value, look, { radius: 2.2, opacity: 0.4, title: `${name}, seed ${one.seeds[i]}: ${signed(value)}` }));
  const title = `${name}: ${signed(one.mean)} ${interval(one.claim)}`;
  if (one.claim[0] !== null) chart.bar(x, ...one.claim, look.colour, { title });
  chart.dot(x, one.mean, look, { title });
}

function rangeFigures(state) {
  const { model } = state;
  const arms = shownArms(state);
  return Object.entries(model.ranges).filter(([kind]) => shownClasses(state).includes(kind)).map(([kind, ranges]) => {
    const names = Object.keys(ranges);
    const values = names.flatMap((name) => Object.values(ranges[name]));
    const chart = new Chart({ x: [0, names.length], y: limits(values), xTicks: names.map((n, i) => [i + 0.5, `${n} m`]), yLabel: "points" });
    names.forEach((name, i) => arms.forEach((arm, j) => {
      const width = 0.86 / arms.length;
      chart.column(i + 0.07 + j * width, width, ranges[name][arm], state.looks[arm], `${arm}: ${fixed(ranges[name][arm], 2)}`);
    }));
    return figure(lower(kind), chart);
  });
}

function prFigures(state) {
  const { model } = state;
  return shownClasses(state).filter((kind) => kind !== "MEAN").map((kind) => {
    const curves = model.pr[`${kind}|${state.cell[0]}`];
    const most = Math.max(0.05, ...Object.values(curves).flatMap(([recall]) => recall));
    const chart = new Chart({ x: [0, Math.min(1, 1.1 * most)], y: [0, 1.02], xLabel: "recall", yLabel: "precision" });
    shownArms(state).forEach((arm, number) => {
      const [recall, precision] = curves[arm];
      chart.curve(recall.map((r, i) => [r, precision[i]]), state.looks[arm], { title: arm, number });
    });
    return figure(`${lower(kind)}, ${state.cell[0]} LEVEL_${Math.max(...model.levels)}`, chart);
  });
}

function histogramFigures(state) {
  const panels = [["peaks", "Peaks (an anchor head's positives): P_t = p"], ["background", "Background: P_t = 1 \u2212 p (logarithmic)"]];
  return panels.map(([cells, title]) => {
    const shares = Object.fromEntries(Object.entries(state.model.histograms).map(([arm, h]) => {
      const total = h[cells].reduce((a, b) => a + b, 0) || 1;
      return [arm, h[cells].map((count) => count / total)];
    }));
    const most = Math.max(...Object.values(shares).flat());
    const log = cells === "background";
    const chart = new Chart({ x: [0, 1], y: log ? [1e-6, 1] : [0, 1.05 * most], xLabel: "P_t", yLabel: "share of cells", width: wide(), log });
    shownArms(state).filter((name) => name in shares).forEach((arm, number) => {
      const steps = shares[arm].flatMap((value, i) => [[i / 50, value], [(i + 1) / 50, value]]);
      chart.curve(steps, state.looks[arm], { title: arm, number: 4 * number });
    });
    return figure(title, chart);
  });
}

// One panel for every logged name with the given beginning.
function courseFigures(state, beginning, { unit = false } = {}) {
  const { model } = state;
  const names = [...new Set(model.arms.flatMap(({ name }) => Object.keys(model.loss[name].curves)))].filter((n) => n.startsWith(beginning));
  return names.map((name) => {
    const curves = shownArms(state).map((arm) => [arm, model.loss[arm].curves[name]]).filter(([, curve]) => curve);
    const [xs, ys] = [0, 1].map((k) => curves.flatMap(([, curve]) => curve[k]));
    const low = [...ys].sort((a, b) => a - b)[Math.floor(0.98 * (ys.length - 1))];
    const chart = new Chart({ x: [0, Math.max(1, ...xs)], y: unit ? [0, 1] : [0, 1.05 * (low || 1)], xLabel: "step", yLabel: name });
    curves.forEach(([arm, [steps, values]], number) => {
      const top = chart.y[1];
      chart.curve(steps.map((s, i) => [s, Math.min(values[i], top)]), state.looks[arm], { title: arm, number: 3 * number });
    });
    return figure(name, chart);
  });
}
