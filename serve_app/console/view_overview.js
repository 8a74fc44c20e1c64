// Queues and workers.

import { actionButton, confirmed } from "./actions.js";
import { href } from "./address.js";
import { DataTable } from "./data_table.js";
import { byId, el } from "./dom.js";
import {
  drainWorker,
  pauseQueue,
  pauseWorker,
  queues,
  resumeQueue,
  resumeWorker,
  workers,
} from "./endpoints.js";
import { count, duration, when } from "./format.js";
import { loadBar, statusMark, taskLink } from "./task_parts.js";

const MOST_RUNNING_SHOWN = 3;

const queueTable = new DataTable({
  caption: "Queues",
  empty: "No queue is known yet: they appear with the first worker pool or task.",
  key: (line) => line.queue,
  columns: [
    {
      label: "Queue",
      kind: "name",
      cell: (line) =>
        el("a", { href: href("tasks", { queue: line.queue }), "data-focus": "queue" }, line.queue),
    },
    { label: "State", cell: queueState },
    { label: "Waiting", kind: "number", cell: (line) => count(line.queued) },
    { label: "By priority", cell: (line) => priorities(line.by_priority ?? {}) },
    { label: "Delayed", kind: "number", cell: (line) => count(line.delayed) },
    { label: "Running", kind: "number", cell: (line) => count(line.running) },
    { label: "Oldest wait", kind: "number", cell: (line) => duration(line.oldest_wait_seconds) },
    { label: "Pools", cell: (line) => (line.pools ?? []).join(", ") || "–" },
    { label: "Actions", kind: "actions", cell: queueButtons },
  ],
});

const workerTable = new DataTable({
  caption: "Workers",
  empty: "No worker is known: start a pool, or look at what the cluster's log says.",
  key: (worker) => worker.worker_id,
  columns: [
    {
      label: "Worker",
      kind: "mono name",
      cell: (worker) =>
        el(
          "a",
          { href: href("tasks", { worker_id: worker.worker_id }), "data-focus": "worker" },
          worker.worker_id,
        ),
    },
    { label: "Status", cell: workerState },
    { label: "Load", cell: load },
    { label: "Runs", kind: "mono", cell: running },
    {
      label: "Ended",
      kind: "number",
      cell: (worker) => (worker.ended_at ? "–" : count(worker.tasks_ended)),
    },
    {
      label: "Failed",
      kind: "number",
      cell: (worker) => (worker.ended_at ? "–" : count(worker.tasks_failed)),
    },
    { label: "Heartbeat", cell: (worker) => when(worker.last_heartbeat_at) },
    {
      label: "Up",
      kind: "number",
      cell: (worker) => duration(Math.floor(worker.uptime_seconds / 10) * 10),
    },
    {
      label: "Pool",
      cell: (worker) => el("span", { title: `queues: ${worker.queues.join(", ")}` }, worker.pool),
    },
    { label: "Host", kind: "mono", cell: (worker) => `${worker.hostname}:${worker.pid}` },
    { label: "Actions", kind: "actions", cell: workerButtons },
  ],
});

export const overview = {
  start() {
    byId("queues").append(queueTable.element);
    byId("workers").append(workerTable.element);
  },
  async refresh() {
    const [lines, fleet] = await Promise.all([queues(), workers()]);
    queueTable.show(lines.queues);
    workerTable.show(fleet.workers);
  },
};

function queueState(line) {
  if (line.paused) return statusMark("paused");
  const stranded = line.queued > 0 && line.pools?.length === 0;
  return stranded
    ? el(
        "span",
        { class: "warn", title: "Start a worker pool that names this queue" },
        "no pool serves it",
      )
    : statusMark("open");
}

function priorities(waiting) {
  const given = Object.entries(waiting).sort(([a], [b]) => Number(b) - Number(a));
  if (given.length === 0) return "–";
  const parts = given.map(([priority, tasks]) =>
    el(
      "span",
      { class: "priority", title: `${count(tasks)} tasks of priority ${priority}` },
      el("b", {}, `P${priority}`),
      ` ${count(tasks)}`,
    ),
  );
  return el("span", { class: "priorities" }, parts);
}

function queueButtons({ queue, paused }) {
  const about = `queue ${queue}`;
  if (paused) {
    return actionButton(
      "Resume",
      async () => (await resumeQueue(queue), `Queue ${queue} hands out tasks again.`),
      { focus: "toggle", about },
    );
  }
  return actionButton(
    "Pause",
    async () => (
      await pauseQueue(queue),
      `Queue ${queue} is paused: what runs goes on, nothing new starts.`
    ),
    { focus: "toggle", about },
  );
}

function workerState(worker) {
  const mark = statusMark(worker.status);
  return worker.end_cause ? [mark, " ", el("span", { class: "muted" }, worker.end_cause)] : mark;
}

// A worker may hold more than it has slots for: read-ahead, which does not run yet.
function load({ current_load: held, capacity, ended_at: ended }) {
  if (ended) return "–";
  const ahead = Math.max(0, held - capacity);
  const text = `${Math.min(held, capacity)} / ${capacity}` + (ahead ? ` +${ahead} ahead` : "");
  return el("span", { class: "loaded" }, loadBar(held, capacity), text);
}

function running({ worker_id: id, running: ids }) {
  if (ids.length === 0) return "–";
  const shown = ids.slice(0, MOST_RUNNING_SHOWN).map((task) => [taskLink(task), " "]);
  const more = ids.length - MOST_RUNNING_SHOWN;
  return more > 0
    ? [shown, el("a", { href: href("tasks", { worker_id: id, status: "RUNNING" }) }, `+${more}`)]
    : shown;
}

function workerButtons({ worker_id: id, status }) {
  const about = `worker ${id}`;
  const pause = actionButton(
    "Pause",
    async () => (await pauseWorker(id), `Worker ${id} is paused: it ends what it holds.`),
    { focus: "toggle", about },
  );
  const resume = actionButton(
    "Resume",
    async () => (await resumeWorker(id), `Worker ${id} takes tasks again.`),
    { focus: "toggle", about },
  );
  const drain = actionButton("Drain", () => drained(id), { focus: "drain", about });
  if (status === "active") return [pause, " ", drain];
  return status === "paused" ? [resume, " ", drain] : "";
}

async function drained(id) {
  const detail =
    "It is given nothing new, ends what it holds, and stops. This cannot be taken back.";
  if (!(await confirmed(`Drain worker ${id}?`, detail, "Drain"))) return null;
  await drainWorker(id);
  return `Worker ${id} drains.`;
}
