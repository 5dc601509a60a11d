import { signatureHeaders } from '@headrace/shared/webhook-signature.ts';
import type { Attempt, DeliveryState } from '@headrace/shared/webhooks/delivery.ts';
import type { CallbackAnswer, CallbackClient } from './callback-client.ts';
import { CallbackError } from './callback-error.ts';
import { parseRetryAfter } from './schedule.ts';

interface AttemptOptions {
  client: CallbackClient;
  /** Newest first. */
  secrets: string[];
  timeoutMs: number;
  nowMs: number;
  signal: AbortSignal;
  /** Of the span that the receiver's own are a part of; null: none. */
  traceparent: string | null;
}

/** What a receiver made of a callback. */
export interface AttemptResult {
  attempt: Attempt;
  outcome: 'delivered' | 'failed' | 'gone';
  /** How long the receiver wants to be left alone. */
  retryAfterMs: number | null;
}

/**
 * Sends a delivery once. Only an answer of 2xx is success.
 * @throws CallbackError `canceled` when the signal ended it
 */
export async function attemptDelivery(
  { message, url }: DeliveryState,
  body: string,
  options: AttemptOptions,
): Promise<AttemptResult> {
  const { client, secrets, timeoutMs, nowMs, signal, traceparent } = options;
  const timestampS = Math.floor(nowMs / 1000);
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'headrace-webhooks/1',
    ...(traceparent !== null && { traceparent }),
    ...signatureHeaders(secrets, { id: message, timestampS, body }),
  };
  const began = performance.now();
  try {
    return judge(await client.post(url, { headers, body, timeoutMs, signal }), nowMs);
  } catch (error) {
    if (!(error instanceof CallbackError) || error.reason === 'canceled') throw error;
    const durationMs = performance.now() - began;
    const attempt = { at: nowMs / 1000, status: null, error: error.reason, response_head: null };
    return {
      attempt: { ...attempt, duration_ms: Math.round(durationMs) },
      outcome: 'failed',
      retryAfterMs: null,
    };
  }
}

function judge(answer: CallbackAnswer, nowMs: number): AttemptResult {
  const { status, head, headers, durationMs } = answer;
  const slow = status === 429 || status === 503;
  return {
    attempt: {
      ...{ at: nowMs / 1000, status, error: null },
      duration_ms: Math.round(durationMs),
      response_head: head.toWellFormed(),
    },
    outcome: status >= 200 && status < 300 ? 'delivered' : status === 410 ? 'gone' : 'failed',
    retryAfterMs: slow ? parseRetryAfter(headers['retry-after'], Date.now()) : null,
  };
}
