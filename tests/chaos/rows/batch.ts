import { BUNDLED_MODELS, TINY_MODELS } from '../../helpers/engines.ts';
import { spread } from '../harness/batch-kills.ts';
import { type BatchTrial, survive } from '../harness/batch-trial.ts';
import { type ChaosRow, type Figures, judge, type Scale } from '../harness/row.ts';

const TINY = { model: 'tiny-classifier', modelsDir: TINY_MODELS, tokenBudget: 32 };
/** Its numbers differ in their last bits between tensor batches of different shapes. */
const REAL = { model: 'sentiment', modelsDir: BUNDLED_MODELS, chunkRows: 100 };
const MIDDLE_ONLY = { planning: 0, assembling: 0, redisAtBothEnds: false };

const TRIALS: Record<Scale, BatchTrial[]> = {
  short: [
    {
      // So many that the last kill still finds rows to be run, also on a fast machine.
      ...{ ...TINY, rows: 20_000, chunkRows: 100 },
      plan: { ...MIDDLE_ONLY, scoring: ['redis', 'worker', 'engine', 'dispatcher', 'api'] },
    },
  ],
  quick: [
    {
      ...{ ...TINY, rows: 40_000, chunkRows: 250 },
      plan: {
        planning: 1,
        scoring: spread({ worker: 3, engine: 3, dispatcher: 2, api: 2, power: 1 }),
        assembling: 1,
        redisAtBothEnds: true,
      },
    },
    {
      ...{ ...REAL, rows: 2_000 },
      plan: { ...MIDDLE_ONLY, scoring: spread({ worker: 1, engine: 3 }) },
    },
  ],
  long: [
    {
      ...{ ...TINY, rows: 200_000, chunkRows: 500 },
      plan: {
        planning: 4,
        // Fifty with those of the dispatcher at both ends, and that of the API at the beginning.
        scoring: spread({ worker: 13, engine: 13, api: 9, dispatcher: 6, redis: 1, power: 1 }),
        assembling: 4,
        redisAtBothEnds: true,
      },
    },
    {
      ...{ ...REAL, rows: 6_000 },
      plan: { ...MIDDLE_ONLY, scoring: spread({ worker: 4, engine: 8, dispatcher: 1 }) },
    },
  ],
};

export const batch: ChaosRow = {
  row: 'batch',
  title: 'a batch of 200,000 rows; API, dispatcher, workers and engines killed in turn, and Redis',
  goal: 'files identical to the last byte; recomputed rows ≤ chunks in flight × kills; nothing left',
  plainBullmq: '–',
  headline: [
    ...['rows', 'kills', 'kills_of_redis', 'output_identical', 'rows_lost', 'rows_recomputed'],
    ...['rows_in_flight', 'sentiment_rows', 'sentiment_kills', 'sentiment_output_identical'],
  ],
  async run(context, scale) {
    const figures: Figures = {};
    const promises: Record<string, boolean> = {};
    for (const [i, trial] of TRIALS[scale].entries()) {
      const result = await survive(trial, context);
      const prefix = i === 0 ? '' : `${trial.model}_`;
      for (const [name, value] of Object.entries(result.figures)) figures[prefix + name] = value;
      for (const [name, held] of Object.entries(result.promises)) {
        promises[`${trial.model}: ${name}`] = held;
      }
    }
    return { figures, ...judge(promises), notes: NOTES };
  },
};

const NOTES = `The undisturbed run and the other have the same processes and the same input: CSV, of which every
997th row has no text. Kills of Redis "without last second" cut off what its file had grown by in
the second before, as a machine that loses its power may. Rows in flight: three chunks a worker that
was killed, and the chunks that a kill of Redis found begun, or done in the second that was cut off.`;
