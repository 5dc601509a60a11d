import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { filledIn, readDashboards } from '../helpers/dashboards.ts';
import {
  exportedSeries,
  problemsOf,
  readRules,
  recordedSeries,
} from '../helpers/prometheus-rules.ts';
import { readPromql } from '../helpers/promql.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const exported = await exportedSeries();
const recorded = recordedSeries(readRules());
const ALERTS = ['alertname', 'alertstate', 'severity'];
const series = new Map([...exported, ...recorded, ['ALERTS', ALERTS]]);
const dashboards = readDashboards();

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Labels that an answer may have. */
function answeredLabels(expr: string): string[] {
  const { selectors, grouping } = readPromql(expr);
  if (grouping.length > 0) return grouping;
  return selectors.flatMap(({ metric }) => series.get(metric) ?? []);
}

for (const { title, uid, panels, templating } of dashboards) {
  describe(`the dashboard ${title}`, () => {
    const targets = panels.flatMap(({ targets }) => targets);

    test('asks for nothing that no process exports and no rule records', () => {
      const problems = targets.flatMap(({ expr }) =>
        problemsOf(filledIn(expr), series).map((problem) => `${expr}: ${problem}`),
      );
      assert.deepEqual(problems, []);
      assert.ok(targets.length > 40);
    });

    test('names its lines by labels that the answers have', () => {
      for (const { expr, legendFormat } of targets) {
        const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
        const answered = answeredLabels(filledIn(expr));
        assert.deepEqual(
          named.filter((label) => !answered.includes(label)),
          [],
          expr,
        );
      }
    });

    test('fills its variables from labels that there are', () => {
      for (const { query } of templating.list) {
        const [, metric = '', label = ''] =
          /^label_values\((\w+), (\w+)\)$/.exec(query.query) ?? [];
        assert.ok(series.get(metric)?.includes(label), query.query);
      }
      const used = new Set(targets.flatMap(({ expr }) => expr.match(/\$\w+/g) ?? []));
      used.delete('$__rate_interval');
      assert.deepEqual(
        [...used],
        templating.list.map(({ name }) => `$${name}`),
      );
    });

    test('has panels with places, titles and numbers of their own', () => {
      assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
      assert.equal(new Set(panels.map((panel) => panel.title)).size, panels.length);
      const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
        Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
      );
      assert.equal(new Set(cells).size, cells.length);
      assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24));
      assert.notEqual(uid, '');
    });
  });
}

describe('the provisioning of Grafana', () => {
  const folder = 'observability/grafana/provisioning';
  const Sources = z.looseObject({
    datasources: z.tuple([z.looseObject({ uid: z.string(), url: z.string() })]),
  });
  const Providers = z.looseObject({
    providers: z.tuple([z.looseObject({ options: z.strictObject({ path: z.string() }) })]),
  });

  test('has the data source that the dashboards name, where docker-compose.yml runs it', () => {
    const sources = Sources.parse(parseYaml(read(`${folder}/datasources/prometheus.yaml`)));
    const [{ uid, url }] = sources.datasources;
    assert.equal(url, 'http://prometheus:9090');
    for (const { panels, templating } of dashboards) {
      const named = [...panels, ...templating.list].flatMap((part) => part.datasource ?? []);
      assert.ok(named.length > 1);
      for (const source of named) assert.equal(source.uid, uid);
    }
  });

  test('looks for dashboards where docker-compose.yml mounts them', () => {
    const providers = Providers.parse(parseYaml(read(`${folder}/dashboards/headrace.yaml`)));
    const [{ options }] = providers.providers;
    const mount = `./observability/grafana/dashboards:${options.path}:ro`;
    assert.ok(read('docker-compose.yml').includes(mount));
  });
});

test('the runbook names panels that there are', () => {
  const titles = new Set(dashboards.flatMap(({ panels }) => panels.map(({ title }) => title)));
  const text = read('docs/runbook.md')
    .replace(/`[^`]*`|\*\*/g, '')
    .replaceAll('\n', ' ');
  const named = [...text.matchAll(/\*([^*]+)\*/g)].map(([, name = '']) => name.replace(/ +/g, ' '));
  assert.ok(named.length > 10);
  assert.deepEqual(
    named.filter((name) => !titles.has(name)),
    [],
  );
});
