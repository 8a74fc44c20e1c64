// Pieces that several views show of a task or a worker.

import { el } from "./dom.js";
import { href } from "./address.js";

/** A status: always a word, the colour only repeats it. */
export function statusMark(status) {
  return el("span", { class: "status", "data-status": status.toLowerCase() }, status);
}

/** A link that opens a task beside whatever view is open. */
export function taskLink(id, text = shortId(id)) {
  return el(
    "a",
    { href: href("tasks", { task: id }), "data-task": id, "data-focus": "task", title: id },
    text,
  );
}

/** The end of an id: ids begin with a time, so neighbours differ only there. */
export const shortId = (id) => `…${id.slice(-12)}`;

/** A bar that shows `value` of `most`; the text beside it says the same. */
export function loadBar(value, most) {
  const bar = el("span", { class: "load", "aria-hidden": "true" }, el("span", {}));
  bar.firstChild.style.inlineSize = `${most > 0 ? Math.min(100, (100 * value) / most) : 0}%`;
  return bar;
}
