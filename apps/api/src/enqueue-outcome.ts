import type { CallerTerms, EnqueueOutcome } from '@headrace/shared/enqueue.ts';
import { AppError } from '@headrace/shared/errors.ts';
import type { Caller, CallerLimits } from './middleware/caller.ts';
import type { Once } from './middleware/idempotency.ts';

/** What holds where neither key nor tenant has a limit of its own; null: nothing. */
export interface DefaultTerms {
  rate: CallerTerms['rate'];
  tenantMaxRows: number | null;
}

/** @throws AppError `too_many_rows` when the rate never allows so many at once */
export function termsOf(
  { keyId, limits, weight, maxRows }: CallerLimits,
  { tenant, rows }: Pick<Caller, 'tenant'> & { rows: number },
  defaults: DefaultTerms,
): CallerTerms {
  const rate = limits ?? defaults.rate;
  if (rate !== null && rows > rate.burstRows) {
    const message = `input: has ${rows} rows; the rate limit allows ${rate.burstRows} at once`;
    throw new AppError('too_many_rows', { message, param: 'input' });
  }
  return {
    keyId: keyId === null ? `tenant:${tenant}` : `key:${keyId}`,
    rate,
    weight,
    maxRows: maxRows ?? defaults.tenantMaxRows,
  };
}

/** What a job that was stored under an Idempotency-Key leaves there. */
export interface StoredJob {
  id: string;
  createdMs: number;
  model: string;
}

export function keepOf({ fingerprint }: Once, { id, createdMs, model }: StoredJob): string {
  return [fingerprint, id, createdMs, model].join(' ');
}

/** @returns the job that was stored before, else null. @throws AppError when nothing is stored */
export function storedBefore(outcome: EnqueueOutcome, once: Once | null): StoredJob | null {
  switch (outcome.kind) {
    case 'stored-before': {
      const [fingerprint, id = '', createdMs, model = ''] = outcome.kept.split(' ');
      if (fingerprint !== once?.fingerprint) throw new AppError('idempotency_mismatch');
      return { id, createdMs: Number(createdMs), model };
    }
    case 'too-fast':
      throw new AppError('rate_limited', {
        message: 'The rate limit of the key is reached.',
        retryAfterS: Math.max(1, Math.ceil(outcome.retryMs / 1000)),
      });
    case 'too-many-rows':
      throw new AppError('overloaded', {
        message: `The tenant has ${outcome.held} rows that wait or run, and may not have more.`,
        retryAfterS: TENANT_RETRY_S,
      });
    default:
      return null;
  }
}

/** Rows go as fast as they are served, which is not known for one tenant. */
const TENANT_RETRY_S = 5;
