import type { ApiDocument, Operation, Schema } from './api-document.ts';

export interface HostileRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string | FormData;
}

/** Bodies of which a sample of the schema would make no sense. */
export type KnownBodies = Record<string, object[]>;

/** Values of fields that only a few strings are good for. */
const SAMPLES: Record<string, unknown> = {
  model: 'tiny-classifier',
  input: 'the cat',
  text: 'the cat',
  parameters: { top_k: 1 },
  metadata: { order: '1' },
  expires_at: null,
};
const JSON_TYPE = { 'content-type': 'application/json' };
/** Those that every operation takes. */
const HEADERS = ['x-request-id', 'content-type', 'authorization'];
const VISIBLE = /^[\x20-\x7e]{0,8000}$/;

/** Requests that have a value in every place where a caller may put one, one place each. */
export function* hostileRequests(
  { operations, resolve }: ApiDocument,
  value: string,
  known: KnownBodies,
): Generator<HostileRequest> {
  const encoded = encodeURIComponent(value.toWellFormed());
  for (const operation of operations) {
    const { method } = operation;
    const bodies = bodiesOf(operation, resolve, known);
    const [right] = bodies;
    const sent = right === undefined ? {} : { body: JSON.stringify(right) };
    const path = operation.path.replace(/\{\w+\}/, encoded);
    if (path !== operation.path) yield { method, path, headers: JSON_TYPE, ...sent };
    const plain = operation.path.replace(/\{\w+\}/, 'none');
    const of = (place: string) => operation.parameters.filter((each) => each.in === place);
    const queries = [...of('query').map(({ name }) => `${name}=${encoded}`), `${encoded}=1`];
    for (const query of queries) {
      yield { method, path: `${plain}?${query}`, headers: JSON_TYPE, ...sent };
    }
    const names = [...of('header').map(({ name }) => name), ...HEADERS];
    for (const name of VISIBLE.test(value) ? names : []) {
      yield { method, path: plain, headers: { ...JSON_TYPE, [name]: value }, ...sent };
    }
    for (const body of bodies) {
      for (const hostile of withValue(body, value)) {
        yield { method, path: plain, headers: JSON_TYPE, body: JSON.stringify(hostile) };
      }
    }
    if (operation.body?.type === 'multipart/form-data') yield* uploads(operation, value);
  }
}

function bodiesOf(
  { method, path, body }: Operation,
  resolve: ApiDocument['resolve'],
  known: KnownBodies,
): unknown[] {
  if (body?.type !== 'application/json') return [];
  return known[`${method} ${path}`] ?? [sampleOf(body.schema, resolve, '')];
}

/** One value that a schema allows, or nearly. */
function sampleOf(given: Schema, resolve: ApiDocument['resolve'], name: string): unknown {
  if (Object.hasOwn(SAMPLES, name)) return SAMPLES[name];
  const schema = resolve(given);
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (Array.isArray(choices)) return sampleOf(choices[0], resolve, '');
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if ('default' in schema) return schema.default;
  switch (schema.type) {
    case 'object': {
      const properties = Object.entries(schema.properties ?? {});
      return Object.fromEntries(
        properties.map(([key, each]) => [key, sampleOf(each, resolve, key)]),
      );
    }
    case 'array':
      return [sampleOf(Object(schema.items), resolve, '')];
    case 'integer':
    case 'number':
      return schema.minimum ?? 1;
    default:
      return 'a';
  }
}

/** Copies of a body: each leaf replaced by the value in turn, each object with one field more. */
function* withValue(body: unknown, value: string): Generator<unknown> {
  if (typeof body !== 'object' || body === null) {
    yield value;
    return;
  }
  if (Array.isArray(body)) {
    for (const [i, each] of body.entries()) {
      for (const hostile of withValue(each, value)) yield body.with(i, hostile);
    }
    return;
  }
  yield own([...Object.entries(body), [value, value]]);
  for (const [key, each] of Object.entries(body)) {
    for (const hostile of withValue(each, value)) {
      yield own(Object.entries(body).map(([name, old]) => [name, name === key ? hostile : old]));
    }
  }
}

/** `__proto__` becomes a field like any other. */
function own(entries: [string, unknown][]): unknown {
  return Object.fromEntries(entries);
}

function* uploads({ method, path }: Operation, value: string): Generator<HostileRequest> {
  const places = ['filename', 'purpose', 'expires_after[seconds]', 'field', 'content'];
  for (const place of places) {
    const form = new FormData();
    form.append('purpose', place === 'purpose' ? value : 'batch');
    if (place === 'expires_after[seconds]') form.append(place, value);
    if (place === 'field') form.append(value, value);
    const content = place === 'content' ? value : 'x';
    form.append('file', new Blob([content]), place === 'filename' ? value : 'rows');
    yield { method, path, headers: {}, body: form };
  }
}
