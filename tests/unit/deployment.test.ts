import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { parseConfig } from '../../apps/api/src/config.ts';
import { parseDispatcherConfig } from '../../apps/dispatcher/src/config.ts';
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
      command: z.array(z.string()),
      environment: z.record(z.string(), z.string()).default({}),
      volumes: z.array(z.string()),
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

const Container = z.looseObject({
  command: z.array(z.string()),
  envFrom: z.array(z.looseObject({ configMapRef: z.object({ name: z.string() }).optional() })),
  env: z.array(z.object({ name: z.string(), value: z.string() })),
  ports: z.array(z.object({ containerPort: z.int() })),
  readinessProbe: z.object({ httpGet: z.object({ path: z.string(), port: z.int() }) }).loose(),
  livenessProbe: z.object({ httpGet: z.object({ path: z.string(), port: z.int() }) }).loose(),
  volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })),
});
const Deployment = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({
      spec: z.looseObject({
        containers: z.tuple([Container]),
        volumes: z.array(
          z.object({
            name: z.string(),
            persistentVolumeClaim: z.object({ claimName: z.string() }),
          }),
        ),
      }),
    }),
  }),
});
const ConfigMap = z.looseObject({ data: z.record(z.string(), z.string()) });
const Claim = z.looseObject({ spec: z.looseObject({ accessModes: z.array(z.string()) }) });
function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** But for what takes the place of `scaled-object.yaml`. */
const manifests = readdirSync(join(ROOT, 'k8s')).filter(
  (name) => name.endsWith('.yaml') && name !== 'scaled-object-redis.yaml',
);

/** Every object of `k8s/` by kind and name. */
const objects = new Map<string, unknown>(
  manifests.flatMap((file) =>
    parseAllDocuments(read(`k8s/${file}`)).map((document): [string, unknown] => {
      assert.deepEqual(document.errors, [], file);
      const object: unknown = document.toJS();
      const { kind, metadata } = z
        .looseObject({ kind: z.string(), metadata: z.looseObject({ name: z.string() }).optional() })
        .parse(object);
      return [`${kind}/${metadata?.name ?? ''}`, object];
    }),
  ),
);

function podOf(name: string) {
  return Deployment.parse(objects.get(`Deployment/headrace-${name}`)).spec.template.spec;
}

describe('docker-compose.yml', () => {
  const { services } = Compose.parse(parseYaml(read('docker-compose.yml')));

  for (const name of PROCESSES) {
    test(`starts the ${name} with settings that it takes, and with the files of all`, () => {
      const { command, environment, volumes } = services[name] ?? { environment: {} };
      assert.deepEqual(command, ['node', `apps/${name}/src/main.ts`]);
      const { HEADRACE_BLOBS } = PARSERS[name](environment);
      assert.deepEqual(volumes, [`blobs:${HEADRACE_BLOBS}`]);
      assert.equal(HEADRACE_BLOBS, services.api?.environment.HEADRACE_BLOBS);
    });
  }
});

describe('docker-compose.acl.yml', () => {
  const { services } = AclCompose.parse(parseYaml(read('docker-compose.acl.yml')));

  test('gives each process the user of its name, and Redis the file of users', () => {
    for (const name of PROCESSES) {
      const { environment } = services[name] ?? {};
      assert.deepEqual(environment, { REDIS_URL: `\${${name.toUpperCase()}_REDIS_URL:?}` });
    }
    const { command = [], volumes } = services.redis ?? {};
    const before = Compose.parse(parseYaml(read('docker-compose.yml'))).services.redis?.command;
    assert.deepEqual(command.slice(0, before?.length), before);
    const [option, file] = command.slice(-2);
    assert.equal(option, '--aclfile');
    assert.deepEqual(volumes, [`./redis-acl/users.acl:${file}:ro`]);
  });
});

describe('k8s/acl', () => {
  const Patches = z.looseObject({
    resources: z.tuple([z.literal('..')]),
    patches: z.array(
      z.object({ target: z.object({ kind: z.string(), name: z.string() }), patch: z.string() }),
    ),
  });
  const Added = z.array(z.object({ op: z.literal('add'), path: z.string(), value: z.unknown() }));

  test('gives each process the user of its name, and Redis the file of users', () => {
    const { patches } = Patches.parse(parseYaml(read('k8s/acl/kustomization.yaml')));
    const added = new Map(
      patches.map(({ target, patch }) => [
        `${target.kind}/${target.name}`,
        Added.parse(parseYaml(patch)),
      ]),
    );
    assert.deepEqual(
      [...added.keys()].filter((key) => !objects.has(key)),
      [],
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

describe('k8s', () => {
  const shared = ConfigMap.parse(objects.get('ConfigMap/headrace')).data;

  test('lists every file', () => {
    const Kustomization = z.looseObject({ resources: z.array(z.string()) });
    const { resources } = Kustomization.parse(objects.get('Kustomization/'));
    const files = manifests.filter((name) => name !== 'kustomization.yaml');
    assert.deepEqual(resources.toSorted(), files.toSorted());
  });

  for (const name of PROCESSES) {
    test(`starts the ${name} with settings that it takes, and with the files of all`, () => {
      const { containers, volumes } = podOf(name);
      const [{ command, envFrom, env, volumeMounts }] = containers;
      assert.deepEqual(command, ['node', `apps/${name}/src/main.ts`]);
      assert.equal(envFrom[0]?.configMapRef?.name, 'headrace');
      const own = Object.fromEntries(env.map((each) => [each.name, each.value]));
      const { HEADRACE_BLOBS } = PARSERS[name]({ ...shared, ...own });
      assert.equal(HEADRACE_BLOBS, shared.HEADRACE_BLOBS);
      assert.deepEqual(volumeMounts, [{ name: 'blobs', mountPath: HEADRACE_BLOBS }]);
      assert.equal(volumes[0]?.persistentVolumeClaim.claimName, 'headrace-blobs');
    });
  }

  test('asks each process for its probes where it has them', () => {
    const ports = {
      api: parseConfig({}).PORT,
      dispatcher: parseDispatcherConfig({}).HEADRACE_DISPATCHER_PROBES_PORT,
      worker: parseWorkerConfig({}).HEADRACE_PROBES_PORT,
    };
    for (const name of PROCESSES) {
      const [{ ports: open, readinessProbe, livenessProbe }] = podOf(name).containers;
      assert.deepEqual(open, [{ containerPort: ports[name] }]);
      assert.deepEqual(readinessProbe.httpGet, { path: '/ready', port: ports[name] });
      assert.deepEqual(livenessProbe.httpGet, { path: '/health', port: ports[name] });
    }
  });

  test('has a claim that pods of several nodes may write to', () => {
    const { accessModes } = Claim.parse(objects.get('PersistentVolumeClaim/headrace-blobs')).spec;
    assert.deepEqual(accessModes, ['ReadWriteMany']);
  });
});

describe('the image', () => {
  test('has the manifest of every package that it runs before it installs them', () => {
    const [before = ''] = read('Dockerfile').split('RUN npm ci');
    const run = [...PROCESSES.map((name) => `apps/${name}`), 'packages/shared'];
    for (const folder of run) {
      assert.ok(existsSync(join(ROOT, folder, 'package.json')));
      assert.match(before, new RegExp(`^COPY ${folder}/package.json ${folder}/$`, 'm'));
    }
  });
});
