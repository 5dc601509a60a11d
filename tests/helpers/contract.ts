import assert from 'node:assert/strict';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

/** Holds answers against an OpenAPI 3.1 document. */
export interface Contract {
  /** Method and path pattern of each operation, such as `post /v1/jobs/{id}/cancel`. */
  readonly operations: string[];
  /** Operation and status of every answer so far, such as `get /v1/jobs 200`. */
  readonly seen: Set<string>;
  /** @throws AssertionError when the document does not allow the answer */
  check(answer: Answered): void;
}

interface Answered {
  method: string;
  path: string;
  status: number;
  type: string;
  body: unknown;
}

const DOCUMENT = 'openapi';

/** @param document as `/openapi.json` gives it */
export function createContract(document: unknown): Contract {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addFormat('binary', true);
  const closed = closeObjects(document);
  ajv.addSchema({ $id: DOCUMENT, ...record(closed) }, DOCUMENT, true, false);
  const paths = record(record(closed).paths);
  const seen = new Set<string>();

  function schemaAt(...pointer: string[]): ValidateFunction {
    const path = pointer.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
    const validate = ajv.getSchema(`${DOCUMENT}#/${path}`);
    assert.ok(validate, `the document has no schema at ${path}`);
    return validate;
  }

  /** Where the schema of an answer stands; an unknown path or method can only be an error. */
  function pointerFor({ method, path, status, type }: Omit<Answered, 'body'>): string[] {
    const literal = Object.hasOwn(paths, path) ? path : undefined;
    const pattern = literal ?? Object.keys(paths).find((candidate) => fits(candidate, path));
    const operations = pattern === undefined ? {} : record(paths[pattern]);
    const operation = operations[method === 'head' ? 'get' : method];
    if (pattern === undefined || operation === undefined) {
      assert.ok(status === 404 || status === 405, `${method} ${path} gave ${status}`);
      return ['components', 'schemas', 'ErrorEnvelope'];
    }
    seen.add(`${method} ${pattern} ${status}`);
    const responses = record(record(operation).responses);
    assert.ok(responses[status], `${method} ${pattern}: ${status} is not documented`);
    const content = record(responses[status]).content;
    if (content === undefined) return [];
    assert.ok(record(content)[type], `${method} ${pattern} ${status}: ${type} is not documented`);
    return ['paths', pattern, method, 'responses', String(status), 'content', type, 'schema'];
  }

  return {
    operations: Object.entries(paths).flatMap(([path, item]) =>
      Object.keys(record(item)).map((method) => `${method} ${path}`),
    ),
    seen,
    check({ method, path, status, type, body }) {
      const pointer = pointerFor({ method, path, status, type });
      if (pointer.length === 0) {
        assert.equal(body, '', `${method} ${path} ${status} has a body`);
        return;
      }
      if (method === 'head') return;
      const validate = schemaAt(...pointer);
      const valid = validate(body);
      const problems = ajv.errorsText(validate.errors, { separator: '\n' });
      assert.ok(valid, `${method} ${path} ${status}\n${problems}\n${JSON.stringify(body)}`);
    },
  };
}

/** `/v1/jobs/{id}` against `/v1/jobs/job_1`. */
function fits(pattern: string, path: string): boolean {
  const expected = pattern.split('/');
  const given = path.split('/');
  return (
    expected.length === given.length &&
    expected.every((part, i) => part.startsWith('{') || part === given[i])
  );
}

/** What a schema does not name must not be answered: every object is closed unless it says so. */
function closeObjects(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closeObjects);
  if (typeof node !== 'object' || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([k, v]) => [k, closeObjects(v)]));
  const isSchema = 'properties' in copy && 'type' in copy;
  return isSchema && !('additionalProperties' in copy)
    ? { ...copy, additionalProperties: false }
    : copy;
}

function record(value: unknown): Record<string, unknown> {
  assert.ok(typeof value === 'object' && value !== null, `${value} is no object`);
  return Object.fromEntries(Object.entries(value));
}
