import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Batch } from '@headrace/shared/bulk/batch.ts';
import { csvDocuments, SCORING } from './batch-input.ts';
import { BatchKiller, type KillCounts, type KillPlan, plannedKills } from './batch-kills.ts';
import { BulkStack } from './bulk-stack.ts';
import { sum } from './figures.ts';
import type { RowContext } from './row.ts';

export interface BatchTrial {
  model: string;
  modelsDir: string;
  rows: number;
  chunkRows: number;
  /** Small ones keep the tiny model as busy as a real one, so that kills find rows in the engines. */
  tokenBudget?: number;
  plan: KillPlan;
}

/** Chunks that a worker holds: the default of its setting. */
const CHUNKS_HELD = 3;

export async function survive(trial: BatchTrial, { say }: RowContext) {
  const { model, modelsDir, chunkRows, tokenBudget = 0 } = trial;
  const env = {
    HEADRACE_CHUNK_ROWS: String(chunkRows),
    HEADRACE_TOKEN_BUDGET: String(tokenBudget),
    HEADRACE_BULK_CHUNKS: String(CHUNKS_HELD),
  };
  await using stack = await BulkStack.start({ model, modelsDir, env });
  const { client } = stack;
  const csv = csvDocuments(trial.rows, 30);
  const input = await client.upload(csv);
  const request = { model, input_file_id: input, ...SCORING };
  const calm = await undisturbed(stack, request);
  const output = await client.content(calm.output_file_id);
  say(`${model}: ${trial.rows} rows undisturbed`);

  const endless = client.uploadForever();
  await until(async () => (await stack.beingWritten()).size > 0);
  const { id } = await client.create(request);
  const sizes = { inputBytes: csv.length, outputBytes: output.bytes };
  const killer = new BatchKiller(stack, id, sizes);
  await killer.run(trial.plan);
  await endless;
  const killed = await client.get(id);
  say(`${model}: ${JSON.stringify(killer.counts)}`);
  return await judged(stack, { trial, input, calm, killed, counts: killer.counts });
}

async function undisturbed({ client, batches }: BulkStack, request: object): Promise<Batch> {
  const { id } = await client.create(request);
  await until(async () => (await batches.read(id))?.state.status === 'completed');
  return client.get(id);
}

interface Runs {
  trial: BatchTrial;
  input: string;
  calm: Batch;
  killed: Batch;
  counts: KillCounts;
}

async function judged(stack: BulkStack, { trial, input, calm, killed, counts }: Runs) {
  const { client } = stack;
  const [calmOutput, calmErrors, output, errors] = [
    await client.content(calm.output_file_id),
    await client.content(calm.error_file_id),
    await client.content(killed.output_file_id),
    await client.content(killed.error_file_id),
  ];
  const work = recomputed(stack, { trial, counts, batch: killed.id });
  const wanted = [input, ...filesOf(calm), ...filesOf(killed)].sort();
  const left = await leftovers(stack, wanted);
  const { redis, redis_without_last_second, ...others } = counts;
  const kills = sum(Object.values(others));
  const sameOutput = output.sha256 === calmOutput.sha256 && output.lines > 0;
  const sameErrors = errors.sha256 === calmErrors.sha256;
  return {
    figures: {
      ...{ rows: trial.rows, chunk_rows: trial.chunkRows, kills },
      ...prefixed('kills_of_', others),
      kills_of_redis: redis + redis_without_last_second,
      kills_of_redis_without_last_second: redis_without_last_second,
      output_identical: sameOutput ? 'yes' : 'NO',
      errors_identical: sameErrors ? 'yes' : 'NO',
      rows_lost: calmOutput.lines - output.lines,
      rows_failed: errors.lines,
      ...work,
      files_left_over: left.files,
      blobs_left_over: left.blobs,
    },
    promises: {
      'the output is the same': sameOutput,
      'the errors are the same': sameErrors,
      'the counts are the same': isDeepStrictEqual(killed.request_counts, calm.request_counts),
      'only what was in flight is computed again': work.chunks_begun_again_without_cause === 0,
      'recomputed rows ≤ rows in flight': work.rows_recomputed <= work.rows_in_flight,
      'all kills happened': kills + redis + redis_without_last_second === plannedKills(trial.plan),
      'no file but input and output is left': left.files === 0 && left.blobs === 0,
    },
  };
}

function filesOf({ output_file_id, error_file_id }: Batch): string[] {
  return [output_file_id, error_file_id].filter((id) => id !== null);
}

const LOOK_MS = 20;
/** Beyond the time that parts are kept. */
const SWEEP_DEADLINE_MS = 60_000;
/** What was computed again, and how much may have been. */
function recomputed(
  stack: BulkStack,
  { trial, counts, batch: id }: { trial: BatchTrial; counts: KillCounts; batch: string },
) {
  const { chunks } = stack;
  const chunksAgain = chunks.begunAgain(id);
  const ends = stack.logs().filter(({ event }) => event === 'engine.ended');
  const engines = sum(ends.map(({ rowsLost }) => Number(rowsLost)));
  const chunksAtRisk = CHUNKS_HELD * counts.worker + chunks.atRisk(id);
  return {
    chunks_begun_again: chunksAgain,
    chunks_begun_again_without_cause: chunks.unexplained(id),
    rows_recomputed: chunksAgain * trial.chunkRows + engines,
    rows_recomputed_after_engine_kills: engines,
    rows_in_flight: chunksAtRisk * trial.chunkRows + engines,
  };
}

/** Waits until parts are swept. @returns how many files and blobs there are that nobody asked for */
async function leftovers({ client, folder }: BulkStack, wanted: string[]) {
  const others = async () => {
    const names = await readdir(folder);
    return names.filter((name) => name !== 'files' && name !== '.tmp');
  };
  const giveUp = performance.now() + SWEEP_DEADLINE_MS;
  while ((await others()).length > 0 && performance.now() < giveUp) await sleep(LOOK_MS);
  const isExtra = (id: string) => !wanted.includes(id);
  const contents = (await readdir(join(folder, 'files'))).filter(isExtra);
  const listed = (await client.files()).filter(isExtra);
  return { files: listed.length, blobs: contents.length + (await others()).length };
}

function prefixed(prefix: string, counts: Record<string, number>): Record<string, number> {
  const entries = Object.entries(counts).filter(([, count]) => count > 0);
  return Object.fromEntries(entries.map(([name, count]) => [prefix + name, count]));
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(LOOK_MS);
}
