// The stage (page/stage.py): its parts in the page, and all that changes while somebody looks at it.
// The stage*.js files run as one function body, once a component, with `element`, `props`, `watch`, `trigger`.

const find = (selector) => element.querySelector(selector);
const root = find(".stage");
const picture = find(".picture");
const canvas = find(".paint");
const status = find(".status");

const state = {
  view: null, // the last View
  objects: [], // its objects, each with .paint once the mask is decoded
  layers: { masks: true, boxes: false, points: true },
  opacity: 0.45,
  plain: false, // while Compare is held
  hovered: 0, // numbers of objects, 0 for none
  singled: 0,
  tool: "", // "add" or "remove" while correcting: what a click does
  drag: null, // a pointer that is down: {id, handle, from, whole, box, start, moved}; see stage_pointer.js
  waiting: [], // clicks that the server has not answered: [x, y, add]
  cursor: null, // where the keyboard points: [x, y]
  inspecting: false,
};

const objectOf = (number) => state.objects.find((object) => object.number === number);
const called = (object) => [object.number, object.label].filter(Boolean).join(" ");
const describe = (object) =>
  object.score === null ? called(object) : called(object) + " · " + object.score.toFixed(2);

// A node with a class and a text. Text of people and models only ever gets into the page like this.
function node(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
