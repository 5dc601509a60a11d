import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = 'packages/client/src/openapi';

const HEAD = `/**
 * Objects of the HTTP contract. Made from the OpenAPI document of a running API by
 * \`node scripts/client/api-types.ts http://127.0.0.1:8000\`; a test holds it to the code.
 */
`;

/** What the client neither sends nor gives, and pages, of which one stands for all. */
const LEFT_OUT = /^(Predict|Tenant|Scaling|FileUpload|FileDeleted)|(?<!^Job)List$/;
/** What stands in a file of its own; all else is in `jobs`. No file needs another. */
const FILES: [string, RegExp][] = [
  ['operation', /^(Webhook|NewWebhook|Model|Key|NewKey|Overview)/],
  ['batches', /^(Batch|File)/],
];
/** Those that a language or a browser has for something else. */
const NAMES: Record<string, string> = {
  Error: 'ErrorBody',
  File: 'FileObject',
  Key: 'ApiKey',
  NewKey: 'NewApiKey',
  EmbeddingsRequest: 'EmbeddingsBody',
};
const COMMENT_WIDTH = 88;

const SchemaObject = z.looseObject({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  description: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).default([]),
  additionalProperties: z.unknown().optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
});
type Schema = z.infer<typeof SchemaObject>;
const Document = z.looseObject({
  components: z.looseObject({ schemas: z.record(z.string(), SchemaObject) }),
});

/** @param document as `/openapi.json` gives it @returns the text of each file, by its path */
export function clientTypes(document: unknown): Map<string, string> {
  const { schemas } = Document.parse(document).components;
  const wanted = Object.entries(schemas).filter(([name]) => !LEFT_OUT.test(name));
  const fileOf = ([name]: [string, Schema]) =>
    FILES.find(([, names]) => names.test(name))?.[0] ?? 'jobs';
  return new Map(
    [...Map.groupBy(wanted, fileOf)].map(([file, own]) => {
      const types = own.map(([name, schema]) => declaration(name, schema, own));
      const path = `${FOLDER}/${file}.ts`;
      return [path, formatted(path, [HEAD, ...types].join('\n'))];
    }),
  );
}

function declaration(name: string, schema: Schema, others: [string, Schema][]): string {
  const about = comment(schema.description);
  const own = NAMES[name] ?? name;
  if (schema.properties === undefined) return `${about}export type ${own} = ${typeOf(schema)};\n`;
  const base = others.find(
    ([other, { properties }]) => other !== name && extend(schema, properties),
  );
  if (base === undefined) return `${about}export interface ${own} ${objectType(schema)}\n`;
  const [baseName, { properties: inherited = {} }] = base;
  const rest = Object.entries(schema.properties).filter(([field]) => !(field in inherited));
  const added = objectType({ ...schema, properties: Object.fromEntries(rest) });
  return `${about}export interface ${own} extends ${NAMES[baseName] ?? baseName} ${added}\n`;
}

/** Whether it has all these fields, and one more. */
function extend({ properties = {} }: Schema, fields: Schema['properties'] = {}): boolean {
  const all = Object.entries(fields);
  const has = ([name, field]: [string, unknown]) =>
    JSON.stringify(properties[name]) === JSON.stringify(field);
  return all.length > 2 && all.length < Object.keys(properties).length && all.every(has);
}

function typeOf(given: unknown): string {
  const schema = SchemaObject.parse(given ?? {});
  const name = schema.$ref?.split('/').at(-1);
  if (name !== undefined) return NAMES[name] ?? name;
  const choice = schema.anyOf ?? schema.oneOf;
  if (choice !== undefined) return choice.map(typeOf).join(' | ');
  // Of an enum that may be null, null is one of the values.
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  const types = [schema.type ?? []].flat();
  return types.length === 0 ? 'unknown' : types.map((type) => plainType(type, schema)).join(' | ');
}

function plainType(type: string, schema: Schema): string {
  if (type === 'integer') return 'number';
  if (type === 'array') return `(${typeOf(schema.items)})[]`;
  return type === 'object' ? objectType(schema) : type;
}

function objectType({ properties, required, additionalProperties: more }: Schema): string {
  const isOpen = more === true || typeof more === 'object';
  if (properties === undefined) return `Record<string, ${isOpen ? typeOf(more) : 'unknown'}>`;
  const fields = Object.entries(properties).map(([name, field]) => {
    const { description } = SchemaObject.parse(field ?? {});
    const optional = required.includes(name) ? '' : ' | undefined';
    return `${comment(description)}${name}${optional && '?'}: ${typeOf(field)}${optional};`;
  });
  return `{\n${[...fields, ...(isOpen ? ['[more: string]: unknown;'] : [])].join('\n')}\n}`;
}

function comment(text: string | undefined): string {
  if (text === undefined) return '';
  const lines = [''];
  for (const word of text.replaceAll('*/', '* /').split(/\s+/)) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (longer.length > COMMENT_WIDTH) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines.length === 1 ? `/** ${lines[0]} */\n` : `/**\n * ${lines.join('\n * ')}\n */\n`;
}

/** As `npm run format` would have it. */
function formatted(path: string, text: string): string {
  const biome = ['node_modules/@biomejs/biome/bin/biome', 'format', `--stdin-file-path=${path}`];
  return execFileSync(process.execPath, biome, { cwd: ROOT, input: text, encoding: 'utf8' });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const url = new URL('/openapi.json', process.argv[2] ?? 'http://127.0.0.1:8000');
  for (const [path, text] of clientTypes(await (await fetch(url)).json())) {
    mkdirSync(join(ROOT, dirname(path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
  }
}
