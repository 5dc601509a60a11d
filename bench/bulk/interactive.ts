import { setTimeout as sleep } from 'node:timers/promises';
import { modelRef } from '@headrace/shared/manifests.ts';
import { Client } from 'undici';
import { shortJob, timeJobs } from '../idle.ts';
import { type Figure, findModel, type Part } from '../part.ts';
import { medianFigure, percentile } from '../statistics.ts';
import { type RunTotals, startBenchDispatcher, startSystem } from '../system.ts';
import { type BulkClient, openBulkClient } from './bulk-batch.ts';
import { uploadDocuments } from './upload.ts';

const SIZES = {
  full: { first: 50, jobs: 300, rounds: 3, rows: 40_000 },
  quick: { first: 10, jobs: 40, rounds: 1, rows: 10_000 },
};
/** Batches of both engines and the rows of two chunks are there by then. */
const SETTLE_MS = 3_000;
const POLL_MS = 100;

interface Round {
  idleP99Ms: number;
  busyP50Ms: number;
  busyP99Ms: number;
  /** Mean run of a tensor batch of the bulk rows meanwhile. */
  batchMs: number;
}

/**
 * One short text at a time, on an idle system and then while a batch keeps every engine busy. The
 * figure is the 99th percentile against what is promised: two tensor batches of the bulk rows (one
 * runs, one is prepared behind it) and the percentile of the idle system.
 */
export const bulkInteractive: Part = async ({ quick, documents, models, say, lifecycle }) => {
  const folder = findModel(models, 'minilm');
  if (folder === undefined) return [];
  const { first, jobs, rounds, rows } = quick ? SIZES.quick : SIZES.full;
  const model = modelRef(folder.manifest);
  const system = await startSystem(folder, 'onnx', lifecycle);
  await startBenchDispatcher(system.env, lifecycle);
  const batches = openBulkClient(system, lifecycle);
  const client = new Client(system.apiUrl);
  lifecycle.push('client', () => client.destroy());
  const body = shortJob(model, documents);
  const texts = documents.map(({ text }) => text);
  const { fileId } = await uploadDocuments(system.apiUrl, texts, rows);
  const p = (some: number[], share: number) => percentile(some, share);
  await timeJobs(client, body, first);
  const measured: Round[] = [];
  for (let round = 1; round <= rounds; round++) {
    const idle = await timeJobs(client, body, jobs);
    const { id } = await batches.create(model, fileId);
    await saturated(batches, id);
    const before = await system.runs();
    const busy = await timeJobs(client, body, jobs);
    const after = await system.runs();
    if ((await batches.read(id)).status !== 'in_progress')
      throw new Error('the batch was too short');
    await batches.stop(id);
    const batchMs = bulkRunMs(before, after);
    const idleP99Ms = p(idle, 0.99);
    measured.push({ idleP99Ms, busyP50Ms: p(busy, 0.5), busyP99Ms: p(busy, 0.99), batchMs });
    const [i, b] = [idleP99Ms, p(busy, 0.99)].map((ms) => ms.toFixed(1));
    say(
      `bulk_interactive ${round}/${rounds}: p99 idle ${i}, busy ${b}, batch ${batchMs.toFixed(1)} ms`,
    );
  }
  return figuresOf(measured);
};

async function saturated(batches: BulkClient, id: string): Promise<void> {
  while ((await batches.read(id)).status !== 'in_progress') await sleep(POLL_MS);
  await sleep(SETTLE_MS);
}

type Runs = Record<'all' | 'interactive', RunTotals>;

/** A job of one row is one run, or shares one: then there are fewer runs, and the mean is higher. */
function bulkRunMs(before: Runs, after: Runs): number {
  const grown = (kind: keyof Runs, of: keyof RunTotals) => after[kind][of] - before[kind][of];
  const count = grown('all', 'count') - grown('interactive', 'count');
  return ((grown('all', 'seconds') - grown('interactive', 'seconds')) / count) * 1000;
}

function figuresOf(rounds: readonly Round[]): Figure[] {
  const figure = (suffix: string, of: (round: Round) => number) =>
    medianFigure(`bulk_interactive.${suffix}`, 'ms', rounds.map(of));
  const ratios = rounds.map(
    ({ idleP99Ms, busyP99Ms, batchMs }) => busyP99Ms / (2 * batchMs + idleP99Ms),
  );
  return [
    medianFigure('ratios.bulk_interactive_p99', '', ratios),
    figure('idle_p99_ms', ({ idleP99Ms }) => idleP99Ms),
    figure('busy_p50_ms', ({ busyP50Ms }) => busyP50Ms),
    figure('busy_p99_ms', ({ busyP99Ms }) => busyP99Ms),
    figure('tensor_batch_ms', ({ batchMs }) => batchMs),
  ];
}
