import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { RELEASE_MS as API_RELEASE_MS } from '../../apps/api/src/compose.ts';
import { parseConfig } from '../../apps/api/src/config.ts';
import { STOP_DEADLINE_MS } from '../../apps/dispatcher/src/compose.ts';
import { parseDispatcherConfig } from '../../apps/dispatcher/src/config.ts';
import { RELEASE_MS as WORKER_RELEASE_MS } from '../../apps/worker/src/compose.ts';
import { parseWorkerConfig } from '../../apps/worker/src/config.ts';
import {
  findKustomize,
  isAccepted,
  type KubernetesObject,
  readObjects,
  render,
} from '../helpers/kubernetes.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PROCESSES = ['api', 'dispatcher', 'worker'] as const;
const MODEL_COMPONENT = join(ROOT, 'k8s/components/models');

type Env = Record<string, string>;
/** With which each process would start, or refuse to. */
const PARSERS: Record<(typeof PROCESSES)[number], (env: Env) => { HEADRACE_BLOBS: string }> = {
  api: parseConfig,
  dispatcher: parseDispatcherConfig,
  worker: parseWorkerConfig,
};
const PORTS = {
  api: parseConfig({}).PORT,
  dispatcher: parseDispatcherConfig({}).HEADRACE_DISPATCHER_PROBES_PORT,
  worker: parseWorkerConfig({}).HEADRACE_PROBES_PORT,
};

const Http = z.object({ httpGet: z.object({ path: z.string(), port: z.int() }) }).loose();
const Container = z.looseObject({
  image: z.string(),
  command: z.undefined().optional(),
  envFrom: z.array(z.looseObject({ configMapRef: z.object({ name: z.string() }).optional() })),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })),
  ports: z.array(z.object({ containerPort: z.int() })),
  lifecycle: z.object({ preStop: z.object({ sleep: z.object({ seconds: z.int() }) }) }).optional(),
  startupProbe: Http,
  readinessProbe: Http,
  livenessProbe: Http,
  volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })),
});
const Deployment = z.looseObject({
  spec: z.looseObject({
    strategy: z.looseObject({
      rollingUpdate: z.object({ maxUnavailable: z.int(), maxSurge: z.int() }),
    }),
    selector: z.object({ matchLabels: z.record(z.string(), z.string()) }),
    template: z.looseObject({
      metadata: z.looseObject({ labels: z.record(z.string(), z.string()) }),
      spec: z.looseObject({
        terminationGracePeriodSeconds: z.int(),
        containers: z.tuple([Container]),
      }),
    }),
  }),
});

/** What the standard `restricted` asks of a pod, and a little more. */
const Restricted = z.looseObject({
  automountServiceAccountToken: z.literal(false),
  hostNetwork: z.undefined().optional(),
  hostPID: z.undefined().optional(),
  hostIPC: z.undefined().optional(),
  priorityClassName: z.string(),
  securityContext: z.looseObject({
    runAsNonRoot: z.literal(true),
    runAsUser: z.int().min(1),
    seccompProfile: z.object({ type: z.literal('RuntimeDefault') }),
  }),
  volumes: z
    .array(
      z.union([
        z.object({ name: z.string(), emptyDir: z.object({}).loose() }),
        z.object({ name: z.string(), configMap: z.object({}).loose() }),
        z.object({ name: z.string(), secret: z.object({}).loose() }),
        z.object({ name: z.string(), persistentVolumeClaim: z.object({}).loose() }),
      ]),
    )
    .optional(),
});
const RestrictedContainer = z.looseObject({
  resources: z.looseObject({
    requests: z.looseObject({ cpu: z.string(), memory: z.string() }),
    limits: z.looseObject({ memory: z.string() }),
  }),
  securityContext: z.object({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.object({ drop: z.tuple([z.literal('ALL')]) }),
  }),
});

const all = readObjects();
const shared = z.looseObject({ data: z.record(z.string(), z.string()) }).parse(
  find(
    all.map(({ object }) => object),
    'ConfigMap',
    'headrace',
  ),
).data;

function find(objects: KubernetesObject[], kind: string, name: string): KubernetesObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  assert.ok(found, `${kind}/${name}`);
  return found;
}

function deployment(name: string, objects = all.map(({ object }) => object)) {
  return Deployment.parse(find(objects, 'Deployment', `headrace-${name}`)).spec;
}

/** The specs of all pods that the objects make. */
function podSpecs(objects: KubernetesObject[]) {
  const Pod = z.looseObject({
    spec: z.looseObject({ template: z.looseObject({ spec: z.looseObject({}) }) }),
  });
  return objects
    .filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet')
    .map((object) => Pod.parse(object).spec.template.spec);
}

function assertRestricted(objects: KubernetesObject[]): void {
  const List = z.array(z.unknown()).default([]);
  for (const pod of podSpecs(objects)) {
    Restricted.parse(pod);
    for (const container of [...List.parse(pod.containers), ...List.parse(pod.initContainers)]) {
      RestrictedContainer.parse(container);
    }
  }
}

describe('k8s/base', () => {
  for (const { file, object } of all) {
    test(`${file}: the schema of ${object.kind} ${object.metadata.name} accepts it`, () => {
      assert.ok(isAccepted(object));
    });
  }

  test('a schema refuses what is none of its kind', () => {
    const api = find(
      all.map(({ object }) => object),
      'Deployment',
      'headrace-api',
    );
    assert.equal(isAccepted({ ...api, spec: { replicas: 'two' } }), false);
    const scaled = all.find(({ object }) => object.kind === 'ScaledObject');
    assert.ok(scaled);
    assert.equal(isAccepted({ ...scaled.object, spec: { minReplicaCount: 'none' } }), false);
  });

  test('no pod asks for more than `restricted` allows', () => {
    assertRestricted(all.map(({ object }) => object));
  });

  for (const name of PROCESSES) {
    test(`starts the ${name} with settings that it takes, and asks it where it answers`, () => {
      const [container] = deployment(name).template.spec.containers;
      const own = container.env.map((each) => [each.name, each.value ?? '']);
      const { HEADRACE_BLOBS } = PARSERS[name]({ ...shared, ...Object.fromEntries(own) });
      assert.equal(HEADRACE_BLOBS, shared.HEADRACE_BLOBS);
      assert.ok(container.volumeMounts.some((mount) => mount.mountPath === HEADRACE_BLOBS));
      const port = PORTS[name];
      assert.deepEqual(container.ports, [{ containerPort: port }]);
      assert.deepEqual(container.readinessProbe.httpGet, { path: '/ready', port });
      assert.deepEqual(container.livenessProbe.httpGet, { path: '/health', port });
      const startup = name === 'worker' ? '/ready' : '/health';
      assert.deepEqual(container.startupProbe.httpGet, { path: startup, port });
    });
  }

  test('gives each process the time to stop that it may take', () => {
    const { HEADRACE_DRAIN_S } = parseConfig({});
    const api = deployment('api').template.spec;
    const sleepS = api.containers[0].lifecycle?.preStop.sleep.seconds ?? 0;
    const apiS = sleepS + HEADRACE_DRAIN_S + (2 * API_RELEASE_MS) / 1000;
    assert.ok(sleepS > 0);
    assert.ok(api.terminationGracePeriodSeconds > apiS);
    const workerS = parseWorkerConfig({}).HEADRACE_DRAIN_TIMEOUT_S + WORKER_RELEASE_MS / 1000;
    const worker = deployment('worker').template.spec;
    assert.ok(worker.terminationGracePeriodSeconds > workerS);
    const dispatcher = deployment('dispatcher').template.spec;
    assert.ok(dispatcher.terminationGracePeriodSeconds > STOP_DEADLINE_MS / 1000);
  });

  test('an update takes no pod away before another is ready', () => {
    for (const name of PROCESSES) {
      assert.deepEqual(deployment(name).strategy.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 });
    }
  });
});

describe('overlays', () => {
  const tool = findKustomize();
  const skip = tool === null ? 'neither kubectl nor kustomize is here' : false;

  for (const folder of globSync('k8s/overlays/*', { cwd: ROOT }).sort()) {
    test(`${folder} renders, and is accepted and restricted`, { skip }, () => {
      const objects = render(tool ?? [], folder);
      assert.ok(objects.length > 15);
      for (const object of objects) {
        assert.ok(isAccepted(object), `${object.kind}/${object.metadata.name}`);
        const cluster = ['Namespace', 'PriorityClass'].includes(object.kind);
        assert.equal(object.metadata.namespace, cluster ? undefined : 'headrace');
      }
      assertRestricted(objects);
    });
  }

  test('the canary takes no pod for its own that is of the others', { skip }, () => {
    const objects = render(tool ?? [], 'k8s/overlays/canary');
    const stable = deployment('worker', objects);
    const canary = deployment('worker-canary', objects);
    assert.notEqual(canary.selector.matchLabels.app, stable.selector.matchLabels.app);
    assert.equal(canary.template.metadata.labels['app.kubernetes.io/component'], 'worker');
    assert.notEqual(
      canary.template.spec.containers[0].image,
      stable.template.spec.containers[0].image,
    );
  });
});

describe('components/models', () => {
  const fetch = (models: string, to: string) =>
    execFileSync(
      'sh',
      [join(MODEL_COMPONENT, 'fetch.sh'), models, join(MODEL_COMPONENT, 'SHA256SUMS'), to],
      { stdio: 'pipe' },
    );

  test('copies models that are what SHA256SUMS says, and no others', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'headrace-models-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const from = join(folder, 'from');
    const take = (name: string) => {
      const to = mkdtempSync(join(folder, `${name}-`));
      return () => fetch(from, to);
    };
    for (const name of ['minilm', 'sentiment']) {
      cpSync(join(ROOT, 'models', name), join(from, name), { recursive: true });
    }
    assert.doesNotThrow(take('bundled'));
    writeFileSync(join(from, 'sentiment/1/extra.txt'), 'not listed');
    assert.throws(take('extra'), /in SHA256SUMS/);
    rmSync(join(from, 'sentiment/1/extra.txt'));
    appendFileSync(join(from, 'sentiment/1/tokenizer.json'), ' ');
    assert.throws(take('tampered'), /tokenizer\.json: FAILED|did NOT match/);
  });
});
