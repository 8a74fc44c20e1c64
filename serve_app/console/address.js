// What the page shows is in its address: "#tasks?status=FAILED&task=<id>". So views can be linked
// to, and the back button works. Nothing else remembers which view is open.

/** Says "change" when the address changed. */
export const addressEvents = new EventTarget();

/** The open view's name and its parameters. */
export function current() {
  const [view, query = ""] = location.hash.slice(1).split("?");
  return { view: view || "overview", params: new URLSearchParams(query) };
}

/** The address of a view with parameters; empty ones are left out. */
export function href(view, values = {}) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value) params.set(name, value);
  }
  return params.size ? `#${view}?${params}` : `#${view}`;
}

/** Change parameters of the open view; `keepHistory`: the back button leads back to before. */
export function change(values, keepHistory = false) {
  const { view, params } = current();
  const next = href(view, { ...Object.fromEntries(params), ...values });
  if (next === location.hash) return;
  if (keepHistory) history.pushState(null, "", next);
  else history.replaceState(null, "", next);
  addressEvents.dispatchEvent(new Event("change"));
}

addEventListener("hashchange", () => addressEvents.dispatchEvent(new Event("change")));
