// The tasks that workers know, each with a form that submits one.

import { DataTable } from "./data_table.js";
import { el } from "./dom.js";
import { taskTypes as readTaskTypes } from "./endpoints.js";
import { count, duration } from "./format.js";
import { openSubmit } from "./submit_dialog.js";

let newest = new Map(); // a button outlives the answer that it was made from

const table = new DataTable({
  caption: "Task types",
  empty: "No task is registered: start a worker pool that imports a module with tasks.",
  key: (type) => type.name,
  columns: [
    { label: "Task", kind: "name", cell: (type) => el("span", { title: type.doc }, type.name) },
    { label: "Signature", kind: "mono signature", cell: (type) => type.signature },
    { label: "Queue", cell: (type) => type.queue },
    { label: "Priority", kind: "number", cell: (type) => count(type.priority) },
    { label: "Retries", kind: "number", cell: (type) => count(type.max_retries) },
    {
      label: "Timeout",
      kind: "number",
      cell: (type) => (type.timeout_seconds === null ? "none" : duration(type.timeout_seconds)),
    },
    { label: "Executor", cell: (type) => type.executor },
    {
      label: "Pools",
      cell: (type) => type.pools.join(", ") || el("span", { class: "warn" }, "no pool has it"),
    },
    {
      label: "Actions",
      kind: "actions",
      cell: (type) =>
        el(
          "button",
          {
            type: "button",
            "data-focus": "submit",
            "aria-label": `Submit ${type.name}`,
            onclick: () => openSubmit(newest.get(type.name)),
          },
          "Submit…",
        ),
    },
  ],
});

export const taskTypes = {
  start: () => document.querySelector("#view-task-types .list").append(table.element),
  async refresh() {
    const { task_types: types } = await readTaskTypes();
    newest = new Map(types.map((type) => [type.name, type]));
    table.show(types);
  },
};
