import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { commonEnv } from '@headrace/shared/env.ts';
import type { z } from 'zod';
import { apiEnv } from '../../apps/api/src/config.ts';
import { dispatcherEnv } from '../../apps/dispatcher/src/config.ts';
import { workerEnv } from '../../apps/worker/src/config.ts';

export const OPERATING = fileURLToPath(new URL('../../docs/operating.md', import.meta.url));
const START = '<!-- configuration: made by `node scripts/docs/configuration.ts` -->';
const END = '<!-- end of configuration -->';

/**
 * The operating guide with its tables of variables made anew from the schemas that the processes parse their
 * environment with.
 * @throws Error when the guide has no place for them
 */
export function withConfiguration(guide: string): string {
  const start = guide.indexOf(START);
  const end = guide.indexOf(END);
  if (start === -1 || end < start) throw new Error(`operating.md has no ${START} … ${END}`);
  return `${guide.slice(0, start)}${START}\n${tables()}\n${guide.slice(end)}`;
}

function tables(): string {
  const own = (schema: z.ZodRawShape) =>
    Object.entries(schema).filter(([name]) => !Object.hasOwn(commonEnv, name));
  return [
    ...section('Every process', Object.entries(commonEnv)),
    ...section('API', own(apiEnv)),
    ...section('Worker', own(workerEnv.shape)),
    ...section('Dispatcher', own(dispatcherEnv.shape)),
  ].join('\n');
}

function section(title: string, variables: [string, z.core.$ZodType][]): string[] {
  const rows = variables.map(([name, schema]) => row(name, schema));
  return [
    '',
    `**${title}**`,
    '',
    '| variable | default | what it does |',
    '|---|---|---|',
    ...rows,
  ];
}

function row(name: string, schema: z.core.$ZodType): string {
  const description = 'description' in schema ? String(schema.description ?? '') : '';
  return `| \`${name}\` | ${defaultOf(schema)} | ${description.replace(/[|<]/g, '\\$&')} |`;
}

/** What an unset variable becomes. */
function defaultOf(schema: z.core.$ZodType): string {
  const parse = 'safeParse' in schema ? schema.safeParse : null;
  const parsed: unknown = typeof parse === 'function' ? parse(undefined) : null;
  if (typeof parsed !== 'object' || parsed === null || !('data' in parsed)) return 'required';
  return parsed.data === undefined ? 'unset' : `\`${parsed.data}\``;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(OPERATING, withConfiguration(readFileSync(OPERATING, 'utf8')));
}
