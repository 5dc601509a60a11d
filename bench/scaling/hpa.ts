// The horizontal pod autoscaler's algorithm, for one external metric of type AverageValue, as
// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ (algorithm details,
// configurable scaling behaviour) describes it.

export interface ScalingPolicy {
  type: 'Pods' | 'Percent';
  value: number;
  periodSeconds: number;
}

export interface ScalingRules {
  stabilizationWindowSeconds: number;
  policies: ScalingPolicy[];
  selectPolicy: 'Max' | 'Min' | 'Disabled';
}

export interface Behavior {
  scaleUp: ScalingRules;
  scaleDown: ScalingRules;
}

/** What Kubernetes takes where nothing is said. */
export const DEFAULT_BEHAVIOR: Behavior = {
  scaleUp: {
    stabilizationWindowSeconds: 0,
    policies: [
      { type: 'Percent', value: 100, periodSeconds: 15 },
      { type: 'Pods', value: 4, periodSeconds: 15 },
    ],
    selectPolicy: 'Max',
  },
  scaleDown: {
    stabilizationWindowSeconds: 300,
    policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
    selectPolicy: 'Max',
  },
};

const TOLERANCE = 0.1;

/** Replicas that a metric asks for: as many as bring its average to the target, within 10 %. */
export function replicasFor(metric: number, target: number, current: number): number {
  const ratio = metric / (target * current);
  return Math.abs(ratio - 1) <= TOLERANCE ? current : Math.ceil(metric / target);
}

interface Change {
  atS: number;
  by: number;
}

/** The most replicas that the policies allow, `changes` of the recent past counted in. */
export function scaleUpLimit(
  { policies, selectPolicy }: ScalingRules,
  current: number,
  { changes, nowS }: { changes: readonly Change[]; nowS: number },
): number {
  if (selectPolicy === 'Disabled') return current;
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const before = current - netChange(changes, nowS - periodSeconds);
    return type === 'Pods' ? before + value : Math.ceil(before * (1 + value / 100));
  });
  return selectPolicy === 'Max' ? Math.max(...limits) : Math.min(...limits);
}

/** The fewest replicas that the policies allow. */
export function scaleDownLimit(
  { policies, selectPolicy }: ScalingRules,
  current: number,
  { changes, nowS }: { changes: readonly Change[]; nowS: number },
): number {
  if (selectPolicy === 'Disabled') return current;
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const before = current - netChange(changes, nowS - periodSeconds);
    return type === 'Pods' ? before - value : Math.trunc(before * (1 - value / 100));
  });
  return selectPolicy === 'Max' ? Math.min(...limits) : Math.max(...limits);
}

function netChange(changes: readonly Change[], sinceS: number): number {
  return changes.reduce((sum, { atS, by }) => (atS > sinceS ? sum + by : sum), 0);
}

interface HpaState {
  nowS: number;
  current: number;
  metric: number;
}

export interface HpaOptions {
  target: number;
  min: number;
  max: number;
  behavior: Behavior;
}

/** One autoscaler with its memory: what it has recommended, and what it has changed. */
export class Hpa {
  readonly #options: HpaOptions;
  #recommended: { atS: number; replicas: number }[] = [];
  #changes: Change[] = [];

  constructor(options: HpaOptions) {
    this.#options = options;
  }

  /** @returns the replicas to have from now on */
  sync({ nowS, current, metric }: HpaState): number {
    const { target, min, max, behavior } = this.#options;
    const wanted = Math.min(max, Math.max(min, replicasFor(metric, target, current)));
    const stable = this.#stabilized(wanted, current, nowS);
    const past = { changes: this.#changes, nowS };
    const highest = Math.min(max, Math.max(current, scaleUpLimit(behavior.scaleUp, current, past)));
    const lowest = Math.max(
      min,
      Math.min(current, scaleDownLimit(behavior.scaleDown, current, past)),
    );
    const replicas = Math.min(highest, Math.max(lowest, stable));
    if (replicas !== current) this.#changes.push({ atS: nowS, by: replicas - current });
    return replicas;
  }

  /** Up no further than all that was wanted within the window for it, down no further than any. */
  #stabilized(wanted: number, current: number, nowS: number): number {
    const { scaleUp, scaleDown } = this.#options.behavior;
    this.#recommended.push({ atS: nowS, replicas: wanted });
    const within = (windowS: number) =>
      this.#recommended.filter(({ atS }) => atS > nowS - windowS).map(({ replicas }) => replicas);
    const up = Math.min(wanted, ...within(scaleUp.stabilizationWindowSeconds));
    const down = Math.max(wanted, ...within(scaleDown.stabilizationWindowSeconds));
    this.#forget(nowS);
    return Math.max(up, Math.min(current, down));
  }

  #forget(nowS: number): void {
    const { scaleUp, scaleDown } = this.#options.behavior;
    const windows = [scaleUp, scaleDown].flatMap(({ stabilizationWindowSeconds, policies }) => [
      stabilizationWindowSeconds,
      ...policies.map(({ periodSeconds }) => periodSeconds),
    ]);
    const oldestS = nowS - Math.max(...windows);
    this.#recommended = this.#recommended.filter(({ atS }) => atS > oldestS);
    this.#changes = this.#changes.filter(({ atS }) => atS > oldestS);
  }
}
