import { RESERVED_CONNECTIONS } from '../postgres/connection-defaults.js';
import { grouped } from '../config/setting-values.js';
import {
  ALWAYS_BUSY,
  BUSY_EVENT_LOOP,
  GOOD_WORKER_RATE,
  HALF_BUSY,
  MIN_BATCHES,
  SHORT_OF_TIME,
  SLOW_FLUSH_MS,
} from './advice-thresholds.js';
import type { Finding } from './finding.interface.js';
import { roundDown } from './figures.js';
import {
  freeConnections,
  growBatch,
  knob,
  raise,
  relieveLoop,
  wordsOf,
  writeFaster,
} from './remedy.js';
import type { Situation } from './situation.js';

/**
 * Too many clients now or soon: all instances together may open more connections than the server
 * allows.
 */
export function connectionsExhausted(situation: Situation): Finding | undefined {
  const { window, environment, instances, poolSize } = situation;
  const refused = window.retries.too_many_connections;
  const mayOpen = instances * poolSize;
  const { maxConnections } = environment;
  const isTooMany = maxConnections !== undefined && mayOpen > maxConnections - RESERVED_CONNECTIONS;
  if (refused === 0 && !isTooMany) return undefined;
  const limit =
    maxConnections === undefined
      ? []
      : [{ name: 'max_connections', value: maxConnections, unit: '' }];
  return {
    rule: 'connections-exhausted',
    severity: refused > 0 ? 'warning' : 'notice',
    summary:
      refused > 0
        ? `the server refused a connection ${grouped(refused)} times`
        : `${instances} x ${poolSize} connections may be opened, and the server takes ` +
          `${maxConnections! - RESERVED_CONNECTIONS}`,
    evidence: [
      { name: 'refused', value: refused, unit: '' },
      { name: 'connections', value: mayOpen, unit: '' },
      ...limit,
    ],
    ...freeConnections(situation),
  };
}

/** The thread has no time left, so other measurements say little. */
export function eventLoopBusy(situation: Situation): Finding | undefined {
  const { eventLoopUtilization = 0 } = situation.environment;
  if (eventLoopUtilization < BUSY_EVENT_LOOP) return undefined;
  const percent = Math.round(eventLoopUtilization * 100);
  return {
    rule: 'event-loop-busy',
    severity: 'notice',
    summary: `the event loop is busy ${percent} % of the time`,
    evidence: [{ name: 'event loop busy', value: percent, unit: '%' }],
    ...relieveLoop(situation),
  };
}

/** Connections equal workers: workers always wait for the server, and there is no reserve. */
export function workersAlwaysBusy(situation: Situation): Finding | undefined {
  const { window, settings, environment, isOutage } = situation;
  const { busyShare, flushMs, flushes } = window;
  const { activeConnections = 0 } = environment;
  const isSeenActive = activeConnections >= settings.numWorkers && busyShare >= HALF_BUSY;
  if (isOutage || flushes === 0 || !(busyShare >= ALWAYS_BUSY || isSeenActive)) return undefined;
  const percent = Math.round(busyShare * 100);
  const active = Math.max(activeConnections, window.busyWorkers);
  return {
    rule: 'workers-always-busy',
    severity: 'notice',
    summary: `${settings.numWorkers} workers wait for the server ${percent} % of the time`,
    evidence: [
      { name: 'workers busy', value: percent, unit: '%' },
      { name: 'active connections', value: active, unit: '' },
      { name: 'flush time', value: Math.round(flushMs), unit: 'ms' },
    ],
    ...writeFaster(situation),
  };
}

/**
 * Batches are always full, and writing takes most of the workers' time: larger batches cost less
 * per entry.
 */
export function batchesAlwaysFull(situation: Situation): Finding | undefined {
  const { window, isAlwaysFull } = situation;
  if (!isAlwaysFull || window.busyShare < HALF_BUSY) return undefined;
  const change = growBatch(situation);
  if (change === null) return undefined;
  const { batches, batchCount, busyShare, flushMs } = window;
  const percent = Math.round((batches.full / batchCount) * 100);
  return {
    rule: 'batches-always-full',
    severity: 'notice',
    summary: `${percent} % of ${grouped(batchCount)} batches were full`,
    evidence: [
      { name: 'full batches', value: percent, unit: '%' },
      { name: 'workers busy', value: Math.round(busyShare * 100), unit: '%' },
      { name: 'flush time', value: Math.round(flushMs), unit: 'ms' },
    ],
    ...raise('batch', change),
  };
}

/** Flushes over 100 ms: a large batch if the rate is good, else a slow server. */
export function flushesSlow(situation: Situation): Finding | undefined {
  const { window, settings, workerPerSecond, isAuto } = situation;
  const { flushMs, flushes, entriesPerFlush, busyShare } = window;
  if (flushes < MIN_BATCHES || flushMs <= SLOW_FLUSH_MS) return undefined;
  const isGoodRate = workerPerSecond >= GOOD_WORKER_RATE;
  // While entries wait for a worker, throughput is more important than the time of one flush.
  if (isGoodRate && (busyShare >= SHORT_OF_TIME || isAuto.has('batchSize'))) return undefined;
  const smaller = roundDown((entriesPerFlush * SLOW_FLUSH_MS) / flushMs);
  const change = isGoodRate ? knob('batchSize', settings.batchSize, smaller) : null;
  return {
    rule: 'flushes-slow',
    constraint: change === null ? 'database' : 'batch',
    severity: 'notice',
    summary:
      `a flush of ${grouped(Math.round(entriesPerFlush))} entries takes ` +
      `${grouped(Math.round(flushMs))} ms`,
    remedy:
      change === null
        ? 'check the server: locks, indexes and triggers of the table, disk, distance'
        : wordsOf(change),
    evidence: [
      { name: 'flush time', value: Math.round(flushMs), unit: 'ms' },
      { name: 'entries a flush', value: Math.round(entriesPerFlush), unit: 'entries' },
      { name: 'rate of a worker', value: Math.round(workerPerSecond), unit: 'entries/s' },
    ],
    change,
  };
}

/** More workers than `min(cores, max_connections / 10)`, and more than were ever busy. */
export function workersAboveLimit(situation: Situation): Finding | undefined {
  const { settings, window, workerLimit, environment, isOutage } = situation;
  const { numWorkers } = settings;
  if (workerLimit === undefined || numWorkers <= workerLimit) return undefined;
  // A trial has shown that they write more.
  if (situation.isAuto.has('numWorkers')) return undefined;
  // Without entries, or without a reachable server, idle workers say nothing.
  if (isOutage || window.flushes < MIN_BATCHES) return undefined;
  const used = Math.max(window.busyWorkers, Math.ceil(window.busyShare * numWorkers));
  if (used > workerLimit) return undefined;
  const change = { setting: 'numWorkers', from: numWorkers, to: workerLimit } as const;
  const { cores, maxConnections } = environment;
  return {
    rule: 'workers-above-limit',
    constraint: 'workers',
    severity: 'notice',
    summary: `of ${numWorkers} workers no more than ${used} were busy at once`,
    remedy: `${wordsOf(change)}: min(cores, max_connections / 10)`,
    evidence: [
      { name: 'workers', value: numWorkers, unit: '' },
      { name: 'busy at once', value: used, unit: '' },
      ...(cores === undefined ? [] : [{ name: 'cores', value: cores, unit: '' }]),
      ...(maxConnections === undefined
        ? []
        : [{ name: 'max_connections', value: maxConnections, unit: '' }]),
    ],
    change,
  };
}
