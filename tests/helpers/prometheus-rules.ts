import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createMetrics } from '@headrace/shared/metrics.ts';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { type Query, readPromql } from './promql.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const Alert = z.strictObject({
  alert: z.string(),
  expr: z.string(),
  for: z.string().optional(),
  labels: z.looseObject({ severity: z.enum(['page', 'ticket']) }),
  annotations: z.strictObject({ summary: z.string(), runbook_url: z.string() }),
});
const Recorded = z.strictObject({ record: z.string(), expr: z.string() });
const RuleFile = z.strictObject({
  groups: z.array(z.strictObject({ name: z.string(), rules: z.array(z.union([Alert, Recorded])) })),
});

export type Rule = z.infer<typeof Alert> | z.infer<typeof Recorded>;

/** All rules of `observability/rules`. */
export function readRules(): Rule[] {
  const files = globSync('observability/rules/*.yml', { cwd: ROOT }).toSorted();
  return files.flatMap((file) => {
    const { groups } = RuleFile.parse(parseYaml(readFileSync(join(ROOT, file), 'utf8')));
    return groups.flatMap(({ rules }) => rules);
  });
}

/** Name of a series → its labels, without those that a scrape adds. */
export type Series = ReadonlyMap<string, readonly string[]>;

/** What Prometheus adds to a series when it scrapes it. */
const OF_SCRAPE = ['job', 'instance'];

/** Every series that a process of ours may export, and what is known of each scrape. */
export async function exportedSeries(): Promise<Series> {
  const metrics = createMetrics();
  const series = new Map<string, string[]>([['up', []]]);
  for (const { name, type, labelNames } of describe(metrics.registry.getMetricsAsArray())) {
    if (type !== 'histogram') series.set(name, labelNames);
    else {
      for (const part of ['sum', 'count']) series.set(`${name}_${part}`, labelNames);
      series.set(`${name}_bucket`, [...labelNames, 'le']);
    }
  }
  metrics.stop();
  return series;
}

const Described = z.array(
  z.looseObject({
    name: z.string(),
    type: z.string().optional(),
    labelNames: z.array(z.string()),
  }),
);

/** What prom-client keeps of a metric, but does not type. */
function describe(metrics: unknown) {
  return Described.parse(metrics).map(({ type = '', ...rest }) => ({ ...rest, type }));
}

/** Those that the rules record; what stands before the first colon of a name are its labels. */
export function recordedSeries(rules: readonly Rule[]): Series {
  const names = rules.flatMap((rule) => ('record' in rule ? [rule.record] : []));
  return new Map(
    names.map((name) => {
      const [level = ''] = name.split(':');
      return [name, level === 'headrace' ? [] : level.split('_')];
    }),
  );
}

/** What a query asks for that there is not. */
export function problemsOf(text: string, series: Series): string[] {
  let query: Query;
  try {
    query = readPromql(text);
  } catch (error) {
    return [String(error)];
  }
  const known = new Set(query.made);
  const problems: string[] = [];
  for (const { metric, matchers } of query.selectors) {
    const own = series.get(metric);
    if (own === undefined) problems.push(`no metric ${metric}`);
    const all = [...(own ?? []), ...OF_SCRAPE];
    for (const label of all) known.add(label);
    for (const { label } of matchers) {
      if (own !== undefined && !all.includes(label)) problems.push(`no label ${metric}{${label}}`);
    }
  }
  for (const label of query.grouping) {
    if (!known.has(label)) problems.push(`no label ${label} to group by`);
  }
  return problems;
}
