// The form that submits a task. What is left empty is taken from the task's own options.

import { actionEvents } from "./actions.js";
import { byId, el, setNote, setText } from "./dom.js";
import { submitTask } from "./endpoints.js";
import { checkedText } from "./exact_json.js";
import { shortId } from "./task_parts.js";
import { change } from "./address.js";

const dialog = byId("submit");
const form = dialog.querySelector("form");
const problem = dialog.querySelector(".problem");
let typeName = "";

/** Open the form for a registered task. */
export function openSubmit(type) {
  if (type.name !== typeName) form.reset(); // the same task again: keep what was typed
  typeName = type.name;
  setText(byId("submit-title"), `Submit ${type.name}`);
  setText(byId("submit-signature"), type.signature);
  setText(byId("submit-doc"), type.doc);
  form.elements.queue.placeholder = type.queue;
  form.elements.priority.placeholder = String(type.priority);
  setNote(problem, null);
  byId("submit-done").hidden = true;
  dialog.showModal();
  form.elements.args.focus();
}

byId("submit-close").addEventListener("click", () => dialog.close());

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("[type=submit]");
  button.disabled = true; // a double click must not submit two tasks
  setNote(problem, null);
  byId("submit-done").hidden = true;
  try {
    showDone(await submitTask(bodyText()));
    actionEvents.dispatchEvent(new Event("done"));
  } catch (error) {
    setNote(problem, error.errors?.length > 1 ? error.errors.join("\n") : error.message);
  } finally {
    button.disabled = false;
  }
});

// The arguments go into the body as they were typed: JavaScript would round large numbers.
function bodyText() {
  const { args, kwargs, queue, priority } = form.elements;
  const members = [
    `"name": ${JSON.stringify(typeName)}`,
    `"args": ${checkedText(args.value, "list", "Arguments")}`,
    `"kwargs": ${checkedText(kwargs.value, "object", "Named arguments")}`,
  ];
  if (queue.value.trim()) members.push(`"queue": ${JSON.stringify(queue.value.trim())}`);
  if (priority.value !== "") members.push(`"priority": ${Number(priority.value)}`);
  return `{${members.join(", ")}}`;
}

function showDone({ task_id: id, status }) {
  const open = () => {
    dialog.close();
    change({ task: id }, true);
  };
  const link = el("button", { type: "button", class: "link", onclick: open }, "Open it");
  byId("submit-done").replaceChildren(`Task ${shortId(id)} is ${status}. `, link);
  byId("submit-done").hidden = false;
}
