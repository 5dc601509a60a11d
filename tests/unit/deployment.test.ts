import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ValidationSeverity, validate } from 'dockerfile-utils';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { RELEASE_MS as API_RELEASE_MS } from '../../apps/api/src/compose.ts';
import { parseConfig } from '../../apps/api/src/config.ts';
import { STOP_DEADLINE_MS } from '../../apps/dispatcher/src/compose.ts';
import { parseDispatcherConfig } from '../../apps/dispatcher/src/config.ts';
import { RELEASE_MS as WORKER_RELEASE_MS } from '../../apps/worker/src/compose.ts';
import { parseWorkerConfig } from '../../apps/worker/src/config.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PROCESSES = ['api', 'dispatcher', 'worker'] as const;

type Env = Record<string, string>;
/** With which each process would start, or refuse to. */
const PARSERS: Record<(typeof PROCESSES)[number], (env: Env) => { HEADRACE_BLOBS: string }> = {
  api: parseConfig,
  dispatcher: parseDispatcherConfig,
  worker: parseWorkerConfig,
};

const Compose = z.object({
  services: z.record(
    z.string(),
    z.looseObject({
      command: z.array(z.string()).optional(),
      environment: z.record(z.string(), z.string().nullable()).default({}),
      volumes: z.array(z.string()).default([]),
      build: z.object({ context: z.literal('.'), target: z.string() }).optional(),
      read_only: z.literal(true),
      cap_drop: z.tuple([z.literal('ALL')]),
      security_opt: z.tuple([z.literal('no-new-privileges:true')]),
      stop_grace_period: z.string().optional(),
    }),
  ),
});

/** What turns on Redis users: where each process finds its URL. */
const AclCompose = z.object({
  services: z.record(
    z.string(),
    z.object({
      command: z.array(z.string()).default([]),
      environment: z.record(z.string(), z.string()).default({}),
      volumes: z.array(z.string()).default([]),
    }),
  ),
});

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

describe('docker-compose.yml', () => {
  const { services } = Compose.parse(parseYaml(read('docker-compose.yml'), { merge: true }));

  for (const name of PROCESSES) {
    test(`starts the ${name} with settings that it takes, and with the files of all`, () => {
      const { command, environment = {}, volumes, build } = services[name] ?? {};
      assert.equal(command, undefined);
      assert.equal(build?.target, name === 'worker' ? 'worker-cpu' : name);
      const set = Object.entries(environment).filter(([, value]) => value !== null);
      const { HEADRACE_BLOBS } = PARSERS[name](
        z.record(z.string(), z.string()).parse(Object.fromEntries(set)),
      );
      assert.deepEqual(volumes, [`blobs:${HEADRACE_BLOBS}`]);
      assert.equal(HEADRACE_BLOBS, services.api?.environment.HEADRACE_BLOBS);
    });
  }

  test('gives each process the time to stop that it may take', () => {
    const graceS = (name: string) => Number.parseInt(services[name]?.stop_grace_period ?? '', 10);
    const drainS = parseWorkerConfig({}).HEADRACE_DRAIN_TIMEOUT_S;
    assert.ok(graceS('worker') > drainS + WORKER_RELEASE_MS / 1000);
    assert.equal(graceS('worker-gpu'), graceS('worker'));
    assert.ok(graceS('api') > parseConfig({}).HEADRACE_DRAIN_S + (2 * API_RELEASE_MS) / 1000);
    assert.ok(graceS('dispatcher') > STOP_DEADLINE_MS / 1000);
  });
});

describe('docker-compose.acl.yml', () => {
  const { services } = AclCompose.parse(parseYaml(read('docker-compose.acl.yml')));

  test('gives each process the user of its name, and Redis the file of users', () => {
    for (const name of PROCESSES) {
      const { environment } = services[name] ?? {};
      assert.deepEqual(environment, { REDIS_URL: `\${${name.toUpperCase()}_REDIS_URL:?}` });
    }
    const { command = [], volumes } = services.redis ?? {};
    const before = Compose.parse(parseYaml(read('docker-compose.yml'), { merge: true })).services
      .redis?.command;
    assert.deepEqual(command.slice(0, before?.length), before);
    const [option, file] = command.slice(-2);
    assert.equal(option, '--aclfile');
    assert.deepEqual(volumes, [`./redis-acl/users.acl:${file}:ro`]);
  });
});

describe('k8s/components/acl', () => {
  const Patches = z.looseObject({
    patches: z.array(
      z.object({ target: z.object({ kind: z.string(), name: z.string() }), patch: z.string() }),
    ),
  });
  const Added = z.array(z.object({ op: z.literal('add'), path: z.string(), value: z.unknown() }));

  test('gives each process the user of its name, and Redis the file of users', () => {
    const { patches } = Patches.parse(parseYaml(read('k8s/components/acl/kustomization.yaml')));
    const added = new Map(
      patches.map(({ target, patch }) => [
        `${target.kind}/${target.name}`,
        Added.parse(parseYaml(patch)),
      ]),
    );
    for (const name of PROCESSES) {
      const key = `${name.toUpperCase()}_REDIS_URL`;
      const valueFrom = { secretKeyRef: { name: 'headrace-redis-urls', key } };
      assert.deepEqual(added.get(`Deployment/headrace-${name}`), [
        {
          op: 'add',
          path: '/spec/template/spec/containers/0/env/-',
          value: { name: 'REDIS_URL', valueFrom },
        },
      ]);
    }
    const redis = added.get('StatefulSet/headrace-redis') ?? [];
    assert.deepEqual(
      redis.filter(({ path }) => path.endsWith('/args/-')).map(({ value }) => value),
      ['--aclfile', '/etc/headrace/users.acl'],
    );
  });
});

describe('the Dockerfile', () => {
  const text = read('Dockerfile');

  test('is in order', () => {
    const severity = { deprecatedMaintainer: ValidationSeverity.ERROR } as const;
    assert.deepEqual(validate(text, severity), []);
    assert.notEqual(validate(text.replace('USER 1000:1000', 'USR 1000')).length, 0);
  });

  test('pins what the repository pins', () => {
    const { version } = z.looseObject({ version: z.string() }).parse(parseJson('package.json'));
    assert.equal(text.match(new RegExp(`^ARG VERSION=${version}$`, 'gm'))?.length, 2);
    const runtime = read('scripts/setup/node-runtime.mjs');
    const node = /'linux-x64': \{ .*version: '([\d.]+)'/.exec(runtime)?.[1];
    assert.match(text, new RegExp(`^ARG NODE_IMAGE=docker\\.io/library/node:${node}-`, 'm'));
    const worker = z
      .looseObject({ dependencies: z.record(z.string(), z.string()) })
      .parse(parseJson('apps/worker/package.json'));
    const onnx = worker.dependencies['onnxruntime-node'];
    const pinned = read('scripts/images/cuda-provider.txt');
    assert.match(
      pinned,
      new RegExp(`^onnxruntime-gpu==${onnx} .*\n +--hash=sha256:[0-9a-f]{64}$`, 'm'),
    );
  });

  test('has the manifest of every workspace before it installs them', () => {
    const [before = ''] = text.split(/npm ci/);
    for (const path of globSync('{apps,packages}/*/package.json', { cwd: ROOT })) {
      const folder = path.replace('package.json', '');
      assert.match(before, new RegExp(`^COPY ${path} ${folder}$`, 'm'));
    }
  });

  test('runs each process as nobody in particular, under an init, with a health check', () => {
    const stages = new Map(
      text.split(/^FROM /m).map((stage) => [/ AS ([\w-]+)/.exec(stage)?.[1] ?? '', stage]),
    );
    for (const target of ['api', 'dispatcher', 'worker-cpu', 'worker-gpu']) {
      const stage = stages.get(target) ?? '';
      const whole = stage.startsWith('runtime') ? (stages.get('runtime') ?? '') + stage : stage;
      const script = `apps/${target.replace(/-.*/, '')}/src/main.ts`;
      assert.match(whole, /^USER 1000:1000$/m);
      assert.match(whole, /^ENTRYPOINT \["\/usr\/bin\/tini", "--"\]$/m);
      assert.match(whole, /^HEALTHCHECK [\s\S]*?CMD \["node", "scripts\/images\/health\.mjs"/m);
      assert.ok(whole.includes(`CMD ["node", "${script}"]`));
      assert.ok(existsSync(join(ROOT, script)));
    }
  });
});

function parseJson(path: string): unknown {
  return JSON.parse(read(path));
}
