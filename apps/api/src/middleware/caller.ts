import { DEFAULT_TENANT, SCOPES, type Scope } from '@headrace/shared/api-keys.ts';
import type { Context } from 'hono';
import type { ApiEnv } from './api-env.ts';

/** What a caller may use up. */
export interface CallerLimits {
  /** Null for one without a stored key. */
  keyId: string | null;
  /** The key's own rate; null: the configuration's. */
  limits: { rowsPerS: number; burstRows: number } | null;
  /** The tenant's share of the work, 1 by default. */
  weight: number;
  /** The tenant's own bound of rows that wait or run for a model; null: the configuration's. */
  maxRows: number | null;
  /** The span of the request, while tracing is on. */
  trace?: string;
}

/** Who asks, once for each request. */
export interface Caller extends CallerLimits {
  tenant: string;
  scopes: readonly Scope[];
}

/** Whoever asks where no key is demanded. */
export const ANYBODY: Caller = {
  tenant: DEFAULT_TENANT,
  scopes: SCOPES,
  keyId: null,
  limits: null,
  weight: 1,
  maxRows: null,
};

/** Who asks; on routes that are open to all there is nobody. */
export function callerOf(c: Context<ApiEnv>): Caller {
  const trace = c.get('trace');
  const caller = c.get('caller');
  return trace === undefined ? caller : { ...caller, trace };
}

export function tenantOf(c: Context<ApiEnv>): string {
  return c.get('caller').tenant;
}
