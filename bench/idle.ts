import { type ModelFolder, modelRef } from '@headrace/shared/manifests.ts';
import { Client } from 'undici';
import { z } from 'zod';
import type { Document } from './documents.ts';
import { warmUp } from './http-round.ts';
import { type BenchContext, defaultModel, type Figure, findModel, type Part } from './part.ts';
import { mean, medianFigure, percentile } from './statistics.ts';
import { startSystem } from './system.ts';

/**
 * The parts of a job's way. `rest_of_worker` is the fetch's round trip and the way to the engine and
 * back; `http_store_notice` is everything before the job exists and after its answer does. Queue
 * and rests are made of whole milliseconds, so only means are of use.
 */
const STAGES = [
  'queue',
  'tokenize',
  'batch_wait',
  'infer',
  'rest_of_worker',
  'http_store_notice',
] as const;
type Stages = Record<(typeof STAGES)[number], number>;

interface IdleJob {
  /** From the request to the last byte of its answer. */
  latencyMs: number;
  stagesMs: Stages;
}

const SIZES = {
  full: { warmMs: 6_000, first: 200, jobs: 1_000, rounds: 5 },
  quick: { warmMs: 1_000, first: 50, jobs: 200, rounds: 1 },
};

/** One job at a time through a null engine: what the detour through the queue costs. */
export const idleOverhead: Part = async (context) => {
  const rounds = await measureRounds(context, defaultModel(context.models), 'null');
  return latencyFigures('idle_overhead_ms', rounds);
};

/** One short text at a time through the real model. */
export const idleMinilm: Part = async (context) => {
  const folder = findModel(context.models, 'minilm');
  if (folder === undefined) return [];
  return latencyFigures('idle_minilm_ms', await measureRounds(context, folder, 'onnx'));
};

async function measureRounds(
  { quick, documents, say, lifecycle }: BenchContext,
  folder: ModelFolder,
  engine: 'onnx' | 'null',
): Promise<IdleJob[][]> {
  const { warmMs, first, jobs, rounds } = quick ? SIZES.quick : SIZES.full;
  const system = await startSystem(folder, engine, lifecycle);
  const model = modelRef(folder.manifest);
  const body = shortJob(model, documents);
  const client = new Client(system.apiUrl);
  lifecycle.push('client', () => client.destroy());
  await warmUp(system, { model, documents, ms: warmMs });
  await runJobs(client, body, first);
  const measured: IdleJob[][] = [];
  for (let round = 1; round <= rounds; round++) {
    const done = await runJobs(client, body, jobs);
    measured.push(done);
    const [p50, p99] = [0.5, 0.99].map((p) => percentile(latencies(done), p).toFixed(2));
    say(`idle ${folder.manifest.name} ${engine} ${round}/${rounds}: p50 ${p50}, p99 ${p99} ms`);
  }
  return measured;
}

const SHORT_TEXT_TOKENS = 12;

/** The body of a job of one short text. */
export function shortJob(model: string, documents: readonly Document[]): string {
  const input = documents.find(({ tokens }) => tokens === SHORT_TEXT_TOKENS)?.text;
  return JSON.stringify({ model, input });
}

/** Runs jobs one at a time. @returns from the request to the last byte of its answer, milliseconds */
export async function timeJobs(client: Client, body: string, count: number): Promise<number[]> {
  return latencies(await runJobs(client, body, count));
}

async function runJobs(client: Client, body: string, count: number): Promise<IdleJob[]> {
  const done: IdleJob[] = [];
  const headers = { 'content-type': 'application/json', prefer: 'wait=60' };
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    const answer = await client.request({ method: 'POST', path: '/v1/jobs', headers, body });
    const text = await answer.body.text();
    const latencyMs = performance.now() - began;
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode}: ${text.slice(0, 500)}`);
    done.push({ latencyMs, stagesMs: stagesOf(text, latencyMs) });
  }
  return done;
}

const Answer = z.object({
  status: z.literal('succeeded'),
  timings: z.object({
    queue_ms: z.number(),
    tokenize_ms: z.number(),
    batch_wait_ms: z.number(),
    infer_ms: z.number(),
    total_ms: z.number(),
  }),
});

/** @throws ZodError unless the job has succeeded */
function stagesOf(answer: string, latencyMs: number): Stages {
  const { timings: t } = Answer.parse(JSON.parse(answer));
  return {
    queue: t.queue_ms,
    tokenize: t.tokenize_ms,
    batch_wait: t.batch_wait_ms,
    infer: t.infer_ms,
    rest_of_worker: t.total_ms - t.queue_ms - t.tokenize_ms - t.batch_wait_ms - t.infer_ms,
    http_store_notice: latencyMs - t.total_ms,
  };
}

function latencies(jobs: readonly IdleJob[]): number[] {
  return jobs.map(({ latencyMs }) => latencyMs);
}

function latencyFigures(name: string, rounds: IdleJob[][]): Figure[] {
  const figure = (suffix: string, of: (jobs: IdleJob[]) => number) =>
    medianFigure(`${name}.${suffix}`, 'ms', rounds.map(of));
  return [
    figure('p50', (jobs) => percentile(latencies(jobs), 0.5)),
    figure('p99', (jobs) => percentile(latencies(jobs), 0.99)),
    ...STAGES.map((stage) =>
      figure(`mean.${stage}`, (jobs) => mean(jobs.map(({ stagesMs }) => stagesMs[stage]))),
    ),
  ];
}
