import { type ServiceProcess, startWorker } from '../../tests/helpers/processes.ts';

interface FleetOptions {
  env: Record<string, string>;
  /** Jobs that workers hold at the moment. */
  activeJobs: () => Promise<number>;
  say: (line: string) => void;
}

interface Pod {
  startedMs: number;
  starting: Promise<ServiceProcess>;
  ready: boolean;
}

/** Workers as a deployment has them: it starts and stops processes to have so many of them. */
export class Fleet {
  /** Jobs that were active when a worker was told to stop, of each stop. */
  readonly activeAtStops: number[] = [];
  /** Of workers that ended other than by exit code 0. */
  uncleanExits = 0;
  /** `job stalled`, as workers logged it. */
  stalled = 0;
  most = 0;
  workerSeconds = 0;
  readonly #options: FleetOptions;
  readonly #stopping = new Set<Promise<void>>();
  #pods: Pod[] = [];

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#pods.length;
  }

  get ready(): number {
    return this.#pods.filter(({ ready }) => ready).length;
  }

  scaleTo(replicas: number): void {
    const { say } = this.#options;
    if (replicas !== this.size) say(`${this.size} → ${replicas} workers`);
    while (this.size < replicas) this.#start();
    // A replica set takes the youngest first.
    for (const pod of this.#pods.splice(replicas)) this.#stop(pod);
    this.most = Math.max(this.most, this.size);
  }

  /** Resolves when all that were told to stop have ended. */
  async settled(): Promise<void> {
    while (this.#stopping.size > 0) await Promise.all(this.#stopping);
  }

  #start(): void {
    const { env, say } = this.#options;
    const starting = startWorker({ env });
    const pod: Pod = { startedMs: performance.now(), starting, ready: false };
    starting.then(
      () => {
        pod.ready = true;
      },
      (error) => say(`a worker did not start: ${error}`),
    );
    this.#pods.push(pod);
  }

  #stop(pod: Pod): void {
    const stopping = this.#end(pod).finally(() => this.#stopping.delete(stopping));
    this.#stopping.add(stopping);
  }

  async #end({ starting, startedMs }: Pod): Promise<void> {
    try {
      const worker = await starting;
      this.activeAtStops.push(await this.#options.activeJobs());
      const { code } = await worker.stop();
      if (code !== 0) this.uncleanExits += 1;
      this.stalled += worker.logs.filter(({ event }) => event === 'job.stalled').length;
    } catch (error) {
      this.uncleanExits += 1;
      this.#options.say(`a worker did not stop: ${error}`);
    }
    this.workerSeconds += (performance.now() - startedMs) / 1000;
  }
}
