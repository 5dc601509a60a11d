import { z } from 'zod';
import {
  type ChunkPayload,
  ChunkPayloadSchema,
  type JobPayload,
  JobPayloadSchema,
} from './queues.ts';

/** The newest version of each payload that this code reads; see docs/upgrades.md. */
export const PAYLOAD_VERSIONS = { job: 1, chunk: 1, batch: 1, delivery: 1 } as const;

const { shape } = JobPayloadSchema;

/**
 * What a payload of a job says in every version: whose it is, how long it may wait, and whom its end
 * is told. These fields never change their meaning. The first five are always there.
 */
const JobHeadSchema = z
  .object({
    v: z.int(),
    tenant: shape.tenant,
    model: shape.model,
    created_ms: shape.created_ms,
    ttl_s: shape.ttl_s,
    priority: shape.priority.catch('normal'),
    tokens: shape.tokens.catch(1),
    metadata: shape.metadata.catch({}),
    retry_of: shape.retry_of.catch(null),
    weight: shape.weight.catch(undefined),
    webhook: shape.webhook.catch(undefined),
    traceparent: shape.traceparent.catch(undefined),
    rows: z.array(z.unknown()).catch([]),
  })
  .transform(({ rows, ...head }) => ({ ...head, row_count: Math.max(1, rows.length) }));

/** A payload of which no more than the head can be read, by this version. */
export type JobHead = z.infer<typeof JobHeadSchema>;

export type StoredPayload = JobPayload | JobHead;

/** What Redis holds of a live job; null when it is no payload of any version. */
export function readJobPayload(json: string): StoredPayload | null {
  const stored = parseJson(json);
  const payload = JobPayloadSchema.safeParse(stored);
  if (payload.success) return payload.data;
  return headOf(stored);
}

/** The head alone, of a payload whose rest cannot be used. */
export function readJobHead(json: string): JobHead | null {
  return headOf(parseJson(json));
}

export function isReadable(payload: StoredPayload): payload is JobPayload {
  return 'rows' in payload;
}

/** A payload that cannot be read counts for as many rows as it seems to have, one at least. */
export function rowCount(payload: StoredPayload): number {
  return isReadable(payload) ? payload.rows.length : payload.row_count;
}

/** What every version of a chunk's payload says. */
const ChunkHeadSchema = z.object({ v: z.int(), batch: z.string(), index: z.int() });
export type ChunkHead = z.infer<typeof ChunkHeadSchema>;

/** @throws ZodError when it is no chunk of any version */
export function readChunkPayload(data: unknown): ChunkPayload | ChunkHead {
  const payload = ChunkPayloadSchema.safeParse(data);
  return payload.success ? payload.data : ChunkHeadSchema.parse(data);
}

/** How every reason begins that names a newer version. */
export const NEWER = 'a newer';

/** Why something waits, as its owner is told: which version it has, and which is read here. */
export function newerNeeded(
  kind: keyof typeof PAYLOAD_VERSIONS,
  by: 'worker' | 'dispatcher',
  v: number,
): string {
  const known = PAYLOAD_VERSIONS[kind];
  const form = v > known ? `version ${v}` : `version ${v} in a form that is newer`;
  return `${NEWER} ${by}: the ${kind} has ${form}, this ${by} reads up to version ${known}`;
}

function headOf(stored: unknown): JobHead | null {
  const head = JobHeadSchema.safeParse(stored);
  return head.success ? head.data : null;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}
