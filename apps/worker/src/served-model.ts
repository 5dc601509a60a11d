import type { Logger } from '@headrace/shared/logger.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import type { WorkerReport } from '@headrace/shared/workers.ts';
import type { ModelRuntime } from './inference/model-runtime.ts';
import type { Pipeline } from './inference/pipeline.ts';

/** What takes work for a model out of one of its queues. */
export interface Consumer {
  start(): void;
  /** Whether its fetch loop moved lately, or rightly stands still. */
  isMoving(withinMs: number): boolean;
  /** Drops a job that was cancelled, if it is here. */
  cancel?(id: string): void;
  /** Gives back what does not finish until the deadline. */
  stop(deadlineMs: number): Promise<void>;
}

type Runtime = Pick<
  ModelRuntime,
  'ref' | 'variant' | 'healthy' | 'tokensPerSecond' | 'speed' | 'activity' | 'start' | 'stop'
>;

interface ServedModelDeps {
  runtime: Runtime;
  createConsumers: (pipeline: Pipeline) => Consumer[];
  metrics: Metrics;
  log: Logger;
}

/** The fetch loop asks once a second at least; so long without an answer, it is stuck. */
export const STUCK_AFTER_MS = 30_000;

/** One model of a worker: loading, then taking jobs, or refused for ever. */
export class ServedModel {
  readonly #deps: ServedModelDeps;
  #consumers: Consumer[] | null = null;
  #draining = false;
  #problem: string | null = null;

  constructor(deps: ServedModelDeps) {
    this.#deps = deps;
  }

  /** What keeps the model from being served; null when nothing does. */
  get missing(): string | null {
    const { ref, healthy } = this.#deps.runtime;
    if (this.#problem !== null) return this.#problem;
    if (this.#consumers === null) return `${ref} is loading`;
    return healthy ? null : `${ref} has no engine`;
  }

  /** Loads the model and takes jobs. A model that must not be served is refused, not thrown. */
  async start(): Promise<void> {
    const { runtime, log, createConsumers } = this.#deps;
    const beganMs = performance.now();
    let consumers: Consumer[];
    try {
      consumers = createConsumers(await runtime.start());
    } catch (err) {
      this.#problem = err instanceof Error ? err.message : String(err);
      const event = 'model.refused';
      log.error({ event, model: runtime.ref, problem: this.#problem }, 'model refused');
      await runtime.stop();
      return;
    }
    // Nobody would give back what it takes from now on.
    if (this.#draining) return;
    this.#consumers = consumers;
    for (const consumer of consumers) consumer.start();
    const { ref: model, variant } = runtime;
    const ms = Math.round(performance.now() - beganMs);
    log.info({ event: 'model.ready', model, variant, ms }, 'model ready');
  }

  isMoving(): boolean {
    return this.#consumers?.every((consumer) => consumer.isMoving(STUCK_AFTER_MS)) ?? true;
  }

  cancel(id: string): void {
    for (const consumer of this.#consumers ?? []) consumer.cancel?.(id);
  }

  report(): WorkerReport['models'][number] {
    const { runtime } = this.#deps;
    return {
      model: runtime.ref,
      variant: runtime.variant,
      ready: this.missing === null,
      tokens_per_s: runtime.tokensPerSecond,
      rows_per_s: runtime.speed.rowsPerSecond,
      activity: runtime.activity,
    };
  }

  updateGauges(): void {
    const { runtime, metrics } = this.#deps;
    const { tokensPerSecond, paddingRatio } = runtime.speed;
    metrics.gauges.tokens_per_second.set({ model: runtime.ref }, tokensPerSecond ?? 0);
    metrics.gauges.padding_ratio.set({ model: runtime.ref }, paddingRatio ?? 0);
  }

  /**
   * Gives back what has not started; what runs may finish until the deadline. A model that is still
   * loading takes nothing any more.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    await Promise.all((this.#consumers ?? []).map((consumer) => consumer.stop(deadlineMs)));
  }

  async stop(): Promise<void> {
    await this.#deps.runtime.stop();
  }
}
