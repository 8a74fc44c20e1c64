// A table that is brought up to date in place: only cells that differ are replaced, so the focus,
// selections and half-made clicks survive the next poll. Knows nothing of what it shows.

import { el, swap } from "./dom.js";

/**
 * `columns`: {label, cell(row), kind?}: a cell is text, a node or a list of these, a kind a class.
 * `key(row)`: what stays the same about a row. `attributes(row)`: of the row's element.
 * `empty`: what to say when there are no rows.
 */
export class DataTable {
  constructor({ caption, columns, key, empty, attributes = () => ({}) }) {
    Object.assign(this, { columns, key, attributes });
    this.rows = new Map();
    // Narrow screens show rows as cards (CSS changes `display`), which takes the roles away.
    const heads = columns.map(({ label, kind }) =>
      el("th", { scope: "col", role: "columnheader", class: kind }, label),
    );
    this.body = el("tbody", { role: "rowgroup" });
    this.note = el("p", { class: "empty" }, "Loading…");
    this.empty = empty;
    const head = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads));
    const table = el("table", { role: "table", "aria-label": caption }, head, this.body);
    this.element = el("div", { class: "table" }, table, this.note);
  }

  /** Show these rows, in this order. */
  show(rows) {
    const keep = new Set(rows.map(this.key));
    for (const [key, { element }] of this.rows) {
      if (keep.has(key)) continue;
      element.remove();
      this.rows.delete(key);
    }
    rows.forEach((row, index) => {
      const { element } = this.#row(row);
      const there = this.body.children[index];
      if (there !== element) this.body.insertBefore(element, there ?? null);
    });
    this.note.textContent = this.empty;
    this.note.hidden = rows.length > 0;
  }

  #row(row) {
    const key = this.key(row);
    const cells = this.columns.map(({ label, kind, cell }) =>
      el("td", { role: "cell", class: kind, "data-label": label }, cell(row)),
    );
    const known = this.rows.get(key);
    if (known === undefined) {
      const made = { element: el("tr", { role: "row" }, cells), cells };
      this.rows.set(key, made);
      this.#mark(made.element, row);
      return made;
    }
    known.cells = known.cells.map((cell, index) => swap(cell, cells[index]));
    this.#mark(known.element, row);
    return known;
  }

  #mark(element, row) {
    for (const [name, value] of Object.entries(this.attributes(row))) {
      if (value) element.setAttribute(name, value);
      else element.removeAttribute(name);
    }
  }
}
