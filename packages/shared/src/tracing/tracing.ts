/** Names, ids and numbers of ours; never a text of a user. */
export type SpanAttributes = Record<string, string | number | boolean>;

export interface SpanStart {
  name: string;
  kind?: 'server' | 'client' | 'producer' | 'consumer';
  /** The span that this one is a part of, as a `traceparent`; without it a trace begins. */
  parent?: string | undefined;
  /** Spans that this one works for without being a part of them; it is kept if one of them is. */
  links?: readonly string[];
  /** Unix time in ms, for a span that began before it was known; else now. */
  startMs?: number;
  attributes?: SpanAttributes;
}

export interface TraceSpan {
  /** How others name it: the `traceparent` of W3C Trace Context. */
  readonly traceparent: string;
  rename(name: string): void;
  set(attributes: SpanAttributes): void;
  /** @param error code of what went wrong, if something did */
  end(options?: { atMs?: number; error?: string | undefined }): void;
}

/**
 * Where spans go. Whoever has none (`undefined`) makes no span: that one check is all that tracing
 * costs while it is off.
 */
export interface Tracing {
  start(span: SpanStart): TraceSpan;
  /** Sends what is left, for at most two seconds. Idempotent. */
  stop(): Promise<void>;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const MOST_CHARACTERS = 256;

export interface TraceParent {
  traceId: string;
  spanId: string;
  sampled: boolean;
}

/** @returns null for what is no `traceparent`; a version newer than 00 is read as far as it is known */
export function parseTraceparent(text: string): TraceParent | null {
  if (text.length > MOST_CHARACTERS) return null;
  const [, version, traceId = '', spanId = '', flags = '', rest] = TRACEPARENT.exec(text) ?? [];
  if (version === undefined || version === 'ff') return null;
  if (version === '00' && rest !== undefined) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function formatTraceparent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}
