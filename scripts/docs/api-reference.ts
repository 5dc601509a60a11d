import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const REFERENCE = fileURLToPath(new URL('../../docs/api.md', import.meta.url));

const HEAD = `# API reference

Made from the OpenAPI document of a running API (\`/openapi.json\`, readable at \`/docs\`) by
\`node scripts/docs/api-reference.ts http://127.0.0.1:8000\`; a test holds it to the code. The body of
every error is an [ErrorEnvelope](#errorenvelope). Fields marked \`?\` may be left out.
`;

const SchemaObject = z.looseObject({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  description: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minLength: z.number().optional(),
  maxLength: z.number().optional(),
  minItems: z.number().optional(),
  maxItems: z.number().optional(),
  default: z.unknown().optional(),
});
type Schema = z.infer<typeof SchemaObject>;

const Media = z.record(z.string(), z.looseObject({ schema: SchemaObject.optional() }));
const Operation = z.looseObject({
  summary: z.string().default(''),
  description: z.string().optional(),
  tags: z.array(z.string()).default([]),
  security: z.array(z.record(z.string(), z.array(z.string()))).default([]),
  parameters: z
    .array(
      z.looseObject({
        name: z.string(),
        in: z.string(),
        required: z.boolean().default(false),
        schema: SchemaObject,
      }),
    )
    .default([]),
  requestBody: z.looseObject({ content: Media }).optional(),
  responses: z.record(
    z.string(),
    z.looseObject({ description: z.string(), content: Media.optional() }),
  ),
});
type Operation = z.infer<typeof Operation>;

const Document = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.looseObject({ schemas: z.record(z.string(), SchemaObject) }),
});

/** @param document as `/openapi.json` gives it @returns `docs/api.md` */
export function apiReference(document: unknown): string {
  const { paths, components } = Document.parse(document);
  const byTag = new Map<string, string[]>();
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const tag = operation.tags[0] ?? 'Other';
      const text = operationText(`${method.toUpperCase()} ${path}`, operation);
      byTag.set(tag, [...(byTag.get(tag) ?? []), text]);
    }
  }
  const operations = [...byTag].map(([tag, texts]) => `## ${tag}\n\n${texts.join('\n')}`);
  const schemas = Object.entries(components.schemas).map(([name, schema]) =>
    schemaText(name, schema),
  );
  return [HEAD, ...operations, '## Objects\n', ...schemas].join('\n');
}

function operationText(title: string, operation: Operation): string {
  const scopes = operation.security.flatMap((each) => Object.values(each).flat());
  const scope = scopes.length === 0 ? '' : ` Scope: ${scopes.map(code).join(', ')}.`;
  const bodies = Object.entries(operation.requestBody?.content ?? {}).map(
    ([type, { schema }]) => `- body, ${code(type)}: ${typeOf(schema ?? {})}`,
  );
  return [
    `### ${code(title)}\n`,
    `${sentence(operation.summary)}${scope}\n`,
    ...(operation.description === undefined ? [] : [`${operation.description}\n`]),
    ...operation.parameters.map(
      ({ name, in: place, required, schema }) =>
        `- ${place} ${field(name, required)}: ${described(schema)}`,
    ),
    ...bodies,
    ...answers(operation.responses),
    '',
  ].join('\n');
}

/** A line for each good answer, and one for all errors, whose body is always the same object. */
function answers(responses: Operation['responses']): string[] {
  const isError = ([status]: [string, unknown]) => Number(status) >= 400;
  const all = Object.entries(responses);
  const errors = all
    .filter(isError)
    .map(([status, { description }]) => `**${status}** ${oneLine(description)}`);
  return [
    ...all
      .filter((each) => !isError(each))
      .map(
        ([status, { description, content }]) =>
          `- **${status}** ${oneLine(description)}${answerType(content)}`,
      ),
    ...(errors.length === 0 ? [] : [`- errors: ${errors.join(' · ')}`]),
  ];
}

function answerType(content: z.infer<typeof Media> | undefined): string {
  const [type, media] = Object.entries(content ?? {})[0] ?? [];
  if (type === undefined) return '';
  const named = media?.schema?.$ref === undefined ? code(type) : typeOf(media.schema);
  return ` → ${named}`;
}

function schemaText(name: string, schema: Schema): string {
  const own = schema.properties === undefined ? [`${described(schema)}\n`] : fieldsOf(schema);
  const about = schema.description === undefined ? [] : [`${oneLine(schema.description)}\n`];
  return [`### ${name}\n`, ...(schema.properties === undefined ? [] : about), ...own].join('\n');
}

function fieldsOf({ properties = {}, required = [] }: Schema): string[] {
  const fields = Object.entries(properties).map(
    ([name, schema]) => `- ${field(name, required.includes(name))}: ${described(schema)}`,
  );
  return [...fields, ''];
}

function described(value: unknown): string {
  const schema = SchemaObject.parse(value ?? {});
  const about = schema.description === undefined ? '' : `. ${oneLine(schema.description)}`;
  const preset =
    schema.default === undefined ? '' : `, default ${code(JSON.stringify(schema.default))}`;
  return `${typeOf(schema)}${preset}${about}`;
}

/** What a value may be, in a few words: `string, 1 to 64 characters`. */
function typeOf(value: unknown): string {
  const schema = SchemaObject.parse(value ?? {});
  if (schema.$ref !== undefined) return reference(schema.$ref);
  if (schema.enum !== undefined) return schema.enum.map((each) => code(String(each))).join(' · ');
  if (schema.const !== undefined) return code(String(schema.const));
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return [...new Set(choices.map(typeOf))].join(' or ');
  const types = [schema.type ?? 'anything'].flat();
  return types.map((type) => typeNamed(type, schema)).join(' or ');
}

function typeNamed(type: string, schema: Schema): string {
  if (type === 'null') return type;
  if (type === 'array') return `list of ${typeOf(schema.items)}${range(schema, 'Items', '')}`;
  if (type !== 'object') return `${type}${range(schema, 'Length', ' characters')}${span(schema)}`;
  const names = Object.keys(schema.properties ?? {});
  return names.length === 0 ? type : `${type} of ${names.map(code).join(', ')}`;
}

function range(schema: Schema, of: 'Items' | 'Length', unit: string): string {
  return between(schema[`min${of}`], schema[`max${of}`], unit);
}

function span({ minimum, maximum }: Schema): string {
  // Every whole number has these bounds, which say nothing.
  const tells = (bound: number | undefined) =>
    bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER ? bound : undefined;
  return between(tells(minimum), tells(maximum), '');
}

function between(least: number | undefined, most: number | undefined, unit: string): string {
  if (least === undefined && most === undefined) return '';
  if (most === undefined) return `, ${least} or more${unit}`;
  return least === undefined ? `, at most ${most}${unit}` : `, ${least} to ${most}${unit}`;
}

function reference(ref: string): string {
  const name = ref.split('/').at(-1) ?? ref;
  return `[${name}](#${name.toLowerCase()})`;
}

function field(name: string, required: boolean): string {
  return required ? code(name) : `${code(name)}?`;
}

function code(text: string): string {
  return `\`${text}\``;
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const response = await fetch(
    new URL('/openapi.json', process.argv[2] ?? 'http://127.0.0.1:8000'),
  );
  writeFileSync(REFERENCE, apiReference(await response.json()));
}
