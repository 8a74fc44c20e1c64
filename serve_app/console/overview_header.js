// The top of the page: health, live figures, and the throughput chart.

import { byId, el, setChildren, setText } from "./dom.js";
import { dashboardStats, health, queues, trends } from "./endpoints.js";
import { count, duration, percent, rate, setServerTime } from "./format.js";
import { trendChart } from "./trend_chart.js";

const TREND_MILLISECONDS = 10_000;
const GOOD_SHARE = 0.9; // of the last five minutes: below it, failures are shown in red

let trendReadAt = -Infinity;
let trend = null;

/** The newest trends answer, null if there is none yet, and its window in words. */
export function latestTrend() {
  return { answer: trend, words: byId("trend-window").selectedOptions[0].text };
}

/** Ask for health; throws NoAnswer if there is none. */
export async function refreshHealth() {
  const report = await health();
  setServerTime(report.timestamp);
  setText(byId("version"), report.version ?? "");
  showHealth(report.status ?? "unknown");
  setChildren(byId("checks"), checkItems(report.checks ?? {}));
}

/** Show a word for the overall health. */
export function showHealth(status) {
  const pill = byId("health");
  setText(pill, status);
  pill.dataset.health = status;
  document.title = status === "healthy" ? "Task queue" : `${status} · Task queue`;
}

/** Ask for the figures and the chart, and return the queues, which others need too. */
export async function refreshFigures() {
  const [stats, lines] = await Promise.all([dashboardStats(), queues(), refreshTrend()]);
  setChildren(byId("figures"), figures(stats, lines.queues ?? []));
  return lines;
}

/** Ask for the chart now, if it is not fresh. */
export async function refreshTrend(force = false) {
  if (!force && performance.now() - trendReadAt < TREND_MILLISECONDS) return;
  const window = byId("trend-window").value;
  const answer = await trends(window);
  if (window !== byId("trend-window").value) return; // somebody chose another one meanwhile
  trend = answer;
  trendReadAt = performance.now();
  const { chart, peak } = trendChart(answer);
  setChildren(byId("trend-chart"), [chart]);
  setText(byId("trend-peak"), `peak ${rate(peak)}`);
}

function checkItems({ database, workers, redis, api }) {
  const items = [];
  if (database) items.push(["store", database, `${rate(database.response_time_ms)} ms`]);
  if (workers) {
    items.push([
      "workers",
      workers,
      `${count(workers.active_count)} of ${count(workers.total_count)} active`,
    ]);
  }
  if (redis && redis.status !== "not_configured") {
    items.push(["redis", redis, `${rate(redis.response_time_ms)} ms`]);
  }
  if (api) items.push(["API", api, `up ${duration(api.uptime_seconds)}`]);
  return items.map(([name, check, figure]) =>
    el("li", { "data-health": check.status }, `${name} `, el("span", {}, check.detail || figure)),
  );
}

function figures(stats, lines) {
  const tasks = stats.tasks ?? {};
  const totals = stats.totals ?? {};
  const workers = stats.workers ?? {};
  const minute = stats.last_minute ?? {};
  const waits = lines.map((line) => line.oldest_wait_seconds).filter((wait) => wait !== null);
  const oldest = waits.length ? Math.max(...waits) : null;
  const slowest = lines.find((line) => line.oldest_wait_seconds === oldest && oldest !== null);
  const failsOften = stats.success_rate !== null && stats.success_rate < GOOD_SHARE;
  return [
    figure("Waiting", count(tasks.queued), `${count(tasks.delayed)} delayed`),
    figure("Running", count(tasks.running), `${rate(minute.submitted_per_minute)} / min submitted`),
    figure(
      "Completed / min",
      rate(minute.completed_per_minute),
      `${count(totals.completed)} in all`,
    ),
    figure(
      "Failed / min",
      el("span", { class: failsOften && "bad" }, rate(minute.failed_per_minute)),
      `${count(totals.failed)} in all · ${percent(stats.success_rate)} good`,
    ),
    figure("Busy slots", `${count(workers.busy_slots)} / ${count(workers.slots)}`, [
      `${count(workers.active)} workers active`,
      workers.lost > 0 && lostNote(workers.lost),
    ]),
    figure("Oldest wait", duration(oldest), slowest ? `in ${slowest.queue}` : "nothing waits"),
  ];
}

const lostNote = (lost) => [" · ", el("span", { class: "bad" }, `${count(lost)} lost`)];

function figure(name, value, note) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, value), el("dd", { class: "note" }, note));
}
