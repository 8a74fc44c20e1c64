// Every path of the API that the console uses, and nothing else: a test compares them with the API.

import { at, send } from "./api.js";

// An unhealthy system answers 503 with a body of the same shape, and all within a second.
export const health = () => send("GET", at`/health`, { accept: [503], limit: 3_000 });

export const dashboardStats = () => send("GET", at`/api/v1/dashboard/stats`);
export const trends = (window) => send("GET", at`/api/v1/analytics/trends`, { query: { window } });

export const queues = () => send("GET", at`/api/v1/queues`);
export const pauseQueue = (queue) => send("POST", at`/api/v1/queues/${queue}/pause`);
export const resumeQueue = (queue) => send("POST", at`/api/v1/queues/${queue}/resume`);

export const workers = () => send("GET", at`/api/v1/workers`);
export const pauseWorker = (id) => send("POST", at`/api/v1/workers/${id}/pause`);
export const resumeWorker = (id) => send("POST", at`/api/v1/workers/${id}/resume`);
export const drainWorker = (id) => send("POST", at`/api/v1/workers/${id}/drain`);

export const searchTasks = (query) => send("GET", at`/api/v1/search/tasks`, { query });
export const task = (id) => send("GET", at`/api/v1/tasks/${id}`);
export const taskResult = (id) => send("GET", at`/api/v1/tasks/${id}/result`);
export const taskTimeline = (id) => send("GET", at`/api/v1/tasks/${id}/events`);
export const taskLogs = (id) => send("GET", at`/api/v1/tasks/${id}/logs`);
export const cancelTask = (id) => send("POST", at`/api/v1/tasks/${id}/cancel`);
export const retryTask = (id) => send("POST", at`/api/v1/tasks/${id}/retry`);
export const submitTask = (json) => send("POST", at`/api/v1/tasks`, { json });

export const replayDeadLetters = (body) => send("POST", at`/api/v1/dlq/replay`, { body });

export const schedules = () => send("GET", at`/api/v1/schedules`);
export const deleteSchedule = (id) => send("DELETE", at`/api/v1/schedules/${id}`);

export const taskTypes = () => send("GET", at`/api/v1/task-types`);
