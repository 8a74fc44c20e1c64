// All tasks.

import { between, count, duration, when } from "./format.js";
import { el } from "./dom.js";
import { TaskList } from "./task_list.js";
import { shortId, statusMark, taskLink } from "./task_parts.js";

export const tasks = new TaskList({
  view: "tasks",
  table: {
    caption: "Tasks, newest first",
    empty: "No task matches.",
    columns: [
      { label: "Status", cell: status },
      { label: "Task", kind: "name", cell: (task) => taskLink(task.task_id, task.name) },
      {
        label: "Id",
        kind: "mono",
        cell: (task) => el("span", { title: task.task_id }, shortId(task.task_id)),
      },
      { label: "Queue", cell: (task) => task.queue },
      { label: "Priority", kind: "number", cell: (task) => count(task.priority) },
      { label: "Submitted", cell: (task) => when(task.submitted_at) },
      { label: "Took", kind: "number", cell: took },
      {
        label: "Attempt",
        kind: "number",
        cell: (task) => (task.attempt > 0 ? `${task.attempt} of ${task.max_retries + 1}` : "–"),
      },
      { label: "Worker", kind: "mono", cell: (task) => task.worker_id ?? "–" },
    ],
  },
});

function status(task) {
  const mark = statusMark(task.status);
  if (task.status === "RUNNING" && task.cancel_requested)
    return [mark, " ", el("span", { class: "muted" }, "stopping")];
  if (task.progress && task.status === "RUNNING")
    return [mark, ` ${Math.round(task.progress.fraction * 100)} %`];
  return task.next_attempt_at ? [mark, " ", when(task.next_attempt_at)] : mark;
}

// The API knows the start of an attempt only once it is over.
function took(task) {
  if (!task.started_at) return "–";
  return task.finished_at ? duration(between(task.started_at, task.finished_at)) : "–";
}
