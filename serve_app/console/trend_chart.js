// The small throughput chart: one bar for a slice of time, completed below, failed on top.

import { svg } from "./dom.js";
import { count, duration, rate } from "./format.js";

const WIDTH = 300;
const HEIGHT = 52;
const GAP = 1;

/** The chart of a trends answer, and the tasks a minute of its highest bar. */
export function trendChart({ window, buckets = [], bucket_seconds: seconds = 60 }) {
  const perMinute = (tasks) => (tasks * 60) / seconds;
  const slices = buckets.map((bucket) => ({
    start: bucket.start,
    good: perMinute(bucket.completed),
    bad: perMinute(bucket.failed),
    p95: bucket.run_seconds_p95,
  }));
  const peak = Math.max(0, ...slices.map(({ good, bad }) => good + bad));
  const step = WIDTH / Math.max(1, slices.length);
  const bars = slices.map((slice, index) =>
    bar(slice, index * step, step - GAP, peak, index === slices.length - 1),
  );
  const completed = sum(buckets, "completed");
  const failed = sum(buckets, "failed");
  const ended = `${count(completed)} completed, ${count(failed)} failed`;
  const label = `Last ${window}: ${ended}, peak ${rate(peak)} a minute`;
  const chart = svg(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": label,
    },
    svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5, class: "axis" }),
    bars,
  );
  return { chart, peak };
}

// The newest slice is still growing: it is drawn paler, so that it does not look like a slump.
function bar({ start, good, bad, p95 }, x, width, peak, growing) {
  const scale = peak > 0 ? (HEIGHT - 3) / peak : 0;
  const goodHeight = good * scale;
  const badHeight = bad > 0 ? Math.max(1.5, bad * scale) : 0;
  const bottom = HEIGHT - 1;
  const run = p95 === null || p95 === undefined ? "" : `, p95 ${duration(p95)}`;
  const time = `${start.slice(0, 16).replace("T", " ")} UTC`;
  const text = `${time}: ${rate(good)} completed, ${rate(bad)} failed a minute${run}`;
  return svg(
    "g",
    { class: growing && "growing" },
    svg("title", {}, growing ? `${text} (so far)` : text),
    svg("rect", { x, width, y: 0, height: HEIGHT, class: "hover" }),
    svg("rect", { x, width, y: bottom - goodHeight, height: goodHeight, class: "good" }),
    svg("rect", {
      x,
      width,
      y: bottom - goodHeight - badHeight,
      height: badHeight,
      class: "failed",
    }),
  );
}

const sum = (buckets, name) => buckets.reduce((total, bucket) => total + (bucket[name] ?? 0), 0);
