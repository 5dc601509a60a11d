import type { ChaosRow } from '../harness/row.ts';
import { workerKilled } from './01-worker-killed.ts';
import { engineKilled } from './02-engine-killed.ts';
import { rowCrashesEngine } from './03-row-crashes-engine.ts';
import { rowMisbehaves } from './04-row-misbehaves.ts';
import { redisAway } from './06-redis-away.ts';
import { failover } from './07-failover.ts';
import { cpuBlocked } from './10-cpu-blocked.ts';
import { rollingSigterm } from './11-rolling-sigterm.ts';
import { sigtermWhileHung } from './12-sigterm-while-hung.ts';
import { callbacks } from './16-callbacks.ts';
import { insideReceivers } from './17-inside-receivers.ts';
import { signatures } from './18-signatures.ts';
import { tokenizerWorstCase } from './21-tokenizer-worst-case.ts';
import { batch } from './batch.ts';
import { soak } from './soak.ts';

/** Every row of the table, in its order. */
export const ROWS: ChaosRow[] = [
  ...[workerKilled, engineKilled, rowCrashesEngine, rowMisbehaves, redisAway, failover],
  ...[
    cpuBlocked,
    rollingSigterm,
    sigtermWhileHung,
    callbacks,
    insideReceivers,
    signatures,
    tokenizerWorstCase,
    soak,
    batch,
  ],
];
