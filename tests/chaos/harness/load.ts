import type { JobBody, JobClient, JobView } from './job-client.ts';
import type { Observer } from './observer.ts';

/** What became of a job that the API had accepted. */
export interface Outcome {
  id: string;
  /** null: the API does not know it any more, or it never ended. */
  job: JobView | null;
}

const LANES = 32;

/** Runs `work` for each item, `LANES` at a time. @returns the results in order */
export async function inLanes<Item, Result>(
  items: Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const rest = items.entries();
  const lane = async () => {
    for (const [i, item] of rest) results[i] = await work(item);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return results;
}

/** Submits all at once, then polls each to its end. */
export async function runAll(client: JobClient, bodies: JobBody[]): Promise<Outcome[]> {
  const ids = await inLanes(bodies, (body) => client.submit(body));
  return collect(client, ids);
}

function collect(client: JobClient, ids: string[]): Promise<Outcome[]> {
  return inLanes(ids, async (id) => ({ id, job: await client.untilFinished(id) }));
}

export interface Pump {
  /** Ids that were accepted so far. */
  ids: string[];
  /** Submits no more and waits for what is open. @returns every job's outcome */
  stop(): Promise<Outcome[]>;
}

interface PumpOptions {
  client: JobClient;
  observer: Observer;
  /** Jobs that are kept waiting or running. */
  outstanding: number;
  next: () => JobBody['input'];
}

/** Keeps a backlog, so that a worker is always in the middle of something. */
export function startPump({ client, observer, outstanding, next }: PumpOptions): Pump {
  const ids: string[] = [];
  let running = true;
  const isFull = () => ids.length - observer.finishes.size >= outstanding;
  const lane = async () => {
    while (running) {
      await observer.until(() => !isFull() || !running);
      if (running) ids.push(await client.submit({ input: next() }));
    }
  };
  const lanes = Promise.all(Array.from({ length: LANES / 2 }, lane));
  // Thrown by `stop`: a row that breaks meanwhile must be able to say why.
  lanes.catch(() => undefined);
  return {
    ids,
    async stop() {
      running = false;
      await lanes;
      return collect(client, ids);
    },
  };
}

export interface Clients {
  /** Jobs that have ended so far, well or not. */
  readonly finished: number;
  /** Resolves when all jobs of a given number are done. */
  readonly done: Promise<Outcome[]>;
  /** Nobody submits any more; resolves with what became of everything. */
  stop(): Promise<Outcome[]>;
}

interface ClientsOptions {
  client: JobClient;
  clients: number;
  next: () => string;
  /** How many jobs in all; without it they go on until they are stopped. */
  jobs?: number;
  onFinished?: (outcome: Outcome) => void;
}

/** Callers who each submit one job, poll it to its end, and submit the next. */
export function startClients(options: ClientsOptions): Clients {
  const { client, clients, next, jobs = Number.POSITIVE_INFINITY, onFinished } = options;
  const outcomes: Outcome[] = [];
  let submitted = 0;
  let running = true;
  const loop = async () => {
    while (running && submitted < jobs) {
      submitted += 1;
      const id = await client.submit({ input: next() });
      const outcome = { id, job: await client.untilFinished(id) };
      outcomes.push(outcome);
      onFinished?.(outcome);
    }
  };
  const done = Promise.all(Array.from({ length: clients }, loop)).then(() => outcomes);
  // As above: whoever asks for the outcomes hears of it.
  done.catch(() => undefined);
  return {
    get finished() {
      return outcomes.length;
    },
    done,
    stop() {
      running = false;
      return done;
    },
  };
}

/** How many of the accepted jobs are lost, failed and done. */
export function tally(outcomes: Outcome[]) {
  const withStatus = (status: string) => outcomes.filter(({ job }) => job?.status === status);
  return {
    jobs: outcomes.length,
    lost: outcomes.filter(({ job }) => job === null).length,
    failed: withStatus('failed').length,
    succeeded: withStatus('succeeded').length,
  };
}
