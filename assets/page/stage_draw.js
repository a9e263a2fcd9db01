// Painting: masks, boxes, points, and the tools of a correction, on the canvas over the picture.

const FADE_IN_MS = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1 : 350;
const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"]; // of a box, clockwise
const firstSeen = new Map(); // an object's number -> when its mask first showed
let frame = 0;

const repaint = () => {
  if (!frame) frame = requestAnimationFrame(paintAll);
};

function paintAll(now) {
  frame = 0;
  const shown = canvas.getBoundingClientRect();
  const sharpness = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(shown.width * sharpness), Math.round(shown.height * sharpness)];
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const pen = canvas.getContext("2d");
  pen.globalAlpha = 1;
  pen.clearRect(0, 0, width, height);
  if (!state.view || state.plain) return;
  const [w, h] = state.view.wh;
  const scale = { x: width / w, y: height / h, line: 2 * sharpness };
  for (const object of state.objects) paintObject(pen, object, scale, now);
  pen.globalAlpha = 1;
  if (state.tool) paintTools(pen, scale);
}

function paintObject(pen, object, scale, now) {
  const focus = state.singled || state.hovered;
  const aside = focus && focus !== object.number;
  const age = object.paint ? now - (firstSeen.get(object.number) ?? now) : FADE_IN_MS;
  if (age < FADE_IN_MS) repaint();
  const { masks, boxes, points } = state.layers;
  const strength = (aside ? 0.25 : 1) * Math.min(1, Math.max(0.02, age / FADE_IN_MS));
  if (object.paint && masks) paintMask(pen, object, strength, focus === object.number);
  pen.globalAlpha = aside ? 0.3 : 1;
  if (boxes || !object.paint) paintBox(pen, object.box, object.color, scale, !object.paint);
  if (points) for (const point of object.points) paintPin(pen, point, object, scale);
  for (const click of object.clicks) paintClick(pen, click, object.color, scale);
}

function paintMask(pen, { paint }, strength, focused) {
  if (!paint.fill) return; // nothing is left of it
  const [kx, ky] = [canvas.width / paint.width, canvas.height / paint.height];
  const place = [paint.x * kx, paint.y * ky, paint.fill.width * kx, paint.fill.height * ky];
  pen.globalAlpha = strength * Math.min(1, state.opacity + (focused ? 0.15 : 0));
  pen.drawImage(paint.fill, ...place);
  pen.globalAlpha = strength;
  pen.drawImage(paint.edge, ...place);
}

function paintBox(pen, [x1, y1, x2, y2], color, scale, dashed) {
  pen.setLineDash(dashed ? [3 * scale.line, 2 * scale.line] : []);
  for (const [ink, width] of [["rgb(0 0 0 / 35%)", 2 * scale.line], [color, scale.line]]) {
    pen.lineWidth = width;
    pen.strokeStyle = ink;
    pen.strokeRect(x1 * scale.x, y1 * scale.y, (x2 - x1) * scale.x, (y2 - y1) * scale.y);
  }
  pen.setLineDash([]);
}

function disc(pen, [x, y], radius, scale, fill, rim) {
  pen.beginPath();
  pen.arc(x * scale.x, y * scale.y, radius * scale.line, 0, 2 * Math.PI);
  pen.fillStyle = fill;
  pen.fill();
  pen.lineWidth = scale.line;
  pen.strokeStyle = rim;
  pen.stroke();
}

// The point that the model named; with the object's number when there are several.
function paintPin(pen, point, object, scale) {
  const many = state.objects.length > 1;
  disc(pen, point, many ? 4.5 : 3, scale, object.color, "#fff");
  if (object.label) paintName(pen, point, object, scale);
  if (!many) return;
  const [red, green, blue] = rgbOf(object.color);
  pen.fillStyle = 0.299 * red + 0.587 * green + 0.114 * blue > 120 ? "#000" : "#fff";
  pen.font = "bold " + 5.5 * scale.line + "px sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(object.number, point[0] * scale.x, point[1] * scale.y + scale.line * 0.4);
}

// What the answer calls an object, beside its point: on the picture itself, so with a rim that shows on anything.
function paintName(pen, point, object, scale) {
  pen.font = "bold " + 6 * scale.line + "px sans-serif";
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.lineWidth = 1.5 * scale.line;
  pen.strokeStyle = "#000";
  pen.fillStyle = "#fff";
  const place = [point[0] * scale.x + 7 * scale.line, point[1] * scale.y];
  pen.strokeText(object.label, ...place);
  pen.fillText(object.label, ...place);
}

// A point of a correction: a plus where it adds, a minus where it removes.
function paintClick(pen, [x, y, add], color, scale) {
  disc(pen, [x, y], 3.6, scale, add ? color : "#0f172a", "#fff");
  const [cx, cy, arm] = [x * scale.x, y * scale.y, 1.9 * scale.line];
  pen.beginPath();
  pen.moveTo(cx - arm, cy);
  pen.lineTo(cx + arm, cy);
  if (add) pen.moveTo(cx, cy - arm);
  if (add) pen.lineTo(cx, cy + arm);
  pen.lineWidth = 0.8 * scale.line;
  pen.strokeStyle = add ? "#000" : "#fff";
  pen.stroke();
}

// Where the handles of a box are, in the picture's pixels.
function handlesOf([x1, y1, x2, y2]) {
  const at = { n: y1, s: y2, w: x1, e: x2 };
  return HANDLES.map((name) => {
    const [first, second] = [name[0], name[1] || ""];
    const y = "ns".includes(first) ? at[first] : (y1 + y2) / 2;
    const x = "ew".includes(first) ? at[first] : second ? at[second] : (x1 + x2) / 2;
    return [name, [x, y]];
  });
}

function paintTools(pen, scale) {
  const object = objectOf(state.singled);
  if (!object) return;
  const box = state.drag && state.drag.moved ? state.drag.box : object.box;
  paintBox(pen, box, object.color, scale, Boolean(state.drag && state.drag.moved));
  for (const [, [x, y]] of handlesOf(box)) {
    const side = 4 * scale.line;
    pen.fillStyle = "#fff";
    pen.strokeStyle = "#0f172a";
    pen.lineWidth = 0.75 * scale.line;
    pen.beginPath();
    pen.rect(x * scale.x - side / 2, y * scale.y - side / 2, side, side);
    pen.fill();
    pen.stroke();
  }
  pen.globalAlpha = 0.6;
  for (const click of state.waiting) paintClick(pen, click, object.color, scale);
  pen.globalAlpha = 1;
  if (state.cursor) paintCursor(pen, state.cursor, scale);
}

function paintCursor(pen, [x, y], scale) {
  const [cx, cy, arm] = [x * scale.x, y * scale.y, 8 * scale.line];
  for (const [ink, width] of [["#000", 2.2], ["#fff", 1]]) {
    pen.beginPath();
    pen.moveTo(cx - arm, cy);
    pen.lineTo(cx + arm, cy);
    pen.moveTo(cx, cy - arm);
    pen.lineTo(cx, cy + arm);
    pen.lineWidth = width * scale.line;
    pen.strokeStyle = ink;
    pen.stroke();
  }
}
