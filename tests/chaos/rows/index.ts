import type { ChaosRow } from '../harness/row.ts';
import { workerKilled } from './01-worker-killed.ts';
import { engineKilled } from './02-engine-killed.ts';
import { rowCrashesEngine } from './03-row-crashes-engine.ts';
import { rowMisbehaves } from './04-row-misbehaves.ts';
import { redisKilled } from './05-redis-killed.ts';
import { redisAway } from './06-redis-away.ts';
import { failover } from './07-failover.ts';
import { halfOpen } from './08-half-open.ts';
import { redisFull } from './09-redis-full.ts';
import { cpuBlocked } from './10-cpu-blocked.ts';
import { rollingSigterm } from './11-rolling-sigterm.ts';
import { sigtermWhileHung } from './12-sigterm-while-hung.ts';
import { idempotency } from './13-idempotency.ts';
import { hostileNames } from './14-hostile-names.ts';
import { foreignIds } from './15-foreign-ids.ts';
import { callbacks } from './16-callbacks.ts';
import { insideReceivers } from './17-inside-receivers.ts';
import { signatures } from './18-signatures.ts';
import { hostileBodiesRow } from './19-hostile-bodies.ts';
import { slowSockets } from './20-slow-sockets.ts';
import { tokenizerWorstCase } from './21-tokenizer-worst-case.ts';
import { rateLimit } from './22-rate-limit.ts';
import { noisyTenant } from './23-noisy-tenant.ts';
import { canary } from './25-canary.ts';
import { batch } from './batch.ts';
import { requests } from './requests.ts';
import { rolling } from './rolling.ts';
import { soak } from './soak.ts';

/** Every row of the table, in its order. */
export const ROWS: ChaosRow[] = [
  ...[workerKilled, engineKilled, rowCrashesEngine, rowMisbehaves, redisKilled, redisAway],
  ...[failover, halfOpen, redisFull, cpuBlocked, rollingSigterm, sigtermWhileHung, idempotency],
  ...[hostileNames, foreignIds, callbacks, insideReceivers, signatures, hostileBodiesRow],
  ...[slowSockets, tokenizerWorstCase, rateLimit, noisyTenant, canary],
  ...[soak, batch, requests, rolling],
];
