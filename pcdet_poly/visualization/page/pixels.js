// Points without WebGL, pixel by pixel: without a graphics card several times faster than WebGL in software.
"use strict";

const packed = ([r, g, b]) => (0xff000000 | (b << 16) | (g << 8) | r) >>> 0; // ABGR
const NEAR = 0.5; // metres
const FADING = 40; // metres from which on points fade into the ground

// Draws points {xyz, rgb} on a 2D context. Its memory is kept from frame to frame.
function pixelPainter(context) {
  let [image, pixels, nearness] = [null, null, null]; // nearness: 1 / depth of what a pixel shows
  return (points, view, ground, tone) => {
    const { width, height } = context.canvas;
    if (!image || image.width !== width || image.height !== height) {
      image = context.createImageData(width, height);
      pixels = new Uint32Array(image.data.buffer);
      nearness = new Float32Array(width * height);
    }
    pixels.fill(packed(ground));
    nearness.fill(0);
    paintPixels(pixels, nearness, width, height, points, view, ground, tone);
    context.putImageData(image, 0, 0);
  };
}

// Plain numbers only: a record or a list for each point would cost more than all else here.
function paintPixels(pixels, nearness, width, height, { xyz, rgb }, view, ground, tone) {
  const { yaw, pitch, distance, x: cx, y: cy } = view;
  const [cyaw, syaw, cp, sp, focus] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch), 0.95 * height];
  const [red, green, blue] = ground;
  for (let i = 0; i < xyz.length; i += 3) {
    const x = xyz[i] - cx, y = xyz[i + 1] - cy, z = xyz[i + 2];
    const towards = x * cyaw + y * syaw;
    const depth = distance - towards * cp - z * sp;
    if (depth < NEAR) continue;
    const near = 1 / depth;
    const u = width / 2 + focus * (y * cyaw - x * syaw) * near, v = height / 2 - focus * (z * cp - towards * sp) * near;
    if (!(u >= 0 && v >= 0 && u < width - 2 && v < height - 2)) continue;
    const shade = Math.max(0.35, Math.min(1, FADING * near)), own = tone * shade, rest = 1 - shade;
    const colour = (0xff000000 | ((rgb[i + 2] * own + blue * rest) << 16) | ((rgb[i + 1] * own + green * rest) << 8) | (rgb[i] * own + red * rest)) >>> 0;
    const size = depth < 25 ? 3 : 2;
    for (let row = (v | 0) * width + (u | 0), end = row + size * width; row < end; row += width)
      for (let at = row; at < row + size; at++)
        if (near > nearness[at]) { nearness[at] = near; pixels[at] = colour; }
  }
}
