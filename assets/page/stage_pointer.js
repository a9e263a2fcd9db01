// Mouse, finger and keys on the picture: hover and single out; while correcting, click points and drag boxes.

const CLICK_PX = 5; // a pointer that moves less has clicked
const tip = find(".tip");

// Where the pointer is, in pixels of the picture.
function placeOf(event) {
  const shown = canvas.getBoundingClientRect();
  const [w, h] = state.view.wh;
  return [((event.clientX - shown.left) / shown.width) * w, ((event.clientY - shown.top) / shown.height) * h];
}

function hover(number) {
  if (number === state.hovered) return;
  state.hovered = number;
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

const removes = (event) =>
  event.button === 2 || event.altKey || event.shiftKey || event.ctrlKey || state.tool === "remove";

// The handle of the singled object's box that a pointer is on: "nw", "e", …, or "" for none.
function handleAt(event) {
  const object = objectOf(state.singled);
  if (!object) return "";
  const shown = canvas.getBoundingClientRect();
  const [w, h] = state.view.wh;
  const reach = event.pointerType === "touch" ? 16 : 8;
  const hit = handlesOf(object.box).find(([, [x, y]]) => {
    const dx = shown.left + (x / w) * shown.width - event.clientX;
    const dy = shown.top + (y / h) * shown.height - event.clientY;
    return Math.max(Math.abs(dx), Math.abs(dy)) <= reach;
  });
  return hit ? hit[0] : "";
}

// The box that a drag makes: one of its sides or corners moved, or a new one from where the drag began.
function dragged({ handle, from, whole }, [x, y]) {
  if (!handle) {
    return [Math.min(from[0], x), Math.min(from[1], y), Math.max(from[0], x), Math.max(from[1], y)];
  }
  let [x1, y1, x2, y2] = whole;
  if (handle.includes("w")) x1 = x;
  if (handle.includes("e")) x2 = x;
  if (handle.includes("n")) y1 = y;
  if (handle.includes("s")) y2 = y;
  return [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)];
}

const clipped = ([x, y]) => [
  Math.min(Math.max(x, 0), state.view.wh[0]),
  Math.min(Math.max(y, 0), state.view.wh[1]),
];

function addPoint([x, y], add) {
  const [w, h] = state.view.wh;
  if (x < 0 || y < 0 || x >= w || y >= h || state.view.state !== "done") return;
  state.waiting.push([x, y, add]);
  repaint();
  trigger("correct", { number: state.singled, x, y, add });
}

canvas.addEventListener("pointerdown", (event) => {
  if (!state.tool || state.drag || event.button === 1 || !objectOf(state.singled)) return;
  event.preventDefault();
  canvas.focus({ preventScroll: true });
  canvas.setPointerCapture(event.pointerId);
  const { box } = objectOf(state.singled);
  const start = [event.clientX, event.clientY];
  state.cursor = null;
  const [handle, from, id] = [handleAt(event), placeOf(event), event.pointerId];
  state.drag = { id, handle, from, whole: box, box, start, moved: false };
});

canvas.addEventListener("pointermove", (event) => {
  if (!state.view) return;
  const { drag } = state;
  if (drag) {
    if (event.pointerId !== drag.id) return; // a second finger
    const far = Math.hypot(event.clientX - drag.start[0], event.clientY - drag.start[1]);
    drag.moved ||= far > CLICK_PX;
    drag.box = dragged(drag, clipped(placeOf(event)));
    return repaint();
  }
  if (event.pointerType === "touch") return;
  if (state.tool) {
    const handle = handleAt(event);
    canvas.style.cursor = handle ? handle + "-resize" : "crosshair";
    return;
  }
  const object = objectAt(placeOf(event));
  hover(object ? object.number : 0);
  showTip(object, event);
});

canvas.addEventListener("pointerup", (event) => {
  const { drag } = state;
  if (!drag || event.pointerId !== drag.id) return;
  state.drag = null;
  if (!drag.moved) {
    if (!drag.handle) addPoint(drag.from, !removes(event));
  } else if (state.view.state === "done") {
    const object = objectOf(state.singled);
    if (object) object.box = drag.box; // shown at once; the server's answer brings it again
    trigger("correct", { number: state.singled, box: drag.box });
  }
  repaint();
});
canvas.addEventListener("pointercancel", () => {
  state.drag = null;
  repaint();
});
canvas.addEventListener("pointerleave", () => {
  hover(0);
  showTip(null);
});
canvas.addEventListener("contextmenu", (event) => {
  if (state.tool) event.preventDefault();
});
canvas.addEventListener("click", (event) => {
  if (state.tool || !state.view) return;
  const object = objectAt(placeOf(event));
  if (object || state.singled) single(object ? object.number : state.singled);
});

// While correcting: arrows move a cursor (with Shift ten times as far), Enter adds a point there, Delete removes.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (event) => {
  if (!state.tool) return;
  const [w, h] = state.view.wh;
  const { key } = event;
  if (key in ARROWS) {
    const step = (Math.max(w, h) / 200) * (event.shiftKey ? 10 : 1);
    const [x, y] = state.cursor || [w / 2, h / 2];
    state.cursor = clipped([x + ARROWS[key][0] * step, y + ARROWS[key][1] * step]);
    repaint();
  } else if (state.cursor && ["Enter", " ", "Delete", "Backspace"].includes(key)) {
    const takesAway = key === "Delete" || key === "Backspace" || state.tool === "remove";
    addPoint(state.cursor, !takesAway);
  } else return;
  event.preventDefault();
});
canvas.addEventListener("blur", () => {
  state.cursor = null;
  repaint();
});
