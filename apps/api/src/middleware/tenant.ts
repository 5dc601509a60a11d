import type { Context } from 'hono';
import type { ApiEnv } from './api-env.ts';

export const DEFAULT_TENANT = 'default';

/** Who asks. There are no keys yet, so everybody who reaches the port is the default tenant. */
export function tenantOf(_c: Context<ApiEnv>): string {
  return DEFAULT_TENANT;
}
