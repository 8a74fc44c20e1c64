// Tasks that failed for good: run one again, or all that match, after being told how many.

import { actionButton, confirmed, run } from "./actions.js";
import { href } from "./address.js";
import { DataTable } from "./data_table.js";
import { byId, el, setText } from "./dom.js";
import { replayDeadLetters, retryTask } from "./endpoints.js";
import { count, when } from "./format.js";
import { latestTrend } from "./overview_header.js";
import { TaskList } from "./task_list.js";
import { shortId, taskLink } from "./task_parts.js";

const MOST_REPLAYED = 100_000; // what the API takes at one time

const list = new TaskList({
  view: "dead-letters",
  fixed: { in_dlq: true },
  table: {
    caption: "Dead letters, newest first",
    empty: "No dead letter matches.",
    columns: [
      { label: "Task", kind: "name", cell: (task) => taskLink(task.task_id, task.name) },
      {
        label: "Id",
        kind: "mono",
        cell: (task) => el("span", { title: task.task_id }, shortId(task.task_id)),
      },
      { label: "Queue", cell: (task) => task.queue },
      { label: "Error", kind: "error", cell: errorText },
      { label: "Attempts", kind: "number", cell: (task) => count(task.attempt) },
      { label: "Failed", cell: (task) => when(task.finished_at) },
      {
        label: "Actions",
        kind: "actions",
        cell: ({ task_id: id }) =>
          actionButton("Retry", () => retried(id), { about: `task ${id}` }),
      },
    ],
  },
});

const failureTable = new DataTable({
  caption: "Failures by cause",
  empty: "Nothing failed in this time.",
  key: (failure) => `${failure.name} ${failure.error_type}`,
  columns: [
    { label: "Failures", kind: "number", cell: (failure) => count(failure.count) },
    {
      label: "Task",
      kind: "name",
      cell: (failure) =>
        el(
          "a",
          { href: href("dead-letters", { name: failure.name, error: failure.error_type }) },
          failure.name,
        ),
    },
    {
      label: "Error",
      kind: "error",
      cell: (failure) =>
        errorText({ error: { type: failure.error_type, message: failure.last_message } }),
    },
    { label: "Last", cell: (failure) => when(failure.last_at) },
    { label: "Last task", kind: "mono", cell: (failure) => taskLink(failure.last_task_id) },
  ],
});

export const deadLetters = {
  start() {
    list.start();
    byId("failures").append(failureTable.element);
    byId("replay").addEventListener("click", () => run(replayed));
  },
  entered: () => list.entered(),
  async refresh() {
    showFailures();
    await list.refresh();
  },
};

// They are in the answer that the throughput chart is made of: no question of their own.
function showFailures() {
  const { answer, words } = latestTrend();
  setText(byId("failures-title"), `Failures by cause, last ${words}`);
  if (answer) failureTable.show(answer.failures ?? []);
}

function errorText({ error }) {
  if (!error) return "–";
  return [el("b", {}, error.type), error.message && `: ${error.message}`];
}

async function retried(id) {
  await retryTask(id);
  return `Task ${shortId(id)} is queued again.`;
}

async function replayed() {
  const filter = list.conditions();
  const { count: found } = await replayDeadLetters({ filter, limit: MOST_REPLAYED, dry_run: true });
  if (found === 0) return "No dead letter matches: nothing to replay.";
  const conditions = Object.entries(filter).map(([name, value]) => `${name} “${value}”`);
  const which = conditions.length ? `with ${conditions.join(", ")}` : "of all queues";
  const most = found === MOST_REPLAYED ? " (the most at one time)" : "";
  const detail = `The ${count(found)}${most} newest dead letters ${which} run again.`;
  if (!(await confirmed(`Replay ${count(found)} dead letters?`, detail, "Replay"))) return null;
  const { count: moved, incomplete } = await replayDeadLetters({ filter, limit: found });
  const rest = incomplete ? ` Not all of them: ${incomplete}` : "";
  return `${count(moved)} dead letters are queued again.${rest}`;
}
