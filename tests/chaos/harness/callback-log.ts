import type { ServerResponse } from 'node:http';
import { Webhook } from 'standardwebhooks';
import type { Received, Receiver } from '../../helpers/receiver.ts';

type Answer = (response: ServerResponse) => void;

const RETRY_AFTER_S = 3;
/** What the receiver does with the first attempt of each callback; it takes the second one. */
const FAULTS: Record<string, Answer> = {
  '/500': (response) => response.writeHead(500).end(),
  '/429': (response) => response.writeHead(429, { 'retry-after': String(RETRY_AFTER_S) }).end(),
  '/302': (response) => response.writeHead(302, { location: '/elsewhere' }).end(),
  '/hangs': () => undefined,
  '/closes': (response) => response.destroy(),
};
export const FAULT_PATHS = Object.keys(FAULTS);
/** Answers 410 until it is told otherwise. */
export const GONE_PATH = '/410';
export const GOOD_PATH = '/good';

/** So long a good answer takes, so that a kill finds callbacks on their way. */
const ANSWER_MS = 20;
/** A timestamp that is older was not made for its attempt. */
const FRESH_MS = 60_000;

interface CallbackLogOptions {
  receiver: Receiver;
  secret: string;
  /** Least wait between the first two attempts of a callback. */
  waitMs: number;
}

/** Stands behind a receiver, does what each path asks for, and checks each callback. */
export class CallbackLog {
  /** How often each job's callback was answered with 2xx. */
  readonly taken = new Map<string, number>();
  /** The different `webhook-id`s of each job. */
  readonly ids = new Map<string, Set<string>>();
  received = 0;
  /** Callbacks that the verifier of Standard Webhooks refuses. */
  unsigned = 0;
  /** Callbacks whose timestamp is not that of the attempt. */
  stale = 0;
  /** Second attempts before their time. */
  early = 0;
  gone = true;
  readonly #first = new Map<string, number>();
  readonly #verifier: Webhook;
  readonly #waitMs: number;

  constructor({ receiver, secret, waitMs }: CallbackLogOptions) {
    this.#verifier = new Webhook(secret);
    this.#waitMs = waitMs;
    receiver.on(GOOD_PATH, (response, _, received) => this.#take(response, received));
    receiver.on(GONE_PATH, (response, _, received) => {
      if (!this.gone) return this.#take(response, received);
      this.#note(received);
      response.writeHead(410).end();
    });
    for (const [path, fail] of Object.entries(FAULTS)) {
      receiver.on(path, (response, attempt, received) => {
        if (attempt > 1) return this.#takeAgain(response, received);
        this.#note(received);
        this.#first.set(received.id, received.atMs);
        fail(response);
      });
    }
  }

  /** Callbacks that were taken beyond the first of each job. */
  get duplicates(): number {
    let duplicates = 0;
    for (const times of this.taken.values()) duplicates += times - 1;
    return duplicates;
  }

  #takeAgain(response: ServerResponse, received: Received): void {
    const first = this.#first.get(received.id);
    const waitMs = received.path === '/429' ? RETRY_AFTER_S * 1000 : this.#waitMs;
    if (first !== undefined && received.atMs - first < waitMs) this.early += 1;
    this.#first.delete(received.id);
    this.#take(response, received);
  }

  #take(response: ServerResponse, received: Received): void {
    this.#note(received);
    this.taken.set(received.of, (this.taken.get(received.of) ?? 0) + 1);
    setTimeout(() => response.writeHead(204).end(), ANSWER_MS);
  }

  #note({ id, of, headers, body, atMs }: Received): void {
    this.received += 1;
    this.ids.set(of, (this.ids.get(of) ?? new Set()).add(id));
    const timestamp = String(headers['webhook-timestamp']);
    const signature = String(headers['webhook-signature']);
    const signed = { 'webhook-id': id, 'webhook-timestamp': timestamp };
    try {
      this.#verifier.verify(body, { ...signed, 'webhook-signature': signature });
    } catch {
      this.unsigned += 1;
    }
    if (Math.abs(Number(timestamp) * 1000 - atMs) > FRESH_MS) this.stale += 1;
  }
}
