import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@headrace/shared/logger.ts';
import { type DeliveryDetail, DeliveryDetailSchema } from '@headrace/shared/webhooks/delivery.ts';
import { compose, type DispatcherService } from '../../apps/dispatcher/src/compose.ts';
import { parseDispatcherConfig } from '../../apps/dispatcher/src/config.ts';
import { startTestApi, type TestApi } from './api.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { startRedis } from './redis.ts';

/** The API, a dispatcher, and who is called back, in one process around a real Redis. */
export interface WebhookSystem {
  api: TestApi;
  receiver: Receiver;
  /** Asked for over HTTP. */
  delivery(id: string): Promise<DeliveryDetail>;
  /** The delivery of a job or batch. */
  deliveryOf(of: string): Promise<DeliveryDetail>;
  /** Waits until a delivery is as it should be. */
  until(id: string, fits: (delivery: DeliveryDetail) => boolean): Promise<DeliveryDetail>;
  /** Submits a job that calls back, and finishes it. @returns its id, and its delivery's */
  finishedJob(path: string, finish?: Parameters<TestApi['finish']>[1]): Promise<FinishedJob>;
  post(path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  startDispatcher(env?: Record<string, string>): Promise<DispatcherService>;
  /** Stops those that have run longest. */
  stopDispatchers(count: number): Promise<void>;
  stop(): Promise<void>;
}

interface FinishedJob {
  job: string;
  delivery: string;
}

const DEADLINE_MS = 30_000;

/** @param env of API and dispatcher, on top of a schedule without waits */
export async function startWebhookSystem(env: Record<string, string> = {}): Promise<WebhookSystem> {
  const redis = await startRedis();
  const receiver = await startReceiver();
  const rules = {
    HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
    HEADRACE_WEBHOOK_PORTS: String(receiver.port),
    HEADRACE_WEBHOOK_SCHEDULE_S: '0,0,0',
    ...env,
  };
  const api = await startTestApi(redis.url, rules);
  const dispatchers: DispatcherService[] = [];
  const startDispatcher = async (own: Record<string, string> = {}) => {
    const config = parseDispatcherConfig({
      REDIS_URL: redis.url,
      HEADRACE_PREFIX: api.keys.prefix,
      HEADRACE_BLOBS: api.folder,
      HEADRACE_DISPATCHER_PROBES_PORT: '0',
      ...rules,
      ...own,
    });
    const log = createLogger({ service: 'test', level: 'silent' });
    const dispatcher = await compose(config, log);
    dispatchers.push(dispatcher);
    return dispatcher;
  };
  const stopDispatchers = async (count: number) => {
    await Promise.all(dispatchers.splice(0, count).map((dispatcher) => dispatcher.stop()));
  };
  await startDispatcher();
  return {
    ...{ api, receiver, startDispatcher, stopDispatchers },
    ...createAsking(api, receiver),
    async stop() {
      await stopDispatchers(dispatchers.length);
      await api.stop();
      await receiver.stop();
      await redis.stop();
    },
  };
}

function createAsking(api: TestApi, receiver: Receiver) {
  async function delivery(id: string): Promise<DeliveryDetail> {
    const { status, body } = await api.send(`/v1/webhooks/deliveries/${id}`);
    assert.equal(status, 200, JSON.stringify(body));
    return DeliveryDetailSchema.parse(body);
  }

  async function deliveryOf(of: string): Promise<DeliveryDetail> {
    const kind = of.startsWith('job_') ? 'job' : 'batch';
    const { body } = await api.send(`/v1/webhooks/deliveries?${kind}=${of}`);
    const found = JSON.parse(JSON.stringify(body)).data[0];
    assert.ok(found, `${of} has no delivery`);
    return delivery(found.id);
  }

  async function until(id: string, fits: (found: DeliveryDetail) => boolean) {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const found = await delivery(id);
      if (fits(found)) return found;
      assert.ok(Date.now() < deadline, `still ${JSON.stringify(found)}`);
      await sleep(10);
    }
  }

  async function finishedJob(path: string, finish?: Parameters<TestApi['finish']>[1]) {
    const job = await api.submit({ input: 'a', webhook: { url: receiver.url(path) } });
    assert.equal(await api.finish(job, finish), true);
    return { job: job.id, delivery: (await deliveryOf(job.id)).id };
  }

  const post = (path: string, body?: unknown) =>
    api.send(path, { method: 'POST', ...(body === undefined ? {} : { body }) });

  return { delivery, deliveryOf, until, finishedJob, post };
}
