// Points by WebGL: one draw call, near ones before far ones, far ones fading into the ground.
"use strict";

const VERTEX = `
attribute vec3 xyz; attribute vec3 rgb;
uniform vec4 turn; uniform vec3 target; uniform vec3 ground; uniform float aspect; uniform float tone; varying vec3 seen;
void main() {
  vec2 flat_ = xyz.xy - target.xy;
  float towards = dot(flat_, turn.xy); float right = flat_.y * turn.x - flat_.x * turn.y;
  float depth = target.z - towards * turn.z - xyz.z * turn.w; float up = xyz.z * turn.z - towards * turn.w;
  gl_Position = vec4(1.9 * right / aspect, 1.9 * up, 1.001 * depth - 1.0, depth);
  gl_PointSize = depth < 25.0 ? 3.0 : 2.0;
  seen = mix(ground, rgb * tone, clamp(40.0 / depth, 0.35, 1.0));
}`;
const FRAGMENT = "precision mediump float; varying vec3 seen; void main() { gl_FragColor = vec4(seen, 1.0); }";

// Whether WebGL is drawn by a graphics card: a CPU is several times faster at `pixelPainter`.
function hasGraphicsCard() {
  const gl = document.createElement("canvas").getContext("webgl");
  if (!gl) return false;
  const told = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(told ? told.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

// Draws points {xyz, rgb} on a canvas of its own; null where the browser has no WebGL.
function pointPainter(canvas) {
  const gl = canvas.getContext("webgl", { antialias: false, alpha: false });
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.enable(gl.DEPTH_TEST);
  const at = Object.fromEntries(["turn", "target", "ground", "aspect", "tone"].map((name) => [name, gl.getUniformLocation(program, name)]));
  const buffers = [["xyz", gl.FLOAT, false], ["rgb", gl.UNSIGNED_BYTE, true]].map(([name, type, normalized]) => {
    const [buffer, place] = [gl.createBuffer(), gl.getAttribLocation(program, name)];
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 3, type, normalized, 0, 0);
    return { name, buffer };
  });
  let held = null;
  return (points, view, ground, tone) => {
    if (gl.isContextLost()) return false;
    const [width, height] = [canvas.width, canvas.height];
    if (held !== points) for (const { name, buffer } of buffers) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, name === "xyz" ? Float32Array.from(points.xyz) : Uint8Array.from(points.rgb), gl.STATIC_DRAW);
    }
    held = points;
    const shares = ground.map((value) => value / 255);
    gl.viewport(0, 0, width, height);
    gl.clearColor(...shares, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniform4f(at.turn, Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch));
    gl.uniform3f(at.target, view.x, view.y, view.distance);
    gl.uniform3f(at.ground, ...shares);
    gl.uniform1f(at.aspect, width / height);
    gl.uniform1f(at.tone, tone);
    gl.drawArrays(gl.POINTS, 0, points.xyz.length / 3);
    return true;
  };
}
