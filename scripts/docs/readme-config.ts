import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { commonEnv } from '@headrace/shared/env.ts';
import type { z } from 'zod';
import { apiEnv } from '../../apps/api/src/config.ts';
import { dispatcherEnv } from '../../apps/dispatcher/src/config.ts';
import { workerEnv } from '../../apps/worker/src/config.ts';

const README = fileURLToPath(new URL('../../README.md', import.meta.url));
const START = '<!-- configuration: made by `node scripts/docs/readme-config.ts` -->';
const END = '<!-- end of configuration -->';

/**
 * The README with its tables of variables made anew from the schemas that the processes parse their
 * environment with.
 * @throws Error when the README has no place for them
 */
export function withConfiguration(readme: string): string {
  const start = readme.indexOf(START);
  const end = readme.indexOf(END);
  if (start === -1 || end < start) throw new Error(`README.md has no ${START} … ${END}`);
  return `${readme.slice(0, start)}${START}\n${tables()}\n${readme.slice(end)}`;
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
  writeFileSync(README, withConfiguration(readFileSync(README, 'utf8')));
}
