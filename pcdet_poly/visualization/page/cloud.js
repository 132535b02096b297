// Points and boxes in 3D that turn with the mouse and the arrow keys: points by WebGL where a graphics card does it, boxes on
// a canvas above.
"use strict";

const START = { yaw: Math.PI, pitch: 0.55, distance: 42, x: 0, y: 0 };
const FROM_ABOVE = { yaw: Math.PI, pitch: Math.PI / 2, distance: 90, x: 0, y: 0 };
const GROUNDS = { dark: [16, 21, 28], light: [255, 255, 255] };
const LEGIBLE = 55; // metres up to which boxes have their text
const FINGER = 0.012; // boxes are this much larger to the mouse, as a share of their distance

// Points are {xyz: metres, rgb: bytes}; boxes are [{box, colour, width, dash, crossed, text}]; zones lists of [x, y].
class Cloud {
  // `host` is an element: it gets a canvas for points, one for boxes, the keys and the mouse.
  constructor(host, size = () => [1400, 700]) {
    const [below, canvas] = [el("canvas", { "aria-hidden": "true" }), el("canvas", { "aria-hidden": "true" })];
    Object.assign(this, { host, below, canvas, size, view: { ...START }, points: { xyz: [], rgb: [] }, boxes: [], zones: [], queued: false, theme: "dark" });
    host.append(below, canvas);
    below.addEventListener("webglcontextlost", () => this.paintBy(null));
    this.paintBy(hasGraphicsCard() ? pointPainter(below) : null);
    host.addEventListener("pointerdown", (event) => { host.focus({ preventScroll: true }); host.setPointerCapture(event.pointerId); event.preventDefault(); });
    host.addEventListener("pointermove", (event) => { if (event.buttons) this.drag(event); });
    host.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== host) return; // the page scrolls
      event.preventDefault();
      this.zoom(event.deltaY);
    }, { passive: false });
    host.addEventListener("contextmenu", (event) => event.preventDefault());
    host.addEventListener("dblclick", () => this.look(START));
    host.addEventListener("keydown", (event) => this.key(event));
  }
  // Points are drawn by what `pointPainter` returned; null: on the boxes' canvas, pixel by pixel.
  paintBy(painter) {
    this.paint = painter;
    this.below.style.display = painter ? "" : "none"; // a canvas that shows nothing is laid over for nothing
    this.queue();
  }
  key(event) {
    const acts = { ArrowLeft: () => this.turn(0.08, 0), ArrowRight: () => this.turn(-0.08, 0), ArrowUp: () => this.turn(0, 0.06), ArrowDown: () => this.turn(0, -0.06), "+": () => this.zoom(-80), "=": () => this.zoom(-80), "-": () => this.zoom(80), Escape: () => this.host.blur() }; // Escape gives arrows and wheel back to the page
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in acts)) return;
    event.preventDefault();
    acts[event.key]();
  }
  show(points, boxes, zones = []) { Object.assign(this, { points, boxes, zones }); this.queue(); }
  look(view) { this.view = { ...view }; this.queue(); }
  turn(yaw, pitch) {
    this.view.yaw += yaw;
    this.view.pitch = Math.max(0.02, Math.min(Math.PI / 2, this.view.pitch + pitch));
    this.queue();
  }
  zoom(delta) { this.view.distance = Math.max(4, Math.min(300, this.view.distance * Math.exp(delta / 700))); this.queue(); }
  drag(event) {
    if (!(event.shiftKey || event.buttons & 2)) return this.turn(-event.movementX / 180, event.movementY / 180);
    const { yaw, distance } = this.view;
    const [right, forward] = [(-event.movementX * distance) / 700, (event.movementY * distance) / 700];
    this.view.x += Math.sin(yaw) * -right - Math.cos(yaw) * forward;
    this.view.y += Math.cos(yaw) * right - Math.sin(yaw) * forward;
    this.queue();
  }
  queue() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => { this.queued = false; this.draw(); });
  }
  // World metres -> [pixel x, pixel y, depth]; the eye stands at `yaw` around the point looked at, above it by `pitch`.
  projector(width, height) {
    const { yaw, pitch, distance, x: cx, y: cy } = this.view;
    const [cyaw, syaw, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const focus = 0.95 * height;
    return (x, y, z) => {
      const [a, b] = [(x - cx) * cyaw + (y - cy) * syaw, -(x - cx) * syaw + (y - cy) * cyaw]; // towards the eye, to its right
      const depth = distance - a * cp - z * sp;
      const up = -a * sp + z * cp;
      return [width / 2 + (focus * b) / depth, height / 2 - (focus * up) / depth, depth];
    };
  }
  draw() {
    const [width, height] = this.size();
    for (const one of [this.below, this.canvas]) if (one.width !== width || one.height !== height) Object.assign(one, { width, height });
    const context = this.canvas.getContext("2d", { willReadFrequently: !this.paint });
    const project = this.projector(width, height);
    const tone = this.theme === "light" ? 0.7 : 1;
    if (this.paint && this.paint(this.points, this.view, GROUNDS[this.theme], tone)) context.clearRect(0, 0, width, height);
    else (this.paintPixels ||= pixelPainter(context))(this.points, this.view, GROUNDS[this.theme], tone);
    for (const zone of this.zones) this.paintZone(context, zone, project);
    for (const one of this.boxes) this.paintBox(context, one, project);
  }
  // Both canvases as one.
  picture() {
    this.draw();
    const whole = el("canvas", { width: this.canvas.width, height: this.canvas.height });
    for (const one of [this.below, this.canvas]) whole.getContext("2d").drawImage(one, 0, 0);
    return whole;
  }
  // How many pixels are not the ground.
  inked() {
    const whole = this.picture();
    const pixels = new Uint32Array(whole.getContext("2d").getImageData(0, 0, whole.width, whole.height).data.buffer);
    return pixels.reduce((count, pixel) => count + (pixel !== packed(GROUNDS[this.theme])), 0);
  }
  // An outline on the ground, dotted and filled faintly.
  paintZone(context, zone, project) {
    const outline = zone.map(([x, y]) => project(x, y, 0));
    if (outline.some(([, , depth]) => depth < NEAR)) return;
    context.strokeStyle = "#7d8794";
    context.fillStyle = "#7d879430";
    context.lineWidth = 1.5;
    context.setLineDash([2, 4]);
    context.beginPath();
    for (const [u, v] of outline) context.lineTo(u, v);
    context.closePath();
    context.fill();
    context.stroke();
  }
  paintBox(context, { box, colour, width, dash, crossed, text }, project) {
    const [, , z, , , height] = box;
    const [low, high] = [-0.5, 0.5].map((h) => corners(box).map(([x, y]) => project(x, y, z + h * height)));
    if ([...low, ...high].some(([, , depth]) => depth < NEAR)) return;
    const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const lines = [0, 1, 2, 3].flatMap((i) => [[low[i], low[(i + 1) % 4]], [high[i], high[(i + 1) % 4]], [low[i], high[i]]]);
    lines.push([middle(low[0], low[2]), middle(low[0], low[1])]); // where the front is
    if (crossed) lines.push([high[0], high[2]], [high[1], high[3]]);
    context.strokeStyle = colour;
    context.fillStyle = this.theme === "light" ? "#1d2530" : "#e6ebf1";
    context.lineWidth = width;
    context.setLineDash(dash || []);
    context.beginPath();
    for (const [a, b] of lines) { context.moveTo(a[0], a[1]); context.lineTo(b[0], b[1]); }
    context.stroke();
    context.font = "14px system-ui, sans-serif";
    if (text && high[0][2] < LEGIBLE) context.fillText(text, high[0][0], high[0][1] - 4);
  }
  // The nearest box under the mouse, or undefined: the ray from the eye, in each box's own axes.
  boxAt(event) {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const { yaw, pitch, distance, x: cx, y: cy } = this.view;
    const [cyaw, syaw, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const eye = [cx + distance * cp * cyaw, cy + distance * cp * syaw, distance * sp];
    const [right, up] = [(event.offsetX - width / 2) / (0.95 * height), (height / 2 - event.offsetY) / (0.95 * height)];
    const ray = [-cp * cyaw - right * syaw - up * sp * cyaw, -cp * syaw + right * cyaw - up * sp * syaw, -sp + up * cp];
    const hits = this.boxes.map((one) => ({ one, depth: depthOf(one.box, eye, ray) })).filter(({ depth }) => depth < Infinity);
    return hits.length ? hits.reduce((a, b) => (b.depth < a.depth ? b : a)).one : undefined;
  }
}

// Where the ray eye + t * ray enters a box: t, or Infinity where it misses.
function depthOf([x, y, z, length, width, height, heading], eye, ray) {
  const [c, s] = [Math.cos(heading), Math.sin(heading)];
  const own = ([a, b, up]) => [a * c + b * s, b * c - a * s, up];
  const [from, along] = [own([eye[0] - x, eye[1] - y, eye[2] - z]), own(ray)];
  const margin = FINGER * Math.hypot(...from);
  let [enter, leave] = [0, Infinity];
  [length, width, height].forEach((size, axis) => {
    const half = size / 2 + margin;
    const [a, b] = [(-half - from[axis]) / along[axis], (half - from[axis]) / along[axis]];
    enter = Math.max(enter, Math.min(a, b));
    leave = Math.min(leave, Math.max(a, b));
  });
  return enter <= leave ? enter : Infinity;
}
