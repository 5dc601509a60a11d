import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ScaledObject, TriggerAuthentication } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import { validate as deployment } from 'kubernetes-models/_schemas/IoK8sApiAppsV1Deployment';
import { validate as statefulSet } from 'kubernetes-models/_schemas/IoK8sApiAppsV1StatefulSet';
import { validate as autoscaler } from 'kubernetes-models/_schemas/IoK8sApiAutoscalingV2HorizontalPodAutoscaler';
import { validate as configMap } from 'kubernetes-models/_schemas/IoK8sApiCoreV1ConfigMap';
import { validate as namespace } from 'kubernetes-models/_schemas/IoK8sApiCoreV1Namespace';
import { validate as claim } from 'kubernetes-models/_schemas/IoK8sApiCoreV1PersistentVolumeClaim';
import { validate as service } from 'kubernetes-models/_schemas/IoK8sApiCoreV1Service';
import { validate as networkPolicy } from 'kubernetes-models/_schemas/IoK8sApiNetworkingV1NetworkPolicy';
import { validate as disruption } from 'kubernetes-models/_schemas/IoK8sApiPolicyV1PodDisruptionBudget';
import { validate as priority } from 'kubernetes-models/_schemas/IoK8sApiSchedulingV1PriorityClass';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export const KubernetesObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});
export type KubernetesObject = z.infer<typeof KubernetesObject>;

/** The schemas of Kubernetes' and KEDA's own APIs. */
const SCHEMAS: Record<string, (object: unknown) => boolean> = {
  'apps/v1 Deployment': deployment,
  'apps/v1 StatefulSet': statefulSet,
  'autoscaling/v2 HorizontalPodAutoscaler': autoscaler,
  'keda.sh/v1alpha1 ScaledObject': (object) => passes(new ScaledObject(), object),
  'keda.sh/v1alpha1 TriggerAuthentication': (object) => passes(new TriggerAuthentication(), object),
  'networking.k8s.io/v1 NetworkPolicy': networkPolicy,
  'policy/v1 PodDisruptionBudget': disruption,
  'scheduling.k8s.io/v1 PriorityClass': priority,
  'v1 ConfigMap': configMap,
  'v1 Namespace': namespace,
  'v1 PersistentVolumeClaim': claim,
  'v1 Service': service,
};

/** Whether the schema of its kind accepts it. @throws Error where we know no schema */
export function isAccepted(object: KubernetesObject): boolean {
  const schema = SCHEMAS[`${object.apiVersion} ${object.kind}`];
  if (schema === undefined) throw new Error(`no schema for ${object.apiVersion} ${object.kind}`);
  return schema(object);
}

/** Objects of a file or of what a tool rendered, but for what kustomize keeps to itself. */
function parseObjects(text: string): KubernetesObject[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw new Error(String(document.errors[0]));
    return KubernetesObject.parse(document.toJS());
  });
}

/** Every whole object of k8s/, with the file that holds it. */
export function readObjects(): { file: string; object: KubernetesObject }[] {
  const files = globSync('k8s/**/*.yaml', { cwd: ROOT }).sort();
  return files
    .filter((file) => !/(kustomization|pod)\.yaml$/.test(file))
    .flatMap((file) => {
      const text = readFileSync(join(ROOT, file), 'utf8');
      return parseObjects(text).map((object) => ({ file, object }));
    });
}

/** What renders overlays here: `kubectl kustomize`, `kustomize build`, or nothing. */
export function findKustomize(): string[] | null {
  const ways = [
    ['kubectl', 'kustomize'],
    ['kustomize', 'build'],
  ];
  return ways.find(([tool = '', verb = '']) => !spawnSync(tool, [verb, '--help']).error) ?? null;
}

/** What the tool makes of an overlay's folder. @throws Error when it does not render */
export function render([tool = '', ...args]: string[], folder: string): KubernetesObject[] {
  return parseObjects(execFileSync(tool, [...args, folder], { cwd: ROOT, encoding: 'utf8' }));
}

function passes(model: { validate(): void }, object: unknown): boolean {
  try {
    Object.assign(model, object).validate();
    return true;
  } catch {
    return false;
  }
}
