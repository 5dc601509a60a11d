import { startWorker } from '../tests/helpers/processes.ts';
import { findModel, type Part } from './part.ts';
import { medianFigure } from './statistics.ts';
import { startBenchRedis } from './system.ts';

const BUNDLED = ['minilm', 'sentiment'];
const ROUNDS = { full: 5, quick: 2 };

/** From the start of a worker's process until it says that it takes jobs of both bundled models. */
export const readiness: Part = async ({ quick, models, say, lifecycle }) => {
  const served = BUNDLED.filter((name) => findModel(models, name) !== undefined);
  const bench = await startBenchRedis(lifecycle);
  const env = {
    ...bench.env,
    HEADRACE_MODELS: served.join(','),
    HEADRACE_PROBES_PORT: '0',
  };
  const seconds: number[] = [];
  for (let round = 0; round < (quick ? ROUNDS.quick : ROUNDS.full); round++) {
    const began = performance.now();
    const worker = await startWorker({ env });
    seconds.push((performance.now() - began) / 1000);
    await worker.stop();
  }
  say(`ready with ${served.join(' and ')}: ${seconds.map((s) => s.toFixed(2)).join(', ')} s`);
  return [medianFigure('ready_s', 's', seconds)];
};
