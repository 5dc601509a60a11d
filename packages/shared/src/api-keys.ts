import { z } from 'zod';

/** What a key may be used for; `admin` is keys and tenants and implies nothing else. */
export const SCOPES = ['jobs', 'batches', 'webhooks', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export const DEFAULT_TENANT = 'default';

/** Part of Redis keys and of flows, so nothing in it may be a separator or a glob. */
export const TenantName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, _ and -, no _ or - first');

const MAX_ROWS = 1_000_000_000;
const rows = () => z.int().min(1).max(MAX_ROWS);

/** The rate of a key by itself, in rows. */
export const RateLimitSchema = z.strictObject({
  rows_per_s: z.number().min(0.001).max(MAX_ROWS).describe('Rows a second in the long run.'),
  burst_rows: rows().describe('Rows at once after a pause; no job may have more.'),
});

/** What a tenant may use up; kept beside its name. */
export const TenantLimitsSchema = z.strictObject({
  weight: z
    .number()
    .min(0.01)
    .max(1_000)
    .describe('Share of the work beside tenants that wait too; one without a record has 1.'),
  max_rows: rows()
    .nullable()
    .describe('Rows that may wait or run for one model; null: as configured.'),
});
export type TenantLimits = z.infer<typeof TenantLimitsSchema>;

/** Of a tenant that nobody has set anything for. */
export const DEFAULT_LIMITS: TenantLimits = { weight: 1, max_rows: null };

/** What is stored of a key when it is created, besides the hash of its secret. */
export const KeyDefinitionSchema = z.object({
  tenant: z.string(),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  rate_limit: RateLimitSchema.nullable(),
  created_at: z.int(),
  expires_at: z.int().nullable(),
});
export type KeyDefinition = z.infer<typeof KeyDefinitionSchema>;
