import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiProcess, Exit, ServiceProcess } from '../../helpers/processes.ts';
import type { ServiceBalancer } from '../../helpers/service-balancer.ts';
import type { Stack } from './stack.ts';

/**
 * Of `k8s/base`, five times as fast: the endpoint of a pod that goes leaves its Service at once, but
 * whoever routes hears of it later, and its process gets SIGTERM after preStop.
 */
const HEARD_MS = 400;
const PRE_STOP_MS = 1_000;

export interface Replacement {
  part: 'api' | 'worker' | 'dispatcher';
  exit: Exit;
  stopMs: number;
}

/** Replaces parts of a system as a Deployment does that may surge by one and lack none. */
export class RollingUpdate {
  readonly replacements: Replacement[] = [];
  readonly #stack: Stack;
  readonly #balancer: ServiceBalancer;
  readonly #apis: ApiProcess[] = [];
  readonly #apiEnv: Record<string, string>;

  constructor(stack: Stack, balancer: ServiceBalancer, apiEnv: Record<string, string>) {
    this.#stack = stack;
    this.#balancer = balancer;
    this.#apiEnv = apiEnv;
  }

  /** Of these that live. */
  get apis(): readonly ApiProcess[] {
    return this.#apis;
  }

  async addApi(): Promise<void> {
    const api = await this.#stack.startApi(this.#apiEnv);
    await this.#balancer.add(api.url);
    this.#apis.push(api);
  }

  async replaceApi(): Promise<void> {
    await this.addApi();
    const oldest = this.#apis.shift();
    if (!oldest) throw new Error('no API is left');
    await Promise.all([
      sleep(HEARD_MS).then(() => this.#balancer.remove(oldest.url)),
      sleep(PRE_STOP_MS).then(() => this.#stop('api', oldest)),
    ]);
  }

  async replaceWorker(): Promise<void> {
    const { workers } = this.#stack;
    await this.#stack.startWorker();
    const oldest = workers.shift();
    if (oldest) await this.#stop('worker', oldest);
  }

  async replaceDispatcher(): Promise<void> {
    const { dispatchers } = this.#stack;
    await this.#stack.startDispatcher();
    const oldest = dispatchers.shift();
    if (oldest) await this.#stop('dispatcher', oldest);
  }

  async #stop(part: Replacement['part'], service: ServiceProcess): Promise<void> {
    const began = performance.now();
    const exit = await service.stop();
    this.replacements.push({ part, exit, stopMs: performance.now() - began });
  }
}
