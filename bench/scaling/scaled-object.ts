import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { DEFAULT_BEHAVIOR } from './hpa.ts';

/** The two ways: by the work that waits and runs, and by the lengths of the lists. */
export const SCALED_OBJECTS = {
  work: fileURLToPath(new URL('../../k8s/components/keda/scaled-object.yaml', import.meta.url)),
  lists: fileURLToPath(
    new URL('../../k8s/components/keda-redis/scaled-object.yaml', import.meta.url),
  ),
} as const;

const Policy = z.strictObject({
  type: z.enum(['Pods', 'Percent']),
  value: z.int().positive(),
  periodSeconds: z.int().min(1).max(1_800),
});

const rules = (defaults: (typeof DEFAULT_BEHAVIOR)['scaleUp']) =>
  z
    .strictObject({
      stabilizationWindowSeconds: z
        .int()
        .min(0)
        .max(3_600)
        .default(defaults.stabilizationWindowSeconds),
      policies: z.array(Policy).min(1).default(defaults.policies),
      selectPolicy: z.enum(['Max', 'Min', 'Disabled']).default('Max'),
    })
    .default(defaults);

const Authentication = z.strictObject({ name: z.string() });

const Trigger = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('metrics-api'),
    name: z.string(),
    metadata: z.strictObject({
      url: z.url(),
      valueLocation: z.string(),
      targetValue: z.string(),
    }),
    authenticationRef: Authentication.optional(),
  }),
  z.strictObject({
    type: z.literal('redis'),
    name: z.string(),
    metadata: z.strictObject({
      address: z.string(),
      listName: z.string(),
      listLength: z.string(),
    }),
    authenticationRef: Authentication,
  }),
]);
export type Trigger = z.infer<typeof Trigger>;

/** What we use of KEDA's ScaledObject, and nothing beside. */
const ScaledObjectSchema = z.strictObject({
  apiVersion: z.literal('keda.sh/v1alpha1'),
  kind: z.literal('ScaledObject'),
  metadata: z.strictObject({ name: z.string() }),
  spec: z.strictObject({
    scaleTargetRef: z.strictObject({ name: z.string() }),
    minReplicaCount: z.int().min(0),
    maxReplicaCount: z.int().min(1),
    pollingInterval: z.int().min(1),
    cooldownPeriod: z.int().min(0),
    fallback: z.strictObject({ failureThreshold: z.int(), replicas: z.int() }),
    advanced: z.strictObject({
      scalingModifiers: z.strictObject({
        formula: z.string(),
        target: z.string().transform(Number),
        activationTarget: z.string().transform(Number),
        metricType: z.literal('AverageValue'),
      }),
      horizontalPodAutoscalerConfig: z.strictObject({
        behavior: z.strictObject({
          scaleUp: rules(DEFAULT_BEHAVIOR.scaleUp),
          scaleDown: rules(DEFAULT_BEHAVIOR.scaleDown),
        }),
      }),
    }),
    triggers: z.array(Trigger).min(1),
  }),
});
export type ScaledObject = z.infer<typeof ScaledObjectSchema>['spec'];

/** @throws ZodError when a file holds no ScaledObject, or one with what we do not know */
export function readScaledObject(path: string): ScaledObject {
  const objects = parseAllDocuments(readFileSync(path, 'utf8')).map((document): unknown =>
    document.toJS(),
  );
  const found = objects.find(
    (object) => z.looseObject({ kind: z.literal('ScaledObject') }).safeParse(object).success,
  );
  return ScaledObjectSchema.parse(found).spec;
}
