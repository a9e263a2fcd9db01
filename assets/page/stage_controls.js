// The bar under the picture, the chips, and what they switch: layers, correcting, full screen, earlier answers.

const chips = find(".chips");
const HINT = matchMedia("(pointer: coarse)").matches
  ? "tap it, or drag a box around it"
  : "click adds, Shift + click removes, drag draws its box";

function single(number) {
  state.singled = state.singled === number && !state.tool ? 0 : number;
  for (const chip of chips.children) {
    chip.setAttribute("aria-pressed", Number(chip.dataset.number) === state.singled);
  }
  if (state.tool) say("Object " + state.singled + ": " + HINT);
  repaint();
}

function say(text) {
  status.hidden = !text;
  status.querySelector("span").textContent = text;
}

function drawChips() {
  const made = state.objects.map((object) => {
    const chip = node("button");
    const swatch = node("i");
    swatch.style.background = object.color;
    chip.append(swatch, node("span", "", describe(object)));
    chip.dataset.number = object.number;
    chip.title = "Single out object " + object.number + "; the score is the segmenter's own estimate";
    chip.setAttribute("aria-pressed", object.number === state.singled);
    chip.addEventListener("pointerenter", () => hover(object.number));
    chip.addEventListener("pointerleave", () => hover(0));
    chip.addEventListener("focus", () => hover(object.number));
    chip.addEventListener("blur", () => hover(0));
    chip.addEventListener("click", () => single(object.number));
    return chip;
  });
  const focused = [...chips.children].indexOf(document.activeElement);
  chips.replaceChildren(...made);
  chips.classList.toggle("more", chips.scrollWidth > chips.clientWidth);
  if (focused >= 0 && made[focused]) made[focused].focus();
}

// tool: "add", "remove", or "" to look only.
function use(tool) {
  const began = !state.tool && tool;
  state.tool = tool;
  root.dataset.mode = tool ? "correct" : "look";
  state.drag = state.cursor = null;
  canvas.style.cursor = "";
  canvas.tabIndex = tool ? 0 : -1;
  for (const button of element.querySelectorAll("[data-tool]")) {
    button.setAttribute("aria-pressed", button.dataset.tool === tool);
  }
  if (began) {
    closeInspector();
    single(state.singled || state.objects[0].number);
    find("[data-tool=add]").focus({ preventScroll: true });
  } else if (!tool) {
    state.singled = 0;
    drawChips();
    say(state.view ? state.view.status : "");
  }
  repaint();
}

const ACTIONS = {
  another: () => trigger("another", {}),
  correct: () => use("add"),
  done: () => {
    use("");
    find("[data-do=correct]").focus({ preventScroll: true });
  },
  undo: () => trigger("undo", {}),
  save: () => trigger("save", {}),
  take: () => trigger("take", {}),
  inspect: () => (state.inspecting ? closeInspector() : openInspector(state.singled || 1)),
  earlier: () => trigger("recall", { number: state.view.number - 1 }),
  later: () => trigger("recall", { number: state.view.number + 1 }),
  fullscreen: () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (root.requestFullscreen) root.requestFullscreen();
  },
};

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || button.disabled) return;
  const { layer, tool } = button.dataset;
  if (layer) {
    state.layers[layer] = !state.layers[layer];
    button.setAttribute("aria-pressed", state.layers[layer]);
    repaint();
  } else if (tool) use(tool);
  else if (button.dataset.do) ACTIONS[button.dataset.do]();
});

document.addEventListener("keydown", (event) => {
  if (!state.view || !element.isConnected || event.target.matches("textarea, input:not([type=range])")) return;
  if (event.key === "Escape" && state.inspecting) closeInspector();
  else if (event.key === "Escape" && state.tool) ACTIONS.done();
  else if (event.key === "z" && (event.ctrlKey || event.metaKey) && state.view.undoable) trigger("undo", {});
  else return;
  event.preventDefault();
});

const compare = find("[data-hold]");
function hold(held) {
  state.plain = held;
  repaint();
}
compare.addEventListener("pointerdown", () => hold(true));
for (const end of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) {
  compare.addEventListener(end, () => hold(false));
}
compare.addEventListener("keydown", (event) => {
  if (event.key === " " || event.key === "Enter") hold(true);
});
compare.addEventListener("contextmenu", (event) => event.preventDefault());
find("input[type=range]").addEventListener("input", (event) => {
  state.opacity = event.target.value / 100;
  repaint();
});

// What can be pressed now, and which answer of how many is shown.
function drawControls() {
  const { view } = state;
  const settled = Boolean(view) && view.state === "done";
  const answered = settled && view.answered;
  const enable = (name, on) => (find("[data-do=" + name + "]").disabled = !on);
  enable("correct", answered && state.objects.length > 0);
  enable("inspect", answered);
  enable("take", answered);
  enable("undo", settled && view.undoable);
  enable("save", answered);
  find("[data-do=save]").hidden = !props.saves;
  find(".turns").hidden = !view || view.count < 2;
  // The conversation marks the question whose answer is shown, when there are several.
  document.querySelectorAll("#chat .user-row").forEach((asked, index) => {
    asked.toggleAttribute("data-shown", Boolean(view) && view.count > 1 && index === view.number - 1);
  });
  if (!view) return;
  find(".turns span").textContent = view.number + " / " + view.count;
  enable("earlier", settled && view.number > 1);
  enable("later", settled && view.number < view.count);
}
