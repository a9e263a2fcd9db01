// Masks: from a one-bit PNG to pixels that can be painted, and asked what lies under a place.

const paints = new Map(); // an object's mask and colour -> its paint

const rgbOf = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));

function surface(width, height) {
  const made = document.createElement("canvas");
  made.width = width;
  made.height = height;
  return made;
}

// -> {width, height, inside, area}: the mask; {x, y, fill, edge}: canvases of its extent, in the object's colour.
function decode(object) {
  const key = object.color + object.mask;
  if (!paints.has(key)) paints.set(key, decodeAnew(object)); // the promise: nothing is decoded twice
  return paints.get(key);
}

async function decodeAnew(object) {
  const image = new Image();
  image.src = object.mask;
  await image.decode();
  const width = image.naturalWidth;
  const height = image.naturalHeight;
  const pen = surface(width, height).getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  const data = pen.getImageData(0, 0, width, height);
  const pixels = new Uint32Array(data.data.buffer); // a pixel is 0xAABBGGRR
  const [red, green, blue] = rgbOf(object.color);
  const ink = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  const inside = new Uint8Array(pixels.length);
  let [area, x1, y1, x2, y2] = [0, width, height, 0, 0];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const on = pixels[at] & 1;
      inside[at] = on;
      pixels[at] = on ? ink : 0;
      if (!on) continue;
      area++;
      if (x < x1) x1 = x;
      if (x > x2) x2 = x;
      if (y < y1) y1 = y;
      y2 = y;
    }
  }
  if (!area) return { width, height, inside, area, x: 0, y: 0, fill: null, edge: null };
  const reach = Math.max(1, Math.round(Math.max(width, height) / 500));
  const margin = 2 * reach;
  const [left, top] = [x1 - margin, y1 - margin];
  const fill = surface(x2 - x1 + 1 + 2 * margin, y2 - y1 + 1 + 2 * margin);
  fill.getContext("2d").putImageData(data, -left, -top);
  return { width, height, inside, area, x: left, y: top, fill, edge: outline(fill, reach) };
}

// A line around the mask in its colour, and one in white around that: it shows on a ground of the same colour.
function outline(fill, reach) {
  const edge = spread(fill, 2 * reach);
  const pen = edge.getContext("2d");
  pen.globalCompositeOperation = "source-in";
  pen.fillStyle = "rgb(255 255 255 / 80%)";
  pen.fillRect(0, 0, edge.width, edge.height);
  pen.globalCompositeOperation = "source-over";
  pen.drawImage(spread(fill, reach), 0, 0);
  pen.globalCompositeOperation = "destination-out";
  pen.drawImage(fill, 0, 0);
  return edge;
}

// The mask moved by `reach` in eight directions, all on one canvas.
function spread(fill, reach) {
  const wide = surface(fill.width, fill.height);
  const pen = wide.getContext("2d");
  for (let k = 0; k < 8; k++) {
    const angle = (k * Math.PI) / 4;
    pen.drawImage(fill, Math.round(Math.cos(angle) * reach), Math.round(Math.sin(angle) * reach));
  }
  return wide;
}

// The smallest object whose mask is at a place given in pixels of the picture.
function objectAt([x, y]) {
  const [w, h] = state.view.wh;
  if (x < 0 || y < 0 || x >= w || y >= h) return undefined;
  const under = state.objects.filter(({ paint }) => {
    if (!paint) return false;
    return paint.inside[Math.floor((y / h) * paint.height) * paint.width + Math.floor((x / w) * paint.width)];
  });
  return under.sort((a, b) => a.paint.area - b.paint.area)[0];
}
