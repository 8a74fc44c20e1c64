// Talks HTTP: one function that sends a request and returns the answer's JSON, or throws what a
// person can read. Keeps the API key. Knows no path of the API (see endpoints.js) and no page.

import { parseExact } from "./exact_json.js";

const KEY = "task-queue.api-key";
const LIMITS = { GET: 8_000, POST: 30_000, DELETE: 30_000 }; // milliseconds

// This module is served at <root>/ui/api.js, whatever stands before the root.
const ROOT = new URL("..", import.meta.url);

/** Says "unauthorized" when the API wants a key, or another one. */
export const apiEvents = new EventTarget();

/** Nothing answered, or something that is not this API. */
export class NoAnswer extends Error {}

/** The API said no: `message` is the problem's detail, `errors` its faults one by one. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `The API answered ${status}.`);
    this.status = status;
    this.errors = problem.errors ?? [];
  }
}

export const apiKey = {
  get: () => sessionStorage.getItem(KEY),
  set: (key) => sessionStorage.setItem(KEY, key),
  forget: () => sessionStorage.removeItem(KEY),
};

/** A path: what is put into it is escaped, so that no id can lead to another path. */
export function at(texts, ...values) {
  return String.raw({ raw: texts }, ...values.map(encodeURIComponent));
}

/**
 * Send a request and return the JSON of its answer, null if it has none.
 *
 * `query`: parameters; empty ones are left out. `body`: a value, or `json`: a body as text.
 * `accept`: statuses that are good answers although they are errors in HTTP. `limit`: for the
 * answer, in milliseconds.
 */
export async function send(method, path, options = {}) {
  const { query = {}, body, json, accept = [], limit = LIMITS[method] } = options;
  const url = new URL(path.replace(/^\//, ""), ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const text = json ?? (body === undefined ? undefined : JSON.stringify(body));
  const answer = await fetched(url, method, text, limit);
  const content = await read(answer);
  if (answer.ok || accept.includes(answer.status)) return content;
  if (answer.status === 401) apiEvents.dispatchEvent(new Event("unauthorized"));
  throw new Refusal(answer.status, content ?? {});
}

async function fetched(url, method, body, limit) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (apiKey.get()) headers.Authorization = `Bearer ${apiKey.get()}`;
  try {
    const signal = AbortSignal.timeout(limit);
    return await fetch(url, { method, headers, body, signal, cache: "no-store" });
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new NoAnswer(late ? `no answer within ${limit / 1000} s` : "no connection");
  }
}

async function read(answer) {
  let text;
  try {
    text = await answer.text();
  } catch {
    throw new NoAnswer("the connection broke during an answer");
  }
  if (text === "") return null;
  try {
    return parseExact(text);
  } catch {
    throw new NoAnswer(`something that is not the API answered (HTTP ${answer.status})`);
  }
}
