import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WEBHOOKS_QUEUE } from '@headrace/shared/queues.ts';
import { z } from 'zod';
import { type Receiver, startReceiver } from '../../helpers/receiver.ts';
import { CallbackLog, FAULT_PATHS, GONE_PATH, GOOD_PATH } from './callback-log.ts';
import { inLanes } from './load.ts';
import { type Stack, startStack } from './stack.ts';
import { createTexts } from './texts.ts';

const DISPATCHERS = 3;
/** Callbacks that one dispatcher has on their way at most. */
export const CONCURRENCY = 64;
const WAIT_S = 1;
const SCHEDULE_S = [0, ...Array<number>(9).fill(WAIT_S)];
/** Of so many jobs, one for each fault, one for a receiver that is gone; the others go well. */
const CYCLE = 20;
const PATHS = [...FAULT_PATHS, GONE_PATH];
/** A dead dispatcher's callbacks wait for its locks, and for those that stand aside meanwhile. */
const SETTLE_MS = 180_000;

const Page = z.object({
  data: z.array(z.object({ id: z.string() })),
  has_more: z.boolean(),
  last_id: z.string().nullable(),
});
const Redelivered = z.object({
  redelivered: z.number(),
  has_more: z.boolean(),
  last_id: z.string().nullable(),
});
const NewSecret = z.object({ secret: z.string() });

/** The whole system with three dispatchers, and a receiver that misbehaves. */
export class CallbackTrial implements AsyncDisposable {
  readonly receiver: Receiver;
  readonly log: CallbackLog;
  readonly #stack: Stack;
  readonly #undo: AsyncDisposableStack;
  readonly #texts = createTexts(16);
  /** Where each accepted job calls back. */
  readonly #paths = new Map<string, string>();

  static async start(): Promise<CallbackTrial> {
    const undo = new AsyncDisposableStack();
    try {
      const receiver = await startReceiver();
      undo.defer(() => receiver.stop());
      const folder = await mkdtemp(join(tmpdir(), 'headrace-callbacks-'));
      undo.defer(() => rm(folder, { recursive: true, force: true }));
      const stack = undo.use(
        await startStack({
          models: ['tiny-classifier'],
          dispatchers: DISPATCHERS,
          env: {
            HEADRACE_BLOBS: folder,
            HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
            HEADRACE_WEBHOOK_PORTS: String(receiver.port),
            HEADRACE_WEBHOOK_SCHEDULE_S: SCHEDULE_S.join(),
            HEADRACE_WEBHOOK_CONCURRENCY: String(CONCURRENCY),
            HEADRACE_WEBHOOK_TIMEOUT_S: '2',
          },
        }),
      );
      const call = { method: 'POST', body: {} } as const;
      const { body } = await stack.client.call('/v1/webhooks/secrets', call);
      const { secret } = NewSecret.parse(body);
      return new CallbackTrial({ stack, receiver, undo, secret });
    } catch (error) {
      await undo.disposeAsync();
      throw error;
    }
  }

  private constructor(parts: {
    stack: Stack;
    receiver: Receiver;
    undo: AsyncDisposableStack;
    secret: string;
  }) {
    const { stack, receiver, undo, secret } = parts;
    this.receiver = receiver;
    this.#stack = stack;
    this.#undo = undo;
    this.log = new CallbackLog({ receiver, secret, waitMs: WAIT_S * 1000 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#undo.disposeAsync();
  }

  get jobs(): number {
    return this.#paths.size;
  }

  /** Submits jobs that call back. */
  async submit(count: number): Promise<void> {
    const places = Array.from({ length: count }, (_, i) => i);
    await inLanes(places, async (i) => {
      const path = PATHS[i % CYCLE] ?? GOOD_PATH;
      const webhook = { url: this.receiver.url(path) };
      const id = await this.#stack.client.submit({ input: this.#texts(), webhook });
      this.#paths.set(id, path);
    });
  }

  /**
   * `kill -9` of the dispatcher that has run longest; another one takes its place.
   * @returns whether callbacks were on their way
   */
  async kill(): Promise<boolean> {
    const victim = this.#stack.dispatchers.shift();
    if (!victim) throw new Error('no dispatcher is left');
    await victim.kill9();
    const inFlight = await this.#stack.observer.activeJobs(WEBHOOKS_QUEUE);
    await this.#stack.startDispatcher();
    return inFlight.length > 0;
  }

  /** Jobs whose callback nobody has taken, but for those to receivers that are gone. */
  missing(): string[] {
    const { gone, taken } = this.log;
    const expected = [...this.#paths].filter(([, path]) => !gone || path !== GONE_PATH);
    return expected.map(([id]) => id).filter((id) => !taken.has(id));
  }

  /** Waits until no delivery is pending. @returns false when one is after three minutes */
  async settle(): Promise<boolean> {
    const giveUp = performance.now() + SETTLE_MS;
    while (performance.now() < giveUp) {
      if (this.missing().length === 0 && (await this.count('pending')) === 0) return true;
      await sleep(200);
    }
    return false;
  }

  /** Deliveries with a status, in the API's own log of them. */
  async count(status: string): Promise<number> {
    let count = 0;
    let after = '';
    for (;;) {
      const query = `status=${status}&limit=100${after}`;
      const page = Page.parse(await this.#get(`/v1/webhooks/deliveries?${query}`));
      count += page.data.length;
      if (!page.has_more || page.last_id === null) return count;
      after = `&after=${page.last_id}`;
    }
  }

  /** Enables every endpoint that is disabled. @returns how many there were */
  async enable(): Promise<number> {
    const { data } = Page.omit({ has_more: true, last_id: true }).parse(
      await this.#get('/v1/webhooks/endpoints'),
    );
    for (const { id } of data) await this.#post(`/v1/webhooks/endpoints/${id}/enable`);
    return data.length;
  }

  /** Has all that were not sent to a disabled endpoint sent. @returns how many there were */
  async redeliver(): Promise<number> {
    let count = 0;
    let after = {};
    for (;;) {
      const request = { status: ['disabled'], limit: 1_000, ...after };
      const answer = await this.#post('/v1/webhooks/deliveries/redeliver', request);
      const { redelivered, has_more, last_id } = Redelivered.parse(answer);
      count += redelivered;
      if (!has_more || last_id === null) return count;
      after = { after: last_id };
    }
  }

  async #get(path: string): Promise<unknown> {
    return (await this.#stack.client.call(path, { method: 'GET' })).body;
  }

  async #post(path: string, body?: unknown): Promise<unknown> {
    return (await this.#stack.client.call(path, { method: 'POST', body })).body;
  }
}
