/** Why there was no answer. */
export const CALLBACK_FAILURES = [
  'url_not_allowed',
  'address_not_allowed',
  'dns_failed',
  'connect_failed',
  'tls_failed',
  'timed_out',
  'closed',
  'invalid_response',
  'response_too_large',
] as const;

export type CallbackFailure = (typeof CALLBACK_FAILURES)[number] | 'canceled';

/** Why a callback got no answer. Its message says nothing that only the inside should know. */
export class CallbackError extends Error {
  readonly reason: CallbackFailure;

  constructor(reason: CallbackFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'CallbackError';
    this.reason = reason;
  }
}
