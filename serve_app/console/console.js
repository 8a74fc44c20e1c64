// The page's start and its heart: every two seconds, never twice at one time and never while the
// tab is hidden, the header, the open view and the open task are brought up to date.

import { actionEvents } from "./actions.js";
import { addressEvents, change, current } from "./address.js";
import { apiEvents, apiKey, NoAnswer, Refusal } from "./api.js";
import { byId, el, setNote, setText } from "./dom.js";
import { taskTypes as readTaskTypes, workers as readWorkers } from "./endpoints.js";
import { coarse, tickTimes } from "./format.js";
import { refreshFigures, refreshHealth, refreshTrend, showHealth } from "./overview_header.js";
import { panelEntered, refreshPanel } from "./task_panel.js";
import { deadLetters } from "./view_dead_letters.js";
import { overview } from "./view_overview.js";
import { schedules } from "./view_schedules.js";
import { taskTypes } from "./view_task_types.js";
import { tasks } from "./view_tasks.js";

const POLL_MILLISECONDS = 2_000;
const VIEWS = { overview, tasks, "dead-letters": deadLetters, schedules, "task-types": taskTypes };

let timer;
let paused = false;
let lastAnswerAt = null;
let turnRuns = false;
let turnWanted = false;

const viewName = () => (current().view in VIEWS ? current().view : "overview");
const sectionOf = (name) => byId(`view-${name}`);

/** One round of questions; another one follows two seconds later. */
async function turn() {
  if (turnRuns) {
    turnWanted = true; // by somebody who changed something: ask again right after
    return;
  }
  clearTimeout(timer);
  turnRuns = true;
  try {
    do {
      turnWanted = false;
      await Promise.all([health(), figures(), view(), panel()]);
    } while (turnWanted);
  } finally {
    turnRuns = false;
    if (!document.hidden && !paused) timer = setTimeout(turn, POLL_MILLISECONDS);
  }
}

async function health() {
  try {
    await refreshHealth();
    lastAnswerAt = Date.now();
    setNote(byId("no-answer"), null);
    document.body.classList.remove("stale");
  } catch (error) {
    showHealth("no answer");
    document.body.classList.add("stale");
    const last = lastAnswerAt && new Date(lastAnswerAt).toLocaleTimeString();
    const since = last ? ` What you see is from ${last}.` : "";
    const text = `The API does not answer: ${error.message}.${since} Trying again every 2 s.`;
    setNote(byId("no-answer"), text);
  }
}

async function figures() {
  await shown(byId("figures-problem"), async () => {
    const { queues } = await refreshFigures();
    offer(
      "known-queues",
      queues.map((line) => line.queue),
    );
  });
}

async function view() {
  const name = viewName();
  await shown(sectionOf(name).querySelector(".problem"), () => VIEWS[name].refresh());
}

async function panel() {
  await shown(byId("panel-problem"), refreshPanel);
}

/** Run `refresh` and show why it failed, except what is said elsewhere: no answer, no key. */
async function shown(note, refresh) {
  try {
    await refresh();
    setNote(note, null);
  } catch (error) {
    if (error instanceof NoAnswer || error.status === 401) return;
    setNote(note, error.message);
    if (!(error instanceof Refusal)) console.error(error); // a bug of the page
  }
}

function show() {
  const name = viewName();
  for (const other of Object.keys(VIEWS)) sectionOf(other).hidden = other !== name;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  VIEWS[name].entered?.();
  panelEntered();
  turn();
}

function offer(id, names) {
  const list = byId(id);
  if (JSON.stringify(names) === list.dataset.names) return;
  list.dataset.names = JSON.stringify(names);
  list.replaceChildren(...names.map((name) => el("option", { value: name })));
}

/** The names to choose from in filters, which work without them too; asked for when needed. */
async function offerNames() {
  const [types, fleet] = await Promise.allSettled([readTaskTypes(), readWorkers()]);
  if (types.value)
    offer(
      "known-names",
      types.value.task_types.map((type) => type.name),
    );
  if (fleet.value)
    offer(
      "known-workers",
      fleet.value.workers.map((worker) => worker.worker_id),
    );
}

// A whole row opens its task, except where it has links and buttons, or text is being selected.
function onClick(event) {
  const link = event.target.closest("[data-task]");
  const row = event.target.closest("[data-row-task]");
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (link && plain) {
    event.preventDefault();
    change({ task: link.dataset.task }, true);
  } else if (row && plain && !event.target.closest("a, button") && getSelection().isCollapsed) {
    change({ task: row.dataset.rowTask }, true);
  }
}

function listenForKey() {
  const form = byId("key-form");
  apiEvents.addEventListener("unauthorized", () => {
    setText(
      byId("key-note"),
      apiKey.get()
        ? "The API does not know this key."
        : "The API wants a key. It is kept until you close this tab.",
    );
    if (form.hidden) {
      form.hidden = false;
      byId("key").focus();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apiKey.set(byId("key").value.trim());
    form.reset();
    form.hidden = true;
    byId("forget-key").hidden = false;
    turn();
  });
  byId("forget-key").addEventListener("click", () => {
    apiKey.forget();
    location.reload(); // nothing that the key opened may stay on the page
  });
  byId("forget-key").hidden = !apiKey.get();
}

function togglePause() {
  paused = !paused;
  byId("pause-updates").setAttribute("aria-pressed", String(paused));
  setText(byId("pause-updates"), paused ? "Go on" : "Pause updates");
  if (paused) clearTimeout(timer);
  else turn();
}

function everySecond() {
  tickTimes();
  const age = lastAnswerAt === null ? null : Math.floor((Date.now() - lastAnswerAt) / 1000);
  setText(byId("freshness"), age === null ? "" : age < 3 ? "live" : `${coarse(age)} old`);
}

for (const each of Object.values(VIEWS)) each.start();
listenForKey();
addressEvents.addEventListener("change", show);
actionEvents.addEventListener("done", turn);
document.addEventListener("click", onClick);
document.addEventListener("visibilitychange", () =>
  document.hidden ? clearTimeout(timer) : paused || turn(),
);
document.addEventListener("focusin", (event) => event.target.list && offerNames());
byId("pause-updates").addEventListener("click", togglePause);
byId("trend-window").addEventListener("change", () =>
  shown(byId("figures-problem"), () => refreshTrend(true)),
);
setInterval(everySecond, 1_000);
show();
