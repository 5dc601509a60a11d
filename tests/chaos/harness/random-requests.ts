import fc from 'fast-check';
import type { ApiDocument, Operation, Schema } from './api-document.ts';

export interface RandomRequest {
  method: string;
  /** With the query. */
  path: string;
  headers: Record<string, string>;
  /** JSON, or the content of an upload. */
  body: string | { fields: Record<string, string>; content: string } | null;
}

/** What there is for fields of a name, so that not every request asks for what nobody has. */
type KnownValues = Record<string, string[]>;

export interface Known {
  values: KnownValues;
  /** Right bodies of operations such as `POST /v1/jobs`: few that are made at random are right. */
  bodies: Record<string, object[]>;
}

const MAX_CHARACTERS = 60;
const MAX_ITEMS = 4;

/** Requests that the document allows, and others that are a little beside it. */
export function randomRequest(document: ApiDocument, known: Known): fc.Arbitrary<RandomRequest> {
  const { operations } = document;
  return fc.constantFrom(...operations).chain((operation) => requestOf(operation, document, known));
}

function requestOf(operation: Operation, document: ApiDocument, known: Known) {
  const values = createValues(document, known.values);
  const { method, path, parameters } = operation;
  const right = known.bodies[`${method} ${path}`] ?? [];
  const of = (place: string) => {
    const fields = parameters.filter((each) => each.in === place);
    const entries = fields.map(({ name, schema }) => [name, values.text(schema, name)]);
    return fc.record(Object.fromEntries(entries), { requiredKeys: [] });
  };
  const resource = path.split('/')[2] ?? '';
  const id = fc.oneof(values.known(resource), fc.string({ minLength: 1, maxLength: 40 }));
  const noise = fc.dictionary(fc.string({ maxLength: 10 }), fc.string({ maxLength: 10 }), {
    maxKeys: 1,
  });
  const query = fc.oneof({ weight: 9, arbitrary: of('query') }, { weight: 1, arbitrary: noise });
  return fc
    .record({ id, query, headers: of('header'), body: bodyOf(operation, values, right) })
    .map(({ id: given, query: pairs, headers, body: content }) => ({
      ...{ method, headers: visible(headers), body: content },
      path: `${path.replace(/\{\w+\}/, encoded(given))}${queryString(pairs)}`,
    }));
}

type Values = ReturnType<typeof createValues>;

function bodyOf(
  { body }: Operation,
  values: Values,
  right: object[],
): fc.Arbitrary<RandomRequest['body']> {
  if (body === null) return fc.constant(null);
  if (body.type === 'multipart/form-data') {
    const purpose = fc.constantFrom('batch', 'user_data', 'fine-tune');
    const more = fc.dictionary(fc.string({ maxLength: 20 }), fc.string(), { maxKeys: 1 });
    return fc.record({
      fields: fc.tuple(purpose, more).map(([given, rest]) => ({ ...rest, purpose: given })),
      content: fc.string(),
    });
  }
  const made = values.of(body.schema, '', 0);
  const json = fc.oneof(made, ...(right.length === 0 ? [] : [nearlyRight(right, made)]));
  const text = json.map((value) => JSON.stringify(value));
  return fc.oneof({ weight: 19, arbitrary: text }, { weight: 1, arbitrary: fc.string() });
}

/** A right body, of which one field at most is another one's. */
function nearlyRight(right: object[], made: fc.Arbitrary<unknown>): fc.Arbitrary<object> {
  return fc
    .record({ body: fc.constantFrom(...right), other: made, place: fc.nat(30) })
    .map(({ body, other, place }) => {
      const field = Object.entries(Object(other))[place];
      return field === undefined ? body : { ...body, [field[0]]: field[1] };
    });
}

function createValues({ resolve }: ApiDocument, knownValues: KnownValues) {
  function known(name: string): fc.Arbitrary<string> {
    const values = knownValues[name] ?? [];
    return values.length === 0 ? fc.string() : fc.constantFrom(...values);
  }

  /** A value of a path, a query or a header. */
  function text(schema: Schema, name: string): fc.Arbitrary<string> {
    if (Object.hasOwn(knownValues, name)) return fc.oneof(known(name), fc.string());
    return of(schema, name, 1).map((value) =>
      typeof value === 'string' ? value : JSON.stringify(value),
    );
  }

  /** What a schema allows; one time in ten something else. */
  function of(schema: Schema, name: string, depth: number): fc.Arbitrary<unknown> {
    const right = Object.hasOwn(knownValues, name)
      ? fc.oneof({ weight: 4, arbitrary: known(name) }, { weight: 1, arbitrary: fc.string() })
      : allowed(resolve(schema), depth);
    const wrong = fc.jsonValue({ maxDepth: 2 });
    return fc.oneof({ weight: 19, arbitrary: right }, { weight: 1, arbitrary: wrong });
  }

  function allowed(schema: Schema, depth: number): fc.Arbitrary<unknown> {
    const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
    if (Array.isArray(choices)) {
      return fc.oneof(...choices.map((each) => allowed(resolve(each), depth + 1)));
    }
    if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum);
    if ('const' in schema) return fc.constant(schema.const);
    const types = Array.isArray(schema.type) ? schema.type : [schema.type];
    return fc.oneof(...types.map((type) => ofType(`${type}`, schema, depth)));
  }

  function ofType(type: string, schema: Schema, depth: number): fc.Arbitrary<unknown> {
    switch (type) {
      case 'object':
        return objectOf(schema, depth);
      case 'array': {
        const items = of(Object(schema.items ?? {}), '', depth + 1);
        return fc.array(items, { maxLength: depth > 3 ? 1 : MAX_ITEMS });
      }
      case 'integer':
      case 'number':
        return numberOf(type, schema);
      case 'boolean':
        return fc.boolean();
      case 'null':
        return fc.constant(null);
      case 'string':
        return stringOf(schema);
      default:
        return fc.jsonValue({ maxDepth: 2 });
    }
  }

  function objectOf(schema: Schema, depth: number): fc.Arbitrary<unknown> {
    const properties = Object.entries(schema.properties ?? {});
    const required = new Set(Array.isArray(schema.required) ? schema.required : []);
    const model = properties.map(([name, each]): Property => [name, of(each, name, depth + 1)]);
    const named = recordOf(model, required);
    const { additionalProperties: rest } = schema;
    if (typeof rest !== 'object' || rest === null) return named;
    const more = fc.dictionary(fc.string(), of({ ...rest }, '', depth + 1), { maxKeys: 3 });
    return fc.tuple(more, named).map(([others, own]) => ({ ...others, ...Object(own) }));
  }

  return { known, text, of };
}

type Property = [string, fc.Arbitrary<unknown>];

/** Those that are not required are missing half of the time. */
function recordOf(model: Property[], required: Set<unknown>): fc.Arbitrary<object> {
  const isRequired = ([name]: Property) => required.has(name);
  const always = fc.record(Object.fromEntries(model.filter(isRequired)));
  const optional = Object.fromEntries(model.filter((property) => !isRequired(property)));
  const some = fc.record(optional, { requiredKeys: [] });
  return fc.tuple(always, some).map(([one, other]) => ({ ...one, ...other }));
}

function numberOf(type: string, { minimum, maximum }: Schema): fc.Arbitrary<number> {
  const min = typeof minimum === 'number' ? minimum : -1_000;
  const max = typeof maximum === 'number' ? maximum : Math.max(min, 1e6);
  if (type === 'integer') return fc.integer({ min: Math.ceil(min), max: Math.min(max, 2 ** 31) });
  return fc.double({ min, max, noNaN: true });
}

function stringOf({ pattern, minLength, maxLength }: Schema): fc.Arbitrary<string> {
  // What a text may hold: also halves of characters, and what controls a terminal.
  const min = typeof minLength === 'number' ? minLength : 0;
  const most = typeof maxLength === 'number' ? maxLength : MAX_CHARACTERS;
  const max = Math.max(min, Math.min(most, MAX_CHARACTERS));
  const any = fc.string({ unit: 'binary', minLength: min, maxLength: max });
  if (typeof pattern !== 'string') return any;
  try {
    return fc.oneof(fc.stringMatching(new RegExp(pattern)), any);
  } catch {
    // A pattern of a kind that no strings can be made from.
    return any;
  }
}

/** What an HTTP header can hold; the rest never leaves a client. */
function visible(headers: Record<string, unknown>): Record<string, string> {
  const pairs = Object.entries(headers).map(([name, value]) => [name, String(value)]);
  return Object.fromEntries(pairs.filter(([, value = '']) => /^[\x20-\x7e]*$/.test(value)));
}

function queryString(pairs: Record<string, unknown>): string {
  const query = Object.entries(pairs).map(
    ([name, value]) => `${encoded(name)}=${encoded(String(value))}`,
  );
  return query.length === 0 ? '' : `?${query.join('&')}`;
}

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}
