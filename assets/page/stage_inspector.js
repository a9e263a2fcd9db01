// The inspector: what the model wrote, in its frame and in the picture, and all masks considered for an object.

const inspector = find(".inspector");

function openInspector(number) {
  state.inspecting = true;
  trigger("inspect", { number });
}

function closeInspector() {
  state.inspecting = false;
  inspector.hidden = true;
  find("[data-do=inspect]").setAttribute("aria-pressed", "false");
}

function drawInspector() {
  const found = state.view && state.view.inspection;
  if (!found || !state.inspecting) return closeInspector();
  find("[data-do=inspect]").setAttribute("aria-pressed", "true");
  const parts = [node("h3", "", "What the model wrote"), node("pre", "", found.raw)];
  if (found.problem) parts.push(node("p", "problem", found.problem));
  if (found.objects.length) parts.push(...drawTargets(found), ...drawCandidates(found));
  parts.push(node("h3", "", "Where the time went"), drawSeconds(found.seconds));
  const reopened = inspector.hidden;
  inspector.hidden = false;
  find(".inspected").replaceChildren(...parts);
  if (reopened) inspector.querySelector("button").focus({ preventScroll: true });
}

function row(tag, texts) {
  const made = node("tr");
  made.append(...texts.map((text) => (text instanceof Node ? text : node(tag, "", text))));
  return made;
}

// Box x1, y1, x2, y2 and points, as the model wrote them and as they are used.
function drawTargets(found) {
  const table = node("table");
  table.append(row("th", ["", "Model's frame, " + found.frame, "Picture, " + found.picture]));
  for (const object of found.objects) {
    const cell = node("td");
    const choose = node("button", "", object.number);
    choose.style.borderColor = object.color;
    choose.setAttribute("aria-pressed", object.number === found.number);
    choose.setAttribute("aria-label", "Masks considered for object " + object.number);
    choose.addEventListener("click", () => openInspector(object.number));
    cell.append(choose);
    table.append(row("td", [cell, object.written, object.target]));
  }
  return [node("h3", "", "Boxes and points"), table];
}

function drawCandidates(found) {
  const list = node("div", "candidates");
  found.candidates.forEach((candidate, index) => {
    const figure = node("figure", index ? "" : "taken");
    const thumb = surface(1, 1);
    figure.append(thumb, node("figcaption", "", candidate.score + (index ? "" : " · taken")));
    list.append(figure);
    drawThumb(thumb, candidate, found.window);
  });
  return [node("h3", "", "Masks considered for object " + found.number), list];
}

// The part of the picture around the object, with one of the masks.
async function drawThumb(thumb, candidate, [x1, y1, x2, y2]) {
  const paint = await decode(candidate);
  thumb.width = paint.width;
  thumb.height = paint.height;
  const pen = thumb.getContext("2d");
  const k = picture.naturalWidth / state.view.wh[0]; // the page has a reduced copy
  pen.drawImage(picture, x1 * k, y1 * k, (x2 - x1) * k, (y2 - y1) * k, 0, 0, thumb.width, thumb.height);
  pen.globalAlpha = 0.65;
  if (paint.fill) pen.drawImage(paint.fill, paint.x, paint.y);
}

function drawSeconds(seconds) {
  const list = node("dl");
  for (const [name, value] of seconds) {
    const pair = node("div");
    pair.append(node("dt", "", name.replace("_", " ")), node("dd", "", value));
    list.append(pair);
  }
  return list;
}
