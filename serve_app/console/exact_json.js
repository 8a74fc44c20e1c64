// JSON without rounding: numbers that JavaScript cannot hold, such as 64-bit integers in a task's
// result, are kept as they were written, for showing. Everything else is plain JSON.

const canKeep = typeof JSON.rawJSON === "function";

/** Parse JSON; a number that would be changed by it becomes a raw JSON value. */
export function parseExact(text) {
  if (!canKeep) return JSON.parse(text);
  return JSON.parse(text, (_name, value, context) => {
    if (typeof value !== "number" || context?.source === undefined) return value;
    const changed =
      !Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value));
    return changed ? JSON.rawJSON(context.source) : value;
  });
}

/** A value of `parseExact` as indented text. */
export function pretty(value) {
  return JSON.stringify(value, null, 2);
}

/** The text of a JSON list or object, unchanged; throws an Error that says what is wrong. */
export function checkedText(text, kind, what) {
  const trimmed = text.trim() || (kind === "list" ? "[]" : "{}");
  let value;
  try {
    value = JSON.parse(trimmed);
  } catch (error) {
    throw new Error(`${what}: not JSON: ${error.message}`);
  }
  const found = Array.isArray(value) ? "list" : value === null ? "null" : typeof value;
  if (found !== kind) throw new Error(`${what}: give a JSON ${kind}, not: ${found}`);
  return trimmed;
}
