import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readModelsDir } from '@headrace/shared/manifests.ts';
import { bulkQueueName, createKeyspace, inferQueueName } from '@headrace/shared/queues.ts';
import { parseConfig } from '../../apps/api/src/config.ts';
import { parseDispatcherConfig } from '../../apps/dispatcher/src/config.ts';
import { parseWorkerConfig } from '../../apps/worker/src/config.ts';
import { Autoscaler } from '../../bench/scaling/autoscaler.ts';
import { evaluateFormula } from '../../bench/scaling/formula.ts';
import {
  DEFAULT_BEHAVIOR,
  Hpa,
  replicasFor,
  type ScalingRules,
  scaleDownLimit,
  scaleUpLimit,
} from '../../bench/scaling/hpa.ts';
import { readScaledObject, SCALED_OBJECTS } from '../../bench/scaling/scaled-object.ts';
import { BUNDLED_MODELS } from '../helpers/engines.ts';

const WORK = readScaledObject(SCALED_OBJECTS.work);
const LISTS = readScaledObject(SCALED_OBJECTS.lists);

describe('the HPA', () => {
  test('asks for as many replicas as bring the average to the target', () => {
    // "If the current metric value is 200m, and the desired value is 100m, the number of replicas
    // will be doubled […]. If the current value is instead 50m, you'll halve the number."
    assert.equal(replicasFor(0.2 * 4, 0.1, 4), 8);
    assert.equal(replicasFor(0.05 * 4, 0.1, 4), 2);
  });

  test('leaves the replicas as they are within a tenth of the target', () => {
    assert.equal(replicasFor(109 * 10, 100, 10), 10);
    assert.equal(replicasFor(91 * 10, 100, 10), 10);
    assert.equal(replicasFor(111 * 10, 100, 10), 12);
    assert.equal(replicasFor(89 * 10, 100, 10), 9);
  });

  test('removes the larger of four pods and a tenth, as in the example of its documentation', () => {
    const rules: ScalingRules = {
      stabilizationWindowSeconds: 0,
      policies: [
        { type: 'Pods', value: 4, periodSeconds: 60 },
        { type: 'Percent', value: 10, periodSeconds: 60 },
      ],
      selectPolicy: 'Max',
    };
    const none = { changes: [], nowS: 0 };
    // 80 replicas lose 8, then 72 lose 7.2, rounded up; below 40 it is 4 a minute.
    assert.equal(scaleDownLimit(rules, 80, none), 72);
    assert.equal(scaleDownLimit(rules, 72, none), 64);
    assert.equal(scaleDownLimit(rules, 30, none), 26);
    assert.equal(scaleDownLimit({ ...rules, selectPolicy: 'Min' }, 80, none), 76);
    assert.equal(scaleDownLimit({ ...rules, selectPolicy: 'Disabled' }, 80, none), 80);
    const past = { changes: [{ atS: -30, by: -8 }], nowS: 0 };
    assert.equal(scaleDownLimit(rules, 72, past), 72);
    assert.equal(scaleDownLimit(rules, 72, { ...past, nowS: 40 }), 64);
  });

  test('doubles, or adds four, every 15 s by default', () => {
    const { scaleUp } = DEFAULT_BEHAVIOR;
    const none = { changes: [], nowS: 0 };
    assert.equal(scaleUpLimit(scaleUp, 1, none), 5);
    assert.equal(scaleUpLimit(scaleUp, 10, none), 20);
    assert.equal(scaleUpLimit(scaleUp, 5, { changes: [{ atS: -5, by: 4 }], nowS: 0 }), 5);
  });

  test('goes down to the most that was wanted within the window, and up at once', () => {
    const hpa = new Hpa({ target: 1, min: 1, max: 10, behavior: DEFAULT_BEHAVIOR });
    const wanted = [10, 2, 5, 1];
    const had = wanted.map((metric, i) => hpa.sync({ nowS: i * 100, current: 5, metric }));
    assert.deepEqual(had, [10, 5, 5, 5]);
    assert.equal(hpa.sync({ nowS: 501, current: 5, metric: 1 }), 1);
    assert.equal(hpa.sync({ nowS: 516, current: 1, metric: 4 }), 4);
  });
});

describe('KEDA', () => {
  const seen = (nowS: number, current: number, metric: number | null) => ({
    nowS,
    current,
    metric,
  });

  test('starts one pod for whatever is there, and leaves the rest to the HPA', () => {
    const scaler = new Autoscaler(WORK);
    assert.equal(scaler.poll(seen(0, 0, 0)), 0);
    assert.equal(scaler.poll(seen(5, 0, 0.1)), 1);
    assert.equal(scaler.sync(seen(6, 1, 0.1)), 1);
    assert.equal(scaler.sync(seen(21, 1, 1_000)), 8);
  });

  test('stops the last pods a cooldown after the last that it saw', () => {
    const scaler = new Autoscaler(WORK);
    scaler.poll(seen(0, 1, 0.1));
    assert.equal(scaler.poll(seen(300, 1, 0)), 1);
    assert.equal(scaler.poll(seen(301, 1, 0)), 0);
    assert.equal(scaler.sync(seen(301, 0, 0)), 0);
  });

  test('runs the fallback after failures in a row, and nothing on one', () => {
    const scaler = new Autoscaler(WORK);
    assert.equal(scaler.poll(seen(0, 0, null)), 0);
    assert.equal(scaler.poll(seen(5, 0, null)), 0);
    assert.equal(scaler.poll(seen(10, 0, null)), 2);
    assert.equal(scaler.sync(seen(15, 1, null)), 2);
    assert.equal(scaler.poll(seen(20, 2, 0)), 0);
  });
});

describe('a formula', () => {
  test('has numbers, names, + - * / and parentheses', () => {
    assert.equal(evaluateFormula('a + 2 * (b - 1) / 4', { a: 1, b: 3 }), 2);
    assert.equal(evaluateFormula('max(a, 1.5, -2) - min(3, a)', { a: 1 }), 0.5);
  });

  for (const wrong of ['a +', 'a b', '(a', 'a ? 1 : 2', 'sum(a)', '', 'a; b', 'constructor']) {
    test(`is refused: "${wrong}"`, () => {
      assert.throws(() => evaluateFormula(wrong, { a: 1, b: 1 }), /SyntaxError|RangeError/);
    });
  }
});

describe('k8s', () => {
  const named = ({ triggers }: typeof WORK, value: (name: string) => number) =>
    Object.fromEntries(triggers.map(({ name }) => [name, value(name)]));

  test('asks for the work of every bundled model', async () => {
    const { folders } = await readModelsDir(BUNDLED_MODELS);
    const asked = WORK.triggers.map(({ type, metadata }) =>
      type === 'metrics-api' ? [metadata.url, metadata.valueLocation] : [],
    );
    const base = `http://headrace-api.headrace.svc:${parseConfig({}).PORT}/v1/scaling/`;
    const wanted = folders.map(({ manifest }) => [`${base}${manifest.name}`, 'drain_seconds']);
    assert.deepEqual(asked.toSorted(), wanted.toSorted());
  });

  test('asks Redis for all lists of every queue of the workers', async () => {
    const { folders } = await readModelsDir(BUNDLED_MODELS);
    const keys = createKeyspace(parseWorkerConfig({}).HEADRACE_PREFIX);
    const wanted = folders.flatMap(({ manifest: { name, version } }) =>
      [inferQueueName, bulkQueueName].flatMap((nameOf) =>
        ['wait', 'prioritized', 'active', 'delayed'].map((list) =>
          keys.bull(nameOf(`${name}@${version}`), list),
        ),
      ),
    );
    const asked = LISTS.triggers.map((trigger) =>
      trigger.type === 'redis' ? trigger.metadata.listName : trigger.type,
    );
    assert.deepEqual(asked.toSorted(), wanted.toSorted());
  });

  test('counts each of them in its formula, a chunk by its rows', () => {
    for (const { advanced, triggers, ...spec } of [WORK, LISTS]) {
      const { formula } = advanced.scalingModifiers;
      const nothing = named({ ...spec, advanced, triggers }, () => 0);
      assert.equal(evaluateFormula(formula, nothing), 0);
      for (const { name } of triggers) {
        const rows = name.includes('_bulk_') ? parseDispatcherConfig({}).HEADRACE_CHUNK_ROWS : 1;
        assert.equal(evaluateFormula(formula, { ...nothing, [name]: 1 }), rows, name);
      }
    }
  });

  test('scales the same pods in both ways, from none and back', () => {
    const { triggers: _, advanced: a, ...work } = WORK;
    const { triggers: __, advanced: b, ...lists } = LISTS;
    assert.deepEqual(work, lists);
    assert.deepEqual(a.horizontalPodAutoscalerConfig, b.horizontalPodAutoscalerConfig);
    assert.equal(work.minReplicaCount, 0);
  });
});
