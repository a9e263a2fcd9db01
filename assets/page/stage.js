// Each new value (page/stage.py, View) becomes what is shown. The last of the stage's scripts: it starts them all.

let updates = 0;

function forget() {
  firstSeen.clear();
  state.objects = [];
  state.singled = state.hovered = 0;
  state.waiting = [];
  state.inspecting = false;
}

async function update() {
  const turn = ++updates;
  const next = props.value || null;
  const source = next ? next.picture.url || next.picture.path : "";
  const other = picture.getAttribute("src") !== source;
  const before = state.view;
  root.dataset.state = next ? next.state : "empty";
  root.dataset.tone = next ? next.tone : "";
  if (next && next.state === "busy") sweep.play();
  else sweep.pause();
  say(next ? next.status : "");
  if (other) paints.clear();
  if (!next || other || !before || next.number !== before.number) {
    state.view = next;
    forget();
    use("");
  }
  if (next) find(".fit").style.setProperty("--ratio", next.wh[0] / next.wh[1]);
  if (!next) picture.removeAttribute("src");
  else if (other) picture.src = source;

  const decoded = await Promise.all(
    (next ? next.objects : []).map(async (object) => ({
      ...object,
      paint: object.mask ? await decode(object) : null,
    }))
  );
  if (turn !== updates) return; // a newer update came while this one was decoding
  state.view = next;
  state.objects = decoded;
  state.waiting = [];
  for (const object of decoded) {
    if (object.paint && !firstSeen.has(object.number)) firstSeen.set(object.number, performance.now());
  }
  drawChips();
  drawControls();
  drawInspector();
  repaint();
}

picture.addEventListener("load", repaint);
new ResizeObserver(repaint).observe(canvas);
// Keyframes cannot live in the component's scoped style, so the light that sweeps over a busy picture moves here.
const sweep = find(".sweep i").animate([{ transform: "translateX(-100%)" }, { transform: "translateX(340%)" }], {
  duration: 1600,
  iterations: Infinity,
});
watch("value", update);
update();
