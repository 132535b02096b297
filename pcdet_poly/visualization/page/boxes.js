// Packed points, corners of boxes.
"use strict";

const decodeBytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

// Base64 of int16 centimetres, x y z after each other -> metres.
const decodePoints = (text) => Float32Array.from(new Int16Array(decodeBytes(text).buffer), (v) => v / 100);

// The four corners of a box [x, y, z, length, width, height, heading, ...], front left first.
function corners([x, y, , length, width, , heading]) {
  const [c, s] = [Math.cos(heading) / 2, Math.sin(heading) / 2];
  return [[1, 1], [1, -1], [-1, -1], [-1, 1]].map(([a, b]) => [x + a * length * c - b * width * s, y + a * length * s + b * width * c]);
}
