import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const RULES = fileURLToPath(new URL('../../observability/rules/*.yml', import.meta.url));
const BINARY = process.env.PROMETHEUS || 'prometheus';
const EVERY = '1s';
const READY_DEADLINE_MS = 30_000;

const Vector = z.object({
  data: z.object({
    resultType: z.literal('vector'),
    result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })),
  }),
});
const RuleGroups = z.object({
  data: z.object({
    groups: z.array(
      z.object({
        rules: z.array(
          z.object({ name: z.string(), health: z.string(), lastError: z.string().optional() }),
        ),
      }),
    ),
  }),
});

export interface Prometheus {
  /** How many series answer a query with a number; NaN is drawn by no panel. */
  seriesOf(query: string): Promise<number>;
  /** What went wrong when the rules were evaluated last. */
  ruleErrors(): Promise<string[]>;
  stop(): Promise<void>;
}

/** What to do where there is none; null where there is. */
export function missingPrometheus(): string | null {
  if (spawnSync(BINARY, ['--version']).status === 0) return null;
  return `${BINARY} does not start; it is in the package prometheus of Debian and Ubuntu`;
}

/**
 * A real Prometheus with the rules of the repository, which scrapes loopback ports every second.
 * @param ports by the name of the job
 */
export async function startPrometheus(ports: Record<string, number>): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-prometheus-'));
  const config = join(folder, 'prometheus.yml');
  writeFileSync(config, JSON.stringify(configOf(ports)));
  const address = `127.0.0.1:${await freePort()}`;
  const args = [
    ...[`--config.file=${config}`, `--storage.tsdb.path=${join(folder, 'data')}`],
    ...[`--web.listen-address=${address}`, '--log.level=error'],
  ];
  const child = spawn(BINARY, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const exited = once(child, 'exit').then(() => undefined);
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://${address}${path}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  };
  const ended = exited.then(() => Promise.reject(new Error('Prometheus has ended')));
  await Promise.race([untilReady(`http://${address}/-/ready`), ended]);
  return {
    async seriesOf(query) {
      const answer = Vector.parse(await get(`/api/v1/query?query=${encodeURIComponent(query)}`));
      return answer.data.result.filter(({ value: [, value] }) => value !== 'NaN').length;
    },
    async ruleErrors() {
      const { data } = RuleGroups.parse(await get('/api/v1/rules'));
      return data.groups
        .flatMap(({ rules }) => rules)
        .filter(({ health }) => health === 'err')
        .map(({ name, lastError = '' }) => `${name}: ${lastError}`);
    },
    async stop() {
      child.kill();
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configOf(ports: Record<string, number>): object {
  return {
    global: { scrape_interval: EVERY, scrape_timeout: EVERY, evaluation_interval: EVERY },
    rule_files: [RULES],
    scrape_configs: Object.entries(ports).map(([job_name, port]) => ({
      job_name,
      static_configs: [{ targets: [`127.0.0.1:${port}`] }],
    })),
  };
}

/** Prometheus does not say which one it has taken. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return z.object({ port: z.number() }).parse(address).port;
}

async function untilReady(url: string): Promise<void> {
  const deadline = Date.now() + READY_DEADLINE_MS;
  for (;;) {
    const status = await fetch(url).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return;
    if (Date.now() > deadline) throw new Error('Prometheus does not get ready');
    await sleep(100);
  }
}
