// What a person does: buttons that call the API, messages about how it went, and the question
// before something that cannot be undone.

import { byId, el, setText } from "./dom.js";

const GOOD_NEWS_MILLISECONDS = 6_000;

/** Says "done" after every action that changed something. */
export const actionEvents = new EventTarget();

/** Show a message. Good news goes by itself, bad news waits to be read. */
export function notice(text, { bad = false, link = null } = {}) {
  const close = el("button", { type: "button", "aria-label": "Dismiss this message" }, "×");
  const node = el(
    "div",
    { class: bad ? "notice bad" : "notice" },
    el("p", {}, text, link && " ", link),
    close,
  );
  close.addEventListener("click", () => node.remove());
  byId("notices").append(node);
  if (!bad) setTimeout(() => node.remove(), GOOD_NEWS_MILLISECONDS);
}

/**
 * A button that runs `act()`, which returns what to say when it is done (null: nothing, and
 * nothing changed). `focus` names it among the buttons of its row.
 */
export function actionButton(label, act, { focus = label, about = "", danger = false } = {}) {
  const button = el(
    "button",
    {
      type: "button",
      "data-focus": focus,
      class: danger && "danger",
      "aria-label": about && `${label} ${about}`,
    },
    label,
  );
  button.addEventListener("click", () => run(act));
  return button;
}

/** Run an action and tell how it went. */
export async function run(act) {
  try {
    const said = await act();
    if (said === null) return;
    notice(said);
    actionEvents.dispatchEvent(new Event("done"));
  } catch (error) {
    notice(error.message, { bad: true });
  }
}

/** Ask before something that cannot be undone; true if the person wants it. */
export function confirmed(question, detail, verb) {
  const dialog = byId("confirm");
  const [back, yes] = dialog.querySelectorAll("button");
  setText(byId("confirm-question"), question);
  setText(byId("confirm-detail"), detail);
  setText(yes, verb);
  return new Promise((resolve) => {
    back.onclick = () => dialog.close("");
    yes.onclick = () => dialog.close("yes");
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
    back.focus();
  });
}
