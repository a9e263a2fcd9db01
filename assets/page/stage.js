// The stage: paints the masks of `props.value` (page/stage.py, View) on a canvas over the picture.
// Runs as a function body once per component, with `element`, `props`, `watch` and `trigger` given by gr.HTML.

const find = (selector) => element.querySelector(selector);
const root = find(".stage");
const picture = find(".picture");
const canvas = find(".paint");
const tip = find(".tip");
const status = find(".status");
const chips = find(".chips");

const FADE_IN_MS = 350;
const layersOn = { masks: true, boxes: false, points: true };
const paints = new Map(); // an object's mask and colour -> its decoded paint
const firstSeen = new Map(); // an object's number -> when its mask first showed

let view = null; // the last View
let objects = []; // its objects, each with .paint once the mask is decoded
let opacity = 0.45;
let plain = false; // while Compare is held
let hovered = 0; // numbers of objects, 0 for none
let singled = 0;
let correcting = false; // a click corrects a mask instead of singling an object out
let frame = 0;
let updates = 0;

// ---- masks ----------------------------------------------------------------------------------------------------

function surface(width, height) {
  const made = document.createElement("canvas");
  made.width = width;
  made.height = height;
  return made;
}

// A PNG mask -> {fill, edge}: canvases tinted with the object's colour; {inside, area}: for finding what is pointed at.
async function decode(object) {
  const key = object.color + object.mask;
  if (paints.has(key)) return paints.get(key);
  const image = new Image();
  image.src = object.mask;
  await image.decode();
  const width = image.naturalWidth;
  const height = image.naturalHeight;

  const fill = surface(width, height);
  const pen = fill.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  const data = pen.getImageData(0, 0, width, height);
  const rgb = [1, 3, 5].map((at) => parseInt(object.color.slice(at, at + 2), 16));
  const inside = new Uint8Array(width * height);
  let area = 0;
  for (let i = 0; i < inside.length; i++) {
    inside[i] = data.data[4 * i] > 127;
    area += inside[i];
    data.data.set([...rgb, inside[i] ? 255 : 0], 4 * i);
  }
  pen.putImageData(data, 0, 0);

  // The outline: the mask moved a little in eight directions, less the mask itself.
  const edge = surface(width, height);
  const outline = edge.getContext("2d");
  const reach = Math.max(1, Math.round(Math.max(width, height) / 450));
  for (let k = 0; k < 8; k++) {
    const angle = (k * Math.PI) / 4;
    outline.drawImage(fill, Math.round(Math.cos(angle) * reach), Math.round(Math.sin(angle) * reach));
  }
  outline.globalCompositeOperation = "destination-out";
  outline.drawImage(fill, 0, 0);

  const paint = { fill, edge, inside, area, width, height };
  paints.set(key, paint);
  return paint;
}

// ---- painting -------------------------------------------------------------------------------------------------

const repaint = () => {
  if (!frame) frame = requestAnimationFrame(paintAll);
};

function paintAll(now) {
  frame = 0;
  const shown = canvas.getBoundingClientRect();
  const sharpness = window.devicePixelRatio || 1;
  canvas.width = Math.round(shown.width * sharpness);
  canvas.height = Math.round(shown.height * sharpness);
  const pen = canvas.getContext("2d");
  if (!view || plain) return;
  const scale = { x: canvas.width / view.wh[0], y: canvas.height / view.wh[1], line: 2 * sharpness };
  const focus = singled || hovered;
  for (const object of objects) {
    const age = now - (firstSeen.get(object.number) ?? now);
    const strength = (focus && focus !== object.number ? 0.25 : 1) * Math.min(1, age / FADE_IN_MS);
    if (object.paint && age < FADE_IN_MS) repaint();
    if (object.paint && layersOn.masks) paintMask(pen, object, strength, focus === object.number);
    pen.globalAlpha = focus && focus !== object.number ? 0.3 : 1;
    if (layersOn.boxes || !object.paint) paintBox(pen, object, scale);
    if (layersOn.points) for (const point of object.points) paintPoint(pen, point, object.color, scale);
    for (const [x, y, add] of object.clicks) paintPoint(pen, [x, y], add ? object.color : "#111", scale);
  }
}

function paintMask(pen, object, strength, focused) {
  pen.globalAlpha = strength * Math.min(1, opacity + (focused ? 0.2 : 0));
  pen.drawImage(object.paint.fill, 0, 0, canvas.width, canvas.height);
  pen.globalAlpha = strength;
  pen.drawImage(object.paint.edge, 0, 0, canvas.width, canvas.height);
}

function paintBox(pen, object, scale) {
  const [x1, y1, x2, y2] = object.box;
  pen.setLineDash(object.paint ? [] : [3 * scale.line, 2 * scale.line]); // dashed until the mask is there
  pen.lineWidth = scale.line;
  pen.strokeStyle = object.color;
  pen.strokeRect(x1 * scale.x, y1 * scale.y, (x2 - x1) * scale.x, (y2 - y1) * scale.y);
  pen.setLineDash([]);
}

function paintPoint(pen, [x, y], color, scale) {
  pen.beginPath();
  pen.arc(x * scale.x, y * scale.y, 2.5 * scale.line, 0, 2 * Math.PI);
  pen.fillStyle = color;
  pen.fill();
  pen.lineWidth = scale.line;
  pen.strokeStyle = "#fff";
  pen.stroke();
}

// ---- pointing -------------------------------------------------------------------------------------------------

const describe = (object) =>
  object.score === null ? "" + object.number : object.number + " · " + object.score.toFixed(2);

// Where the pointer is, as parts of the picture's width and height.
function place(event) {
  const shown = canvas.getBoundingClientRect();
  return { x: (event.clientX - shown.left) / shown.width, y: (event.clientY - shown.top) / shown.height };
}

// The smallest object whose mask is under the pointer.
function objectAt(event) {
  const { x, y } = place(event);
  const under = objects.filter(({ paint }) => {
    if (!paint || x < 0 || y < 0 || x >= 1 || y >= 1) return false;
    return paint.inside[Math.floor(y * paint.height) * paint.width + Math.floor(x * paint.width)];
  });
  return under.sort((a, b) => a.paint.area - b.paint.area)[0];
}

function hover(number) {
  if (number === hovered) return;
  hovered = number;
  repaint();
}

function single(number) {
  singled = singled === number ? 0 : number;
  for (const chip of chips.children) chip.setAttribute("aria-pressed", chip.dataset.number == singled);
  repaint();
}

function showTip(object, event) {
  tip.classList.toggle("shown", Boolean(object));
  if (!object) return;
  tip.textContent = describe(object);
  const box = find(".frame").getBoundingClientRect();
  tip.style.left = Math.min(box.width - tip.offsetWidth - 6, event.clientX - box.left + 12) + "px";
  tip.style.top = event.clientY - box.top + 14 + "px";
}

canvas.addEventListener("pointermove", (event) => {
  if (event.pointerType === "touch") return;
  const object = objectAt(event);
  hover(object ? object.number : 0);
  showTip(object, event);
});
canvas.addEventListener("pointerleave", () => {
  hover(0);
  showTip(null);
});
// Which object a correction is for: the one singled out, else the one pointed at, else the only one.
function correct(event, add) {
  const object = objectAt(event);
  const number = singled || (object && object.number) || (objects.length === 1 && 1);
  if (!number || root.dataset.state !== "done") return;
  const { x, y } = place(event);
  trigger("correct", { number, x: x * view.wh[0], y: y * view.wh[1], add });
}

canvas.addEventListener("contextmenu", (event) => {
  if (!correcting) return;
  event.preventDefault();
  correct(event, false);
});
canvas.addEventListener("click", (event) => {
  if (correcting) return correct(event, !event.altKey);
  const object = objectAt(event);
  if (object || singled) single(object ? object.number : singled);
});

function drawChips() {
  const made = objects.map((object) => {
    const chip = document.createElement("button");
    const swatch = document.createElement("i");
    const text = document.createElement("span");
    swatch.style.background = object.color;
    text.textContent = describe(object);
    chip.append(swatch, text);
    chip.dataset.number = object.number;
    chip.title = "Single out object " + object.number + " (the number beside it: how sure the segmenter is)";
    chip.setAttribute("aria-pressed", object.number === singled);
    chip.addEventListener("pointerenter", () => hover(object.number));
    chip.addEventListener("pointerleave", () => hover(0));
    chip.addEventListener("click", () => single(object.number));
    return chip;
  });
  chips.replaceChildren(...made);
}

// ---- the bar --------------------------------------------------------------------------------------------------

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const layer = button.dataset.layer;
  if (layer) {
    layersOn[layer] = !layersOn[layer];
    button.setAttribute("aria-pressed", layersOn[layer]);
    repaint();
  }
  if (button.dataset.do === "correct") {
    correcting = !correcting;
    button.setAttribute("aria-pressed", correcting);
    canvas.classList.toggle("correcting", correcting);
  }
  if (button.dataset.do === "another") trigger("another", {});
  if (button.dataset.do === "fullscreen") {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (root.requestFullscreen) root.requestFullscreen();
  }
});

const compare = find("[data-hold]");
const hold = (held) => {
  plain = held;
  repaint();
};
compare.addEventListener("pointerdown", () => hold(true));
for (const end of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) {
  compare.addEventListener(end, () => hold(false));
}
compare.addEventListener("keydown", (event) => {
  if (event.key === " " || event.key === "Enter") hold(true);
});
find("input[type=range]").addEventListener("input", (event) => {
  opacity = event.target.value / 100;
  repaint();
});

// ---- updates --------------------------------------------------------------------------------------------------

function forget() {
  for (const map of [paints, firstSeen]) map.clear();
  objects = [];
  singled = hovered = 0;
}

async function update() {
  const turn = ++updates;
  const next = props.value;
  root.dataset.state = next ? next.state : "empty";
  status.hidden = !(next && next.status);
  status.querySelector("span").textContent = next ? next.status : "";
  const source = next ? next.picture.url || next.picture.path : "";
  const anew = !next || picture.getAttribute("src") !== source || next.objects.length < objects.length;
  if (anew) forget();
  if (next) find(".fit").style.setProperty("--ratio", next.wh[0] / next.wh[1]);
  if (!next) picture.removeAttribute("src");
  else if (picture.getAttribute("src") !== source) picture.src = source;

  const decoded = await Promise.all(
    (next ? next.objects : []).map(async (object) => ({
      ...object,
      paint: object.mask ? await decode(object) : null,
    }))
  );
  if (turn !== updates) return; // a newer update came while this one was decoding
  view = next;
  objects = decoded;
  for (const object of objects) {
    if (object.paint && !firstSeen.has(object.number)) firstSeen.set(object.number, performance.now());
  }
  drawChips();
  repaint();
}

picture.addEventListener("load", repaint);
new ResizeObserver(repaint).observe(canvas);
// Keyframes cannot live in the component's scoped style, so the sweep of light over a busy picture is animated here.
find(".sweep").animate([{ backgroundPosition: "140% 0" }, { backgroundPosition: "-60% 0" }], {
  duration: 1800,
  iterations: Infinity,
});
watch("value", update);
update();
