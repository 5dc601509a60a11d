import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import {
  exportedSeries,
  problemsOf,
  readRules,
  recordedSeries,
} from '../helpers/prometheus-rules.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const rules = readRules();
const alerts = rules.flatMap((rule) => ('alert' in rule ? [rule] : []));
const exported = await exportedSeries();
const all = new Map([...exported, ...recordedSeries(rules)]);

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

describe('the rules for Prometheus', () => {
  test('ask for nothing that no process exports and no rule records', () => {
    const problems = rules.flatMap(({ expr }) => problemsOf(expr, all));
    assert.deepEqual(problems, []);
  });

  test('and what does not exist is found', () => {
    assert.deepEqual(problemsOf('rate(headrace_gone_total[5m])', all), [
      'no metric headrace_gone_total',
    ]);
    assert.deepEqual(problemsOf('sum by (shard) (headrace_rows_total{colour="red"})', all), [
      'no label headrace_rows_total{colour}',
      'no label shard to group by',
    ]);
    assert.equal(problemsOf('sum(rate(', all).length, 1);
  });

  test('use every rule that they record, or the dashboards do', () => {
    const queries = rules.map(({ expr }) => expr).join('\n');
    const dashboards = globSync('observability/grafana/dashboards/*.json', { cwd: ROOT });
    const used = [queries, ...dashboards.map(read)].join('\n');
    const recorded = [...recordedSeries(rules).keys()];
    assert.deepEqual(
      recorded.filter((name) => !used.includes(name)),
      [],
    );
  });
});

describe('the metrics', () => {
  test('are each set by a process', () => {
    const sources = globSync('{apps,packages}/*/src/**/*.ts', { cwd: ROOT })
      .filter((path) => path !== 'packages/shared/src/metrics.ts')
      .map(read)
      .join('\n');
    const names = [...exported.keys()]
      .filter((name) => name.startsWith('headrace_') && !/_(bucket|count)$/.test(name))
      .map((name) => name.replace(/^headrace_|_(total|sum)$/g, ''))
      // Set by their own file.
      .filter((name) => !/^(event_loop_lag_seconds|process_resident_memory_bytes)$/.test(name));
    assert.ok(names.includes('rows') && names.includes('job_wait_seconds'));
    assert.deepEqual(
      names.filter((name) => !new RegExp(`\\b${name}\\b`).test(sources)),
      [],
    );
  });
});

describe('the runbook', () => {
  const headings = [...read('docs/runbook.md').matchAll(/^## (\S+)$/gm)].map(([, name]) => name);

  test('has a chapter for each alert, which the alert names', () => {
    for (const { alert, annotations } of alerts) {
      assert.equal(annotations.runbook_url, `docs/runbook.md#${alert.toLowerCase()}`);
    }
    const names = [...new Set(alerts.map(({ alert }) => alert))];
    assert.deepEqual(headings.toSorted(), names.toSorted());
  });

  test('says in each what it means and what to do, in few lines', () => {
    for (const chapter of read('docs/runbook.md').split(/^## /m).slice(1)) {
      const lines = chapter
        .split('\n')
        .slice(1)
        .filter((line) => line !== '');
      assert.ok(lines.length >= 2 && lines.length <= 12, chapter);
    }
  });
});

describe('the unit tests of the rules', () => {
  const Tests = z.looseObject({
    tests: z.array(
      z.looseObject({
        alert_rule_test: z
          .array(
            z.looseObject({ alertname: z.string(), exp_alerts: z.array(z.unknown()).default([]) }),
          )
          .default([]),
      }),
    ),
  });
  const cases = globSync('observability/rules/tests/*.yml', { cwd: ROOT })
    .flatMap((file) => Tests.parse(parseYaml(read(file))).tests)
    .flatMap(({ alert_rule_test }) => alert_rule_test);

  for (const [what, fires] of [
    ['fires', true],
    ['does not fire', false],
  ] as const) {
    test(`show of each alert when it ${what}`, () => {
      const shown = cases.filter(({ exp_alerts }) => exp_alerts.length > 0 === fires);
      const names = new Set(shown.map(({ alertname }) => alertname));
      assert.deepEqual(
        alerts.map(({ alert }) => alert).filter((name) => !names.has(name)),
        [],
      );
    });
  }
});

describe('observability/prometheus.yml', () => {
  const Config = z.looseObject({
    rule_files: z.tuple([z.literal('rules/*.yml')]),
    scrape_configs: z.array(
      z.strictObject({
        job_name: z.string(),
        dns_sd_configs: z.tuple([z.looseObject({ names: z.array(z.string()), port: z.number() })]),
      }),
    ),
  });
  const { scrape_configs } = Config.parse(parseYaml(read('observability/prometheus.yml')));
  const Compose = z.looseObject({
    services: z.record(z.string(), z.looseObject({ volumes: z.array(z.string()).default([]) })),
  });
  const { services } = Compose.parse(parseYaml(read('docker-compose.yml'), { merge: true }));

  test('scrapes every process of docker-compose.yml on the port of its image', () => {
    const scraped = scrape_configs.flatMap(({ dns_sd_configs: [{ names }] }) => names);
    const ours = Object.entries(services).filter(([, { build }]) => build !== undefined);
    assert.deepEqual(scraped.toSorted(), ours.map(([name]) => name).toSorted());
    const ports = scrape_configs.map(({ dns_sd_configs: [{ port }] }) => `EXPOSE ${port}`);
    for (const port of ports) assert.ok(read('Dockerfile').includes(port), port);
  });

  test('calls them as the rules do', () => {
    const jobs = scrape_configs.map(({ job_name }) => job_name);
    const named = rules.flatMap(({ expr }) => [...expr.matchAll(/job="([^"]+)"/g)]);
    for (const [, job = ''] of named) assert.ok(jobs.includes(job), job);
    for (const job of jobs) assert.match(job, /^headrace-/);
  });

  test('lies, with all else, where docker-compose.yml mounts it from', () => {
    const mounts = Object.values(services)
      .flatMap(({ volumes }) => volumes)
      .filter((volume) => volume.startsWith('./'));
    for (const mount of mounts) {
      const [from = ''] = mount.split(':');
      assert.equal(globSync(from, { cwd: ROOT }).length, 1, from);
    }
  });
});
