import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const Datasource = z.strictObject({ type: z.literal('prometheus'), uid: z.string() });
const Place = z.strictObject({ x: z.number(), y: z.number(), w: z.number(), h: z.number() });
const Target = z.looseObject({ expr: z.string(), legendFormat: z.string() });
const Panel = z.looseObject({
  id: z.number(),
  type: z.enum(['row', 'stat', 'timeseries']),
  title: z.string(),
  gridPos: Place,
  datasource: Datasource.optional(),
  targets: z.array(Target).default([]),
});
const Variable = z.looseObject({
  name: z.string(),
  datasource: Datasource,
  query: z.looseObject({ query: z.string() }),
});
const Dashboard = z.looseObject({
  uid: z.string(),
  title: z.string(),
  panels: z.array(Panel),
  templating: z.looseObject({ list: z.array(Variable) }),
});
export type Dashboard = z.infer<typeof Dashboard>;

/** Read from `nvidia-smi`: no process has them where there is no NVIDIA GPU. */
export const GPU_SERIES = [
  'headrace_gpu_utilization_ratio',
  'headrace_gpu_memory_used_bytes',
  'headrace_gpu_memory_total_bytes',
];

/** Those that Grafana is provisioned with. */
export function readDashboards(): Dashboard[] {
  const files = globSync('observability/grafana/dashboards/*.json', { cwd: ROOT });
  return files.map((file) => Dashboard.parse(JSON.parse(readFileSync(join(ROOT, file), 'utf8'))));
}

/** A query as Grafana would send it, for all models. */
export function filledIn(expr: string, rateInterval = '5m'): string {
  return expr.replaceAll('$__rate_interval', rateInterval).replaceAll('$model', '.+');
}
