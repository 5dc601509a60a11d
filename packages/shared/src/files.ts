import type { Redis } from 'ioredis';
import { z } from 'zod';
import { unwrapPipeline } from './job-store.ts';
import { ONCE_TTL_MS, type OnceKeep } from './once.ts';
import type { Keyspace } from './queues.ts';
import { defineScript } from './redis.ts';

/** What a file may be uploaded for: requests of the Batch API, or documents as users have them. */
export const UPLOAD_PURPOSES = ['batch', 'user_data'] as const;
export const FILE_PURPOSES = [...UPLOAD_PURPOSES, 'batch_output'] as const;
export type FilePurpose = (typeof FILE_PURPOSES)[number];

/** A file as the contract shows it. Times are unix seconds. */
export const FileSchema = z
  .object({
    id: z.string(),
    object: z.literal('file'),
    bytes: z.number(),
    created_at: z.number(),
    expires_at: z.number().describe('When the file and its content are gone.'),
    filename: z.string(),
    purpose: z.enum(FILE_PURPOSES),
    status: z.literal('processed'),
    status_details: z.null(),
  })
  .meta({ id: 'File' });
export type FileObject = z.infer<typeof FileSchema>;

const FileRecordSchema = z.object({ tenant: z.string(), file: FileSchema });
type FileRecord = z.infer<typeof FileRecordSchema>;

const IDS_A_STEP = 500;
const MAX_SCANNED = 10_000;

/** Where the content of a file is. */
export function fileBlobKey(id: string): string {
  return `files/${id}`;
}

export interface FilePageOptions {
  tenant: string;
  order: 'asc' | 'desc';
  /** The last id of the page before. */
  after: string | null;
  limit: number;
  /** Only these; null: all. */
  purpose: FilePurpose | null;
}

export interface FilePage {
  files: FileObject[];
  hasMore: boolean;
  /** From where to go on; with a purpose that is rare it may be further than the last file. */
  lastId: string | null;
}

/** What a new file is, besides its content. */
interface NewFile {
  filename: string;
  purpose: FilePurpose;
  expiresAfterS: number;
}

/** A file of content that is stored. */
export function fileObject(
  { id, bytes }: { id: string; bytes: number },
  { filename, purpose, expiresAfterS }: NewFile,
  nowMs: number,
): FileObject {
  const created_at = Math.floor(nowMs / 1000);
  const expires_at = created_at + expiresAfterS;
  return {
    ...{ id, object: 'file', bytes, created_at, expires_at, filename, purpose },
    ...{ status: 'processed', status_details: null },
  };
}

/** An upload that ends, and the lease of its Idempotency-Key with it. */
export interface OnceSettled extends OnceKeep {
  /** Of the lease. */
  token: string;
}

interface ExpiringFile {
  tenant: string;
  id: string;
}

/**
 * The records of files. Whatever content may exist is in the expiry set from before its first byte
 * is stored until after its last one is deleted, so that no crash leaves content behind for good.
 */
export class FileStore {
  readonly #redis: Redis;
  readonly #keys: Keyspace;
  readonly #save: (args: (string | number)[]) => Promise<unknown>;

  constructor(redis: Redis, keys: Keyspace) {
    this.#redis = redis;
    this.#keys = keys;
    this.#save = defineScript(redis, 'save-file');
  }

  /** Before content is stored: it may go at `untilMs` unless `save` says otherwise, or has. */
  async reserve(file: ExpiringFile, untilMs: number): Promise<void> {
    // Not sooner than was promised before, if a file is written once more.
    await this.#redis.zadd(this.#keys.fileExpiry, 'GT', untilMs, memberOf(file));
  }

  /**
   * From now on the file is there, until its `expires_at`.
   * @returns false when another upload has come to hold its Idempotency-Key: then it is not there
   */
  async save({ tenant, file }: FileRecord, once: OnceSettled | null = null): Promise<boolean> {
    const expiresMs = file.expires_at * 1000;
    const record = JSON.stringify({ tenant, file } satisfies FileRecord);
    const { file: keyOf, files, fileExpiry } = this.#keys;
    const keys = [keyOf(file.id), files(tenant), fileExpiry, once?.key ?? fileExpiry];
    const args = [record, file.id, memberOf({ tenant, id: file.id }), expiresMs];
    const kept = [once?.token ?? '', once?.keep ?? '', ONCE_TTL_MS];
    return (await this.#save([keys.length, ...keys, ...args, ...kept])) === 1;
  }

  /** @returns null when there is no such file, or it is another tenant's */
  async read({ tenant, id }: ExpiringFile): Promise<FileObject | null> {
    return fileOf(await this.#redis.get(this.#keys.file(id)), tenant);
  }

  /** Files of a tenant by id, so by age. One call looks at 10,000 files at most. */
  async list(options: FilePageOptions): Promise<FilePage> {
    const { tenant, limit, purpose } = options;
    const files: FileObject[] = [];
    let lastId = options.after;
    for (let scanned = 0; scanned < MAX_SCANNED; scanned += IDS_A_STEP) {
      const ids = await this.#ids({ ...options, after: lastId });
      const records = ids.length > 0 ? await this.#redis.mget(ids.map(this.#keys.file)) : [];
      for (const [i, id] of ids.entries()) {
        if (files.length === limit) return { files, hasMore: true, lastId };
        lastId = id;
        const file = fileOf(records[i], tenant);
        if (file && (purpose === null || file.purpose === purpose)) files.push(file);
      }
      if (ids.length < IDS_A_STEP) return { files, hasMore: false, lastId };
    }
    return { files, hasMore: true, lastId };
  }

  #ids({ tenant, order, after }: FilePageOptions): Promise<string[]> {
    const key = this.#keys.files(tenant);
    const from = after === null ? null : `(${after}`;
    const page = ['LIMIT', 0, IDS_A_STEP] as const;
    return order === 'asc'
      ? this.#redis.zrangebylex(key, from ?? '-', '+', ...page)
      : this.#redis.zrevrangebylex(key, from ?? '+', '-', ...page);
  }

  /** From now on the file is not there; its content may go at once. @returns false if it was not */
  async remove(file: ExpiringFile): Promise<boolean> {
    const [, removed] = unwrapPipeline(
      await this.#redis
        .multi()
        .zadd(this.#keys.fileExpiry, 0, memberOf(file))
        .del(this.#keys.file(file.id))
        .zrem(this.#keys.files(file.tenant), file.id)
        .exec(),
    );
    return removed === 1;
  }

  /** Files whose content may go, those that may go longest first. */
  async due(nowMs: number, count: number): Promise<ExpiringFile[]> {
    const { fileExpiry } = this.#keys;
    const members = await this.#redis.zrangebyscore(fileExpiry, '-inf', nowMs, 'LIMIT', 0, count);
    return members.map((member) => {
      const split = member.lastIndexOf(':');
      return { tenant: member.slice(0, split), id: member.slice(split + 1) };
    });
  }

  /** After the content is gone. */
  async forget(file: ExpiringFile): Promise<void> {
    unwrapPipeline(
      await this.#redis
        .multi()
        .zrem(this.#keys.files(file.tenant), file.id)
        .zrem(this.#keys.fileExpiry, memberOf(file))
        .exec(),
    );
  }
}

function memberOf({ tenant, id }: ExpiringFile): string {
  return `${tenant}:${id}`;
}

function fileOf(json: string | null | undefined, tenant: string): FileObject | null {
  if (json === null || json === undefined) return null;
  const record = FileRecordSchema.parse(JSON.parse(json));
  return record.tenant === tenant ? record.file : null;
}
