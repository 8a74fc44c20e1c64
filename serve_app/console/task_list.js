// A list of tasks with a filter form, page by page, newest first. The filters are in the address.
//
// The API ends a search that must look at very many tasks before it has seen them all, and tells how
// far it got. Such a search goes on here by itself; when it is over it is not asked again every two
// seconds, as others are, but by a button.

import { actionEvents } from "./actions.js";
import { addressEvents, change, current } from "./address.js";
import { DataTable } from "./data_table.js";
import { el, setText } from "./dom.js";
import { searchTasks } from "./endpoints.js";
import { timeText } from "./format.js";

const PAGE = 50;
const TYPING_MILLISECONDS = 300;
const SEARCH_MILLISECONDS = 1_000; // then the rest of the page gets its turn

/**
 * `view`: its name in the address, with an element `view-<name>` that has a form and a `.list`.
 * `fixed`: conditions that always hold. `table`: of a DataTable, for tasks.
 */
export class TaskList {
  constructor({ view, fixed = {}, table }) {
    Object.assign(this, { view, fixed });
    this.table = new DataTable({
      ...table,
      key: (task) => task.task_id,
      attributes: (task) => ({
        "data-row-task": task.task_id,
        "aria-current": task.task_id === current().params.get("task") && "true",
      }),
    });
    this.cursors = [undefined]; // of the pages up to the open one
    this.next = null;
    this.asked = 0;
    this.empty = table.empty;
    this.long = null; // what a search found that needed more than one answer
  }

  start() {
    const section = document.getElementById(`view-${this.view}`);
    this.form = section.querySelector("form");
    this.newer = this.#turnButton("Newer", () => this.cursors.pop());
    this.older = this.#turnButton("Older", () => this.cursors.push(this.next));
    this.place = el("span", { class: "muted", role: "status" });
    this.again = this.#turnButton("Search again", () => (this.long = null));
    Object.assign(this.again, { disabled: false, hidden: true });
    const place = el("span", {}, this.place, " ", this.again);
    const pages = el("div", { class: "pages" }, this.newer, place, this.older);
    section.querySelector(".list").append(this.table.element, pages);
    this.#listen();
  }

  /** The conditions that the form and the view set. */
  conditions() {
    const { view, params } = current();
    const names = [...this.form.elements].map((field) => field.name).filter(Boolean);
    const given = names.filter((name) => view === this.view && params.get(name));
    return Object.fromEntries(given.map((name) => [name, params.get(name)]));
  }

  async refresh() {
    const cursor = this.cursors.at(-1);
    const question = { ...this.conditions(), ...this.fixed, cursor };
    const key = JSON.stringify(question);
    const before = this.long?.key === key ? this.long : null;
    if (before?.isOver) return;
    const asked = ++this.asked; // an answer to an older question must not overwrite a newer one
    let found = before ?? { key, tasks: [], next: cursor, answers: 0 };
    const end = performance.now() + SEARCH_MILLISECONDS;
    do {
      const limit = PAGE - found.tasks.length;
      const page = await searchTasks({ ...question, limit, cursor: found.next });
      if (asked !== this.asked) return;
      found = withPage(found, page);
      this.long = found.answers > 1 || !found.isOver ? found : null;
      this.#show(found);
    } while (!found.isOver && performance.now() < end);
    if (!found.isOver) actionEvents.dispatchEvent(new Event("done")); // another turn, at once
  }

  #show({ tasks, next, until, isOver }) {
    this.next = next;
    this.table.empty = isOver ? this.empty : "None so far.";
    this.table.show(tasks);
    this.newer.disabled = this.cursors.length === 1;
    this.older.disabled = next === null || !isOver;
    this.again.hidden = !this.long?.isOver;
    const words = [`Page ${this.cursors.length}`];
    if (!isOver) words.push(`looked back to ${timeText(until)}, going on`);
    else if (this.long) words.push(`as of ${timeText(this.long.at)}`);
    setText(this.place, words.join(", "));
  }

  /** Take over the address: called when it changed while this view is open. */
  entered() {
    const given = JSON.stringify(this.conditions());
    if (given !== this.filters) this.cursors = [undefined];
    this.filters = given;
    const { params } = current();
    for (const field of this.form.elements) {
      if (field.name && field !== document.activeElement)
        field.value = params.get(field.name) ?? "";
    }
  }

  #turnButton(label, turn) {
    const press = () => {
      turn();
      addressEvents.dispatchEvent(new Event("change"));
    };
    return el("button", { type: "button", disabled: true, onclick: press }, label);
  }

  #listen() {
    let timer;
    actionEvents.addEventListener("done", () => {
      if (this.long?.isOver) this.long = null; // what it found may be different now
    });
    const apply = () => {
      clearTimeout(timer);
      change(
        Object.fromEntries(
          [...new FormData(this.form)].map(([name, value]) => [name, value.trim()]),
        ),
      );
    };
    this.form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(apply, TYPING_MILLISECONDS);
    });
    this.form.addEventListener("change", apply);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      apply();
    });
    this.form.addEventListener("reset", () => setTimeout(apply)); // after the fields are empty
  }
}

function withPage(found, page) {
  const tasks = [...found.tasks, ...page.tasks];
  const until = page.searched_until;
  return {
    key: found.key,
    tasks,
    next: page.next_cursor,
    until,
    answers: found.answers + 1,
    at: new Date().toISOString(),
    isOver: until === null || tasks.length === PAGE,
  };
}
