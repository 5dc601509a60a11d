import { Hpa } from './hpa.ts';
import type { ScaledObject } from './scaled-object.ts';

/** How often Kubernetes looks at an autoscaler, by default. */
export const HPA_SYNC_S = 15;

type Spec = Pick<
  ScaledObject,
  'minReplicaCount' | 'maxReplicaCount' | 'cooldownPeriod' | 'fallback' | 'advanced'
>;

interface Seen {
  nowS: number;
  current: number;
  /** Of the formula; null when a trigger did not answer. */
  metric: number | null;
}

/**
 * KEDA and the HPA that it makes: KEDA decides between none and one
 * (https://keda.sh/docs/latest/concepts/scaling-deployments/), the HPA on all above.
 */
export class Autoscaler {
  readonly #spec: Spec;
  readonly #hpa: Hpa;
  #failures = 0;
  #lastActiveS = Number.NEGATIVE_INFINITY;

  constructor(spec: Spec) {
    this.#spec = spec;
    this.#hpa = new Hpa({
      target: spec.advanced.scalingModifiers.target,
      min: Math.max(1, spec.minReplicaCount),
      max: spec.maxReplicaCount,
      behavior: spec.advanced.horizontalPodAutoscalerConfig.behavior,
    });
  }

  /** KEDA's look at the triggers, once a polling interval. @returns the replicas to have */
  poll({ nowS, current, metric }: Seen): number {
    const { minReplicaCount, cooldownPeriod, fallback, advanced } = this.#spec;
    this.#failures = metric === null ? this.#failures + 1 : 0;
    if (this.#failures > 0) {
      const fallen = this.#failures >= fallback.failureThreshold;
      return current === 0 && fallen ? fallback.replicas : current;
    }
    if ((metric ?? 0) > advanced.scalingModifiers.activationTarget) {
      this.#lastActiveS = nowS;
      return current === 0 ? Math.max(1, minReplicaCount) : current;
    }
    const cooled = nowS - this.#lastActiveS > cooldownPeriod;
    return current > 0 && minReplicaCount === 0 && cooled ? 0 : current;
  }

  /** The HPA's, every 15 s; it stands still while there are no replicas. */
  sync({ nowS, current, metric }: Seen): number {
    if (current === 0) return 0;
    const { fallback, advanced } = this.#spec;
    if (metric !== null) return this.#hpa.sync({ nowS, current, metric });
    if (this.#failures < fallback.failureThreshold) return current;
    const stated = advanced.scalingModifiers.target * fallback.replicas;
    return this.#hpa.sync({ nowS, current, metric: stated });
  }
}
