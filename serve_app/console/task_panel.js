// One task beside the lists: what it is, how it failed, what happened, what it wrote and returned.

import { actionButton, confirmed } from "./actions.js";
import { Refusal } from "./api.js";
import { change, current } from "./address.js";
import { byId, el, setChildren, setNote, setText } from "./dom.js";
import {
  cancelTask,
  retryTask,
  task as readTask,
  taskLogs,
  taskResult,
  taskTimeline,
} from "./endpoints.js";
import { pretty } from "./exact_json.js";
import { absolute, between, count, duration, timeOfDay, when } from "./format.js";
import { shortId, statusMark } from "./task_parts.js";

const OVER = ["COMPLETED", "FAILED", "CANCELLED", "EXPIRED"];
const CAN_RETRY = ["FAILED", "CANCELLED", "EXPIRED"];
const MOST_CHARACTERS = 200_000; // more makes the page slow; the API has the whole

const panel = byId("panel");
const narrow = matchMedia("(max-width: 60rem)");
let openId = null;
let opener = null;

byId("panel-close").addEventListener("click", () => change({ task: "" }, true));
panel.addEventListener("keydown", (event) => {
  if (event.key === "Escape") change({ task: "" }, true);
});
narrow.addEventListener("change", coverOrNot);

/** Open, change or close the panel, as the address says. */
export function panelEntered() {
  const id = current().params.get("task");
  if (id === openId) return;
  if (openId === null) opener = document.activeElement;
  openId = id;
  panel.hidden = id === null;
  coverOrNot();
  if (id === null) {
    if (opener?.isConnected) opener.focus();
    else byId("main").focus(); // the row from which it was opened is gone
    return;
  }
  byId("panel-body").replaceChildren(el("p", { class: "empty" }, "Loading…"));
  setText(byId("panel-title"), "Task");
  setNote(byId("panel-problem"), null);
  panel.scrollTop = 0;
  panel.focus({ preventScroll: true });
}

/** Bring the open task up to date; throws Refusal if there is no such task. */
export async function refreshPanel() {
  const id = openId;
  if (id === null) return;
  try {
    const found = await readTask(id);
    const parts = await Promise.all([taskTimeline(id), taskLogs(id), resultOf(found)]);
    if (id === openId) show(found, ...parts);
  } catch (error) {
    if (error instanceof Refusal && id === openId) byId("panel-body").replaceChildren();
    throw error;
  }
}

// On a narrow screen the panel covers the page, so nothing behind it may take the focus.
function coverOrNot() {
  const covers = narrow.matches && !panel.hidden;
  for (const part of document.querySelectorAll(".top, .instruments, .tabs, main"))
    part.inert = covers;
  document.body.classList.toggle("covered", covers);
}

async function resultOf({ task_id: id, status }) {
  if (status !== "COMPLETED") return null;
  try {
    return { text: pretty((await taskResult(id)).result) };
  } catch (error) {
    if (error instanceof Refusal) return { gone: error.message };
    throw error;
  }
}

function show(task, { events }, { logs }, result) {
  setText(byId("panel-title"), task.name);
  setChildren(byId("panel-body"), [
    head(task),
    task.error && part("error", "Error", errorBody(task.error)),
    result &&
      part(
        "result",
        "Result",
        result.text === undefined ? el("p", { class: "muted" }, result.gone) : block(result.text),
      ),
    part("fields", "Fields", fields(task)),
    part("timeline", "Timeline", timeline(events)),
    part("logs", "Logs", logBody(logs)),
  ]);
}

function part(name, title, ...body) {
  return el("section", { class: `part ${name}` }, el("h3", {}, title), body);
}

function head({ task_id: id, status, cancel_requested: stopping, progress }) {
  const buttons = [];
  if (!OVER.includes(status))
    buttons.push(
      actionButton("Cancel", () => cancelled(id, status), { danger: true, about: "this task" }),
    );
  if (CAN_RETRY.includes(status))
    buttons.push(actionButton("Retry", () => retried(id), { about: "this task" }));
  const bar =
    progress &&
    el(
      "div",
      { class: "progress" },
      el("progress", { max: 1, value: progress.fraction, "aria-label": "Progress" }),
      `${Math.round(progress.fraction * 100)} % ${progress.message}`,
    );
  return el(
    "div",
    { class: "panel-head" },
    el(
      "div",
      { class: "row" },
      statusMark(status),
      stopping && status === "RUNNING" && el("span", { class: "warn" }, "stopping"),
      el("span", { class: "actions" }, buttons),
    ),
    bar,
  );
}

function errorBody({ type, message, traceback }) {
  return [
    el("p", { class: "error-line" }, el("b", {}, type), message && `: ${message}`),
    traceback && block(traceback),
  ];
}

function fields(task) {
  const rows = [
    ["Id", el("span", { class: "mono" }, task.task_id)],
    ["Queue", task.queue],
    ["Priority", String(task.priority)],
    ["Submitted", when(task.submitted_at)],
    task.run_at && ["Run at", when(task.run_at)],
    task.next_attempt_at && ["Next attempt", when(task.next_attempt_at)],
    task.started_at && ["Started", when(task.started_at)],
    task.started_at && [
      "Waited",
      duration(between(task.run_at ?? task.submitted_at, task.started_at)),
    ],
    task.finished_at && ["Ended", when(task.finished_at)],
    task.started_at &&
      task.finished_at && ["Ran", duration(between(task.started_at, task.finished_at))],
    ["Attempt", `${task.attempt} of ${task.max_retries + 1} · ${task.failures} failed`],
    ["Timeout", task.timeout_seconds === null ? "none" : duration(task.timeout_seconds)],
    task.expires_at && ["Expires", when(task.expires_at)],
    task.worker_id && ["Worker", el("span", { class: "mono" }, task.worker_id)],
    task.in_dlq && ["Dead letter", "yes"],
    task.idempotency_key && [
      "Idempotency key",
      el("span", { class: "mono" }, task.idempotency_key),
    ],
    task.tags.length > 0 && ["Tags", task.tags.join(", ")],
  ];
  return el(
    "dl",
    { class: "facts" },
    rows.filter(Boolean).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

function timeline(events) {
  const begun = events[0]?.at;
  return el(
    "ol",
    { class: "events" },
    events.map((event) =>
      el(
        "li",
        { "data-kind": event.kind },
        el("time", { datetime: event.at, title: absolute(event.at) }, timeOfDay(event.at)),
        el("span", { class: "muted offset" }, `+${duration(between(begun, event.at))}`),
        el("span", {}, el("b", {}, event.kind.replaceAll("_", " ")), eventText(event)),
      ),
    ),
  );
}

function eventText({ attempt, worker_id: worker, duration_seconds: seconds, message }) {
  const facts = [
    attempt > 0 && `attempt ${attempt}`,
    worker && `on ${worker}`,
    seconds !== null && seconds !== undefined && `after ${duration(seconds)}`,
  ];
  return [
    ` ${facts.filter(Boolean).join(" ")}`,
    message && el("span", { class: "message" }, message),
  ];
}

function logBody(logs) {
  if (logs.length === 0) return el("p", { class: "muted" }, "Nothing was written.");
  return logs.map(({ attempt, text }) => [el("h4", {}, `Attempt ${attempt}`), block(text)]);
}

// Focusable, so that the keyboard can scroll it.
function block(text) {
  const cut = text.length > MOST_CHARACTERS;
  return [
    el("pre", { tabindex: 0 }, cut ? text.slice(0, MOST_CHARACTERS) : text),
    cut && el("p", { class: "muted" }, `Cut: the API has all ${count(text.length)} characters.`),
  ];
}

async function cancelled(id, status) {
  const detail =
    status === "RUNNING"
      ? "Its worker is told to stop it; what it has done so far stays done."
      : "It will not run.";
  if (!(await confirmed("Cancel this task?", detail, "Cancel task"))) return null;
  const after = await cancelTask(id);
  return `Task ${shortId(id)} is ${after.status === "RUNNING" ? "being stopped" : after.status}.`;
}

async function retried(id) {
  await retryTask(id);
  return `Task ${shortId(id)} is queued again.`;
}
