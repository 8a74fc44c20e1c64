// Tasks that the clock submits.

import { actionButton, confirmed } from "./actions.js";
import { DataTable } from "./data_table.js";
import { el } from "./dom.js";
import { deleteSchedule, schedules as readSchedules } from "./endpoints.js";
import { count, duration, when } from "./format.js";
import { taskLink } from "./task_parts.js";

const table = new DataTable({
  caption: "Schedules",
  empty: "There are no schedules. POST /api/v1/schedules makes one; /docs shows how.",
  key: (schedule) => schedule.id,
  columns: [
    { label: "Schedule", kind: "mono", cell: (schedule) => schedule.id },
    { label: "Task", kind: "name", cell: (schedule) => schedule.name },
    { label: "Queue", cell: (schedule) => schedule.queue },
    { label: "When", kind: "mono", cell: rhythm },
    { label: "Next run", cell: (schedule) => when(schedule.next_run_at) },
    { label: "Last run", cell: (schedule) => when(schedule.last_run_at) },
    { label: "Last task", kind: "mono", cell: lastTask },
    { label: "Runs", kind: "number", cell: (schedule) => count(schedule.runs) },
    { label: "Skipped", kind: "number", cell: (schedule) => count(schedule.skips) },
    { label: "Rules", cell: rules },
    {
      label: "Actions",
      kind: "actions",
      cell: ({ id }) =>
        actionButton("Delete", () => deleted(id), { danger: true, about: `schedule ${id}` }),
    },
  ],
});

export const schedules = {
  start: () => document.querySelector("#view-schedules .list").append(table.element),
  async refresh() {
    table.show((await readSchedules()).schedules);
  },
};

function lastTask({ last_task_id: id }) {
  return id ? taskLink(id) : "–";
}

function rhythm({ cron, interval_seconds: interval, timezone }) {
  return cron
    ? [cron, " ", el("span", { class: "muted" }, timezone)]
    : `every ${duration(interval)}`;
}

function rules({ overlap, missed }) {
  const title =
    "Overlap: what happens if the last task is not over. Missed: what happens after a standstill.";
  return el(
    "span",
    { title, class: "muted" },
    `overlap ${overlap}, missed ${missed.replace("_", " ")}`,
  );
}

async function deleted(id) {
  const detail = "Tasks that it submitted stay. This cannot be taken back.";
  if (!(await confirmed(`Delete schedule ${id}?`, detail, "Delete"))) return null;
  await deleteSchedule(id);
  return `Schedule ${id} is deleted.`;
}
