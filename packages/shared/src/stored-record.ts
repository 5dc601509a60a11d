import type { Job, JobRecord } from './jobs.ts';

// The job comes last, behind a head of known form, so that it can be cut out as text.
const SUCCEEDED_HEAD = /^\{"tenant":"[^"\\]*","retry":null,"job":/;

/** A record as Redis holds it. */
export function encodeRecord({ tenant, retry, job }: JobRecord): string {
  return JSON.stringify({ tenant, retry, job });
}

/** Bytes before the job in what `encodeRecord` gives. */
export function bytesBeforeJob({ tenant, retry }: JobRecord): number {
  return Buffer.byteLength(JSON.stringify({ tenant, retry })) - '}'.length + ',"job":'.length;
}

/**
 * A finished record out of Redis. It is parsed only when somebody looks inside: an embedding is
 * some 8 KB of numbers, and to parse and write them again is the API's largest cost of such a job.
 *
 * Our own processes wrote the record; its shape is checked where it is written (by the types) and
 * in tests, not again on every read.
 */
export class StoredRecord implements JobRecord {
  readonly #json: string;
  #parsed: JobRecord | null = null;

  /** @param json what `encodeRecord` gave */
  constructor(json: string) {
    this.#json = json;
  }

  get tenant(): string {
    return this.#record.tenant;
  }

  get job(): Job {
    return this.#record.job;
  }

  get retry(): JobRecord['retry'] {
    return this.#record.retry;
  }

  /** The job as callers get it. */
  get jobJson(): string {
    const head = SUCCEEDED_HEAD.exec(this.#json)?.[0];
    return head ? this.#json.slice(head.length, -1) : JSON.stringify(this.job);
  }

  get #record(): JobRecord {
    if (this.#parsed) return this.#parsed;
    const parsed: JobRecord = JSON.parse(this.#json);
    this.#parsed = parsed;
    return parsed;
  }
}
