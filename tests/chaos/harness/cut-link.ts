import type { ServiceProcess } from '../../helpers/processes.ts';
import { probesUrl, type Stack } from './stack.ts';
import { startTcpSwitch, type TcpSwitch } from './tcp-switch.ts';

/** The only way between one worker and Redis, which can be cut so that neither end is told. */
export interface CutLink extends AsyncDisposable {
  /** What Redis needs to be reached over it. */
  redisSettings: Record<string, string>;
  startWorker(stack: Stack): Promise<LinkedWorker>;
  /** From now on nothing gets through, in either direction; nothing is closed. */
  cut(): Promise<void>;
  heal(): Promise<void>;
}

/** A worker behind a link. Its probes are reached on another way. */
export interface LinkedWorker {
  worker: ServiceProcess;
  probesUrl: string;
}

/** A relay on loopback: needs no rights, but both kernels still acknowledge what is sent. */
export function createRelayLink(): CutLink {
  let relay: TcpSwitch | null = null;
  return {
    redisSettings: {},
    async startWorker(stack) {
      relay = await startTcpSwitch(Number(new URL(stack.redis.url).port));
      const worker = await stack.startWorker({ REDIS_URL: `redis://127.0.0.1:${relay.port}` });
      return { worker, probesUrl: await probesUrl(worker) };
    },
    cut: async () => relay?.hold(),
    heal: async () => relay?.release(),
    [Symbol.asyncDispose]: async () => relay?.stop(),
  };
}
