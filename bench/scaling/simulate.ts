import { percentile } from '../statistics.ts';
import { Autoscaler, HPA_SYNC_S } from './autoscaler.ts';
import type { ScaledObject } from './scaled-object.ts';
import type { Arrivals } from './traces.ts';

/** What an autoscaler may look at. */
export interface Seen {
  /** Units in the queue that no worker holds. */
  waiting: number;
  /** Units that workers hold. */
  active: number;
  /** Of all units that wait or run. */
  tokens: number;
}

export interface Cluster {
  /** Tokens a second of one worker. */
  tokensPerS: number;
  /** From the start of a pod until it takes jobs. */
  podStartS: number;
  /** Units that a worker has taken out of the queue. */
  held: number;
  /** Units that it runs at once: at the end of the grace, what is done of them is lost. */
  running: number;
  /** For which a worker that is told to stop goes on with what it runs. */
  drainS: number;
}

export interface Step {
  atS: number;
  backlog: number;
  replicas: number;
  /** Of the units that were done in the minute before. */
  waitP95S: number;
  /** Since the beginning. */
  podHours: number;
}

export interface Outcome {
  steps: Step[];
  waitP50S: number;
  waitP95S: number;
  /** Pods times their time, from start to end. */
  podHours: number;
  mostReplicas: number;
  /** Pods that were told to stop while they ran something. */
  busyStops: number;
  /** Tokens that were computed and lost, since a pod ended before its units were done. */
  lostTokens: number;
}

interface Simulation {
  arrivals: readonly Arrivals[];
  object: ScaledObject;
  metric: (seen: Seen) => number;
  cluster: Cluster;
}

interface Unit {
  arrivedS: number;
  tokens: number;
  left: number;
}

interface Pod {
  readyS: number;
  /** When it is killed; null while it serves. */
  endS: number | null;
  running: Unit[];
}

/** Runs a trace in steps of one second, until all is done and no pod is left. */
export function simulate({ arrivals, object, metric, cluster }: Simulation): Outcome {
  const scaler = new Autoscaler(object);
  const queue = new Queue();
  const waits: number[] = [];
  const steps: Step[] = [];
  const lastS = Math.max(...arrivals.map(({ fromS, forS }) => fromS + forS));
  const outcome = { podSeconds: 0, mostReplicas: 0, busyStops: 0, lostTokens: 0 };
  let pods: Pod[] = [];
  let [minuteFrom, minuteP95S] = [0, 0];

  const serving = () => pods.filter(({ endS }) => endS === null);
  const scaleTo = (replicas: number, nowS: number) => {
    const now = serving();
    for (let i = now.length; i < replicas; i++) {
      pods.push({ readyS: nowS + cluster.podStartS, endS: null, running: [] });
    }
    for (const pod of now.slice(replicas)) {
      pod.endS = nowS + cluster.drainS;
      if (pod.running.length > 0) outcome.busyStops += 1;
    }
  };
  const look = (nowS: number): number => {
    const running = pods.flatMap((pod) => pod.running);
    const takers = serving().filter(({ readyS }) => readyS <= nowS).length;
    const active = Math.min(
      queue.units + running.length,
      Math.max(running.length, takers * cluster.held),
    );
    const left = running.reduce((sum, unit) => sum + unit.left, 0);
    return metric({
      ...{ active, waiting: queue.units + running.length - active },
      tokens: queue.tokens + left,
    });
  };

  for (let nowS = 0; nowS <= lastS || queue.units > 0 || pods.length > 0; nowS++) {
    arrive(queue, arrivals, nowS);
    const current = () => serving().length;
    if (nowS % object.pollingInterval === 0) {
      scaleTo(scaler.poll({ nowS, current: current(), metric: look(nowS) }), nowS);
    }
    if (nowS % HPA_SYNC_S === 0) {
      scaleTo(scaler.sync({ nowS, current: current(), metric: look(nowS) }), nowS);
    }
    for (const pod of pods) if (pod.readyS <= nowS) work(pod, { queue, waits, cluster, nowS });
    for (const pod of pods) outcome.lostTokens += endIfDue(pod, queue, nowS);
    pods = pods.filter(({ endS, running }) => endS === null || (endS > nowS && running.length > 0));
    outcome.podSeconds += pods.length;
    outcome.mostReplicas = Math.max(outcome.mostReplicas, current());
    if (nowS % 60 === 0) {
      minuteP95S = percentile(waits.slice(minuteFrom), 0.95);
      minuteFrom = waits.length;
    }
    const podHours = outcome.podSeconds / 3_600;
    const now = { atS: nowS, backlog: queue.units, replicas: pods.length };
    steps.push({ ...now, waitP95S: minuteP95S, podHours });
  }
  const { podSeconds, ...counts } = outcome;
  return {
    ...{ steps, ...counts, podHours: podSeconds / 3_600 },
    waitP50S: percentile(waits, 0.5),
    waitP95S: percentile(waits, 0.95),
  };
}

/** First in, first out; what is given back goes to the front. */
class Queue {
  units = 0;
  tokens = 0;
  #lots: { arrivedS: number; tokens: number; units: number }[] = [];
  #first = 0;

  push(lot: { arrivedS: number; tokens: number; units: number }): void {
    if (lot.units === 0) return;
    this.#lots.push(lot);
    this.#count(lot.units, lot.tokens);
  }

  take(): Unit | null {
    const lot = this.#lots[this.#first];
    if (lot === undefined) return null;
    lot.units -= 1;
    if (lot.units === 0) this.#first += 1;
    this.#count(-1, lot.tokens);
    return { arrivedS: lot.arrivedS, tokens: lot.tokens, left: lot.tokens };
  }

  giveBack({ arrivedS, tokens }: Unit): void {
    this.#lots = [{ arrivedS, tokens, units: 1 }, ...this.#lots.slice(this.#first)];
    this.#first = 0;
    this.#count(1, tokens);
  }

  #count(units: number, tokens: number): void {
    this.units += units;
    this.tokens += units * tokens;
  }
}

function arrive(queue: Queue, arrivals: readonly Arrivals[], nowS: number): void {
  for (const { fromS, forS, units, tokens } of arrivals) {
    if (nowS < fromS || nowS >= fromS + forS) continue;
    const until = (seconds: number) => Math.floor((units * seconds) / forS);
    const count = until(nowS - fromS + 1) - until(nowS - fromS);
    queue.push({ arrivedS: nowS, tokens, units: count });
  }
}

interface Working {
  queue: Queue;
  waits: number[];
  cluster: Cluster;
  nowS: number;
}

/** One second of one worker: its units take turns by order, and it takes more while it may. */
function work(pod: Pod, { queue, waits, cluster, nowS }: Working): void {
  let tokens = cluster.tokensPerS;
  while (tokens > 0) {
    while (pod.endS === null && pod.running.length < cluster.running) {
      const unit = queue.take();
      if (unit === null) break;
      pod.running.push(unit);
    }
    const [first] = pod.running;
    if (first === undefined) return;
    const done = Math.min(tokens, first.left);
    first.left -= done;
    tokens -= done;
    if (first.left > 0) return;
    pod.running.shift();
    waits.push(nowS - first.arrivedS);
  }
}

/** @returns the tokens that were computed in vain */
function endIfDue(pod: Pod, queue: Queue, nowS: number): number {
  if (pod.endS === null || pod.endS > nowS) return 0;
  let lost = 0;
  for (const unit of pod.running.reverse()) {
    lost += unit.tokens - unit.left;
    queue.giveBack(unit);
  }
  pod.running = [];
  return lost;
}
