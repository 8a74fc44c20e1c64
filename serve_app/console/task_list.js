// A list of tasks with a filter form, page by page, newest first. The filters are in the address.

import { addressEvents, change, current } from "./address.js";
import { DataTable } from "./data_table.js";
import { el, setText } from "./dom.js";
import { searchTasks } from "./endpoints.js";

const PAGE = 50;
const TYPING_MILLISECONDS = 300;

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
  }

  start() {
    const section = document.getElementById(`view-${this.view}`);
    this.form = section.querySelector("form");
    this.newer = this.#turnButton("Newer", () => this.cursors.pop());
    this.older = this.#turnButton("Older", () => this.cursors.push(this.next));
    this.place = el("span", { class: "muted", role: "status" });
    const pages = el("div", { class: "pages" }, this.newer, this.place, this.older);
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
    const asked = ++this.asked; // an answer to an older question must not overwrite a newer one
    const cursor = this.cursors.at(-1);
    const page = await searchTasks({ ...this.conditions(), ...this.fixed, limit: PAGE, cursor });
    if (asked !== this.asked) return;
    this.next = page.next_cursor;
    this.table.show(page.tasks);
    this.newer.disabled = this.cursors.length === 1;
    this.older.disabled = this.next === null;
    setText(this.place, `Page ${this.cursors.length}`);
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
