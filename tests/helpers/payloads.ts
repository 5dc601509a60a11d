import { readFileSync } from 'node:fs';
import type { BatchDefinition } from '@headrace/shared/bulk/batch.ts';
import type { ChunkPayload, JobPayload } from '@headrace/shared/queues.ts';

/** A batch that has been handed out, as a former version has left it. */
interface FormerBatch {
  /** Content of its input file. */
  input: string;
  definition: BatchDefinition;
  /** Fields of its hash. */
  state: Record<string, string>;
  plan: unknown;
  chunk: ChunkPayload;
}

/** The payload of a job as an earlier commit has written it, but that it has just been submitted. */
export function formerJob(commit: string): JobPayload {
  return { ...read<JobPayload>(`job-${commit}`), created_ms: Date.now() };
}

export function formerBatch(commit: string): FormerBatch {
  return read<FormerBatch>(`batch-${commit}`);
}

function read<T>(name: string): T {
  const file = new URL(`../fixtures/payloads/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8'));
}
