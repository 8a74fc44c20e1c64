// Figures and times as people read them. Times are relative, to the server's clock: a browser whose
// clock is wrong must not show heartbeats from the future.

import { el } from "./dom.js";

const NOTHING = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

let skewMilliseconds = 0;

/** Take over the server's time from an RFC 3339 text. */
export function setServerTime(text) {
  const server = Date.parse(text);
  if (!Number.isNaN(server)) skewMilliseconds = server - Date.now();
}

export const count = (value) =>
  value === null || value === undefined ? NOTHING : whole.format(value);

/** A rate: with a decimal only where it matters. */
export function rate(value) {
  if (value === null || value === undefined) return NOTHING;
  return (value < 100 ? tenths : whole).format(value);
}

export function percent(share) {
  return share === null || share === undefined ? NOTHING : `${tenths.format(share * 100)} %`;
}

/** A duration of `seconds` in one or two units. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const total = Math.round(seconds);
  if (total < 60) return `${total} s`;
  if (total < 3_600) return two(total, 60, "min", 1, "s");
  if (total < 86_400) return two(total, 3_600, "h", 60, "min");
  return two(total, 86_400, "d", 3_600, "h");
}

function two(total, large, largeUnit, small, smallUnit) {
  const rest = Math.floor((total % large) / small);
  return `${Math.floor(total / large)} ${largeUnit}` + (rest ? ` ${rest} ${smallUnit}` : "");
}

/** How long from one time to another; null if one is not known. */
export function between(from, to) {
  const end = to === undefined ? serverNow() : Date.parse(to);
  const seconds = (end - Date.parse(from)) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}

/** A <time> that says how long ago, or how soon, and keeps saying it. */
export function when(text) {
  if (!text) return NOTHING;
  return el(
    "time",
    { datetime: text, title: absolute(text), "data-relative": true },
    relative(text),
  );
}

/** Bring all relative times up to date. */
export function tickTimes() {
  for (const node of document.querySelectorAll("time[data-relative]")) {
    const text = relative(node.dateTime);
    if (node.textContent !== text) node.textContent = text;
  }
}

/** A time to the millisecond, in UTC and on the reader's clock. */
export function absolute(text) {
  const local = new Date(text).toLocaleString(undefined, { timeZoneName: "short" });
  return `${text.replace("T", " ").replace("Z", " UTC")}\n${local}`;
}

/** A time to the second, in UTC. */
export const timeText = (text) => `${text.slice(0, 19).replace("T", " ")} UTC`;

/** The time of day in UTC, to the millisecond. */
export const timeOfDay = (text) => text.slice(11, 23);

function serverNow() {
  return Date.now() + skewMilliseconds;
}

function relative(text) {
  const seconds = (serverNow() - Date.parse(text)) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  const size = coarse(Math.abs(seconds));
  return seconds < 0 ? `in ${size}` : `${size} ago`;
}

/** A duration in full seconds, minutes, hours or days. */
export function coarse(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return duration(Math.floor(seconds / 60) * 60);
  return `${Math.floor(seconds / 86_400)} d`;
}
