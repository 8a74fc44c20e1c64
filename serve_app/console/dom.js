// Makes elements. Text only ever becomes text nodes and attributes, never markup, so whatever a
// task, a queue or an error is called, it can only be shown. Knows nothing of tasks.

const SVG = "http://www.w3.org/2000/svg";

/** An element. Attributes that are null or false are left out; `onclick` and its like listen. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element, as `el`. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  const parts = children.flat(Infinity);
  node.append(...parts.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Set text only if it changes, so that screen readers and selections are left in peace. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Show `text` in an element that is hidden when there is none. */
export function setNote(node, text) {
  setText(node, text ?? "");
  node.hidden = !text;
}

/**
 * Put `fresh` in the place of `current` if it differs, and return what is there then.
 * The focus stays on the element with the same data-focus.
 */
export function swap(current, fresh) {
  keepTimes(current, fresh);
  if (current.isEqualNode(fresh)) return current;
  const active = document.activeElement;
  const focus = current.contains(active) ? active.dataset.focus : undefined;
  current.replaceWith(fresh);
  if (focus) fresh.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
  return fresh;
}

/** As `swap`, for all children of an element, position by position. */
export function setChildren(parent, children) {
  const wanted = children.flat(Infinity).filter(Boolean);
  while (parent.children.length > wanted.length) parent.lastElementChild.remove();
  wanted.forEach((fresh, index) => {
    const current = parent.children[index];
    if (current) swap(current, fresh);
    else parent.append(fresh);
  });
}

// The words of relative times change by themselves: they alone are no reason to replace anything.
function keepTimes(current, fresh) {
  const now = current.querySelectorAll("time[data-relative]");
  fresh.querySelectorAll("time[data-relative]").forEach((time, index) => {
    if (now[index]?.dateTime === time.dateTime) time.textContent = now[index].textContent;
  });
}
