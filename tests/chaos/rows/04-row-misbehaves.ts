import { inSeconds, largest, rounded } from '../harness/figures.ts';
import type { JobView } from '../harness/job-client.ts';
import { inLanes, type Outcome, tally } from '../harness/load.ts';
import { type ChaosRow, type Figures, judge, type Scale } from '../harness/row.ts';
import { countStalls, type Stack, startStack, workerMetric } from '../harness/stack.ts';
import { createTexts } from '../harness/texts.ts';
import { makeThrowingModels, THROWING_WORD } from '../harness/throwing-model.ts';

const NEIGHBOURS: Record<Scale, number> = { short: 7, quick: 63, long: 63 };
const DEADLINE_MS = 1_000;
/** What the deadline may be passed by until the engine is gone. */
const DEADLINE_SLACK_MS = 500;

interface Fault {
  name: string;
  model: string;
  word: string;
  code: string;
}

const FAULTS: Fault[] = [
  { name: 'throws', model: 'tiny-thrower', word: THROWING_WORD, code: 'row_crashed_engine' },
  { name: 'nan', model: 'tiny-poison', word: 'nan', code: 'non_finite_output' },
  { name: 'hangs', model: 'tiny-poison', word: 'hang', code: 'row_timed_out' },
];

export const rowMisbehaves: ChaosRow = {
  row: 4,
  title: 'a row that throws, gives NaN, or hangs',
  goal: 'only that row fails; the hang is killed at its deadline',
  plainBullmq: 'all in the batch fail',
  headline: [
    'throws_innocent_failed',
    'nan_innocent_failed',
    'hangs_innocent_failed',
    'hung_run_lasts_s',
  ],
  async run({ say }, scale) {
    const models = await makeThrowingModels();
    await using cleanUp = new AsyncDisposableStack();
    cleanUp.defer(models.remove);
    await using stack = await startStack({
      models: ['tiny-poison', 'tiny-thrower'],
      modelsDir: models.dir,
      workerEnv: { HEADRACE_RUN_TIMEOUT_MS: String(DEADLINE_MS) },
    });
    const results: FaultResult[] = [];
    for (const fault of FAULTS) {
      results.push(await inflict(stack, fault, NEIGHBOURS[scale]));
      say(`a row that ${fault.name} is done`);
    }

    const killed = await killedRuns(stack);
    const hungMs = largest(results.map(({ hungRunMs }) => hungRunMs));
    const stalls = countStalls(stack);
    return {
      figures: {
        ...Object.assign({}, ...results.map(({ figures }) => figures)),
        hung_runs_killed: killed,
        hung_run_lasts_s: inSeconds(hungMs),
        stalls,
      },
      ...judge(
        {
          ...Object.assign({}, ...results.map(({ promises }) => promises)),
          'hung runs are killed': killed > 0,
          'nothing stalls': stalls === 0,
        },
        { 'killed at the deadline of 1 s': hungMs <= DEADLINE_MS + DEADLINE_SLACK_MS },
      ),
      notes: `The deadline of a run was ${rounded(DEADLINE_MS / 1000)} s.`,
    };
  },
};

interface FaultResult {
  figures: Figures;
  promises: Record<string, boolean>;
  /** How long each run that was killed lasted, on average. */
  hungRunMs: number;
}

/** One bad row among its neighbours: jobs of one row each, and one job that holds them all. */
async function inflict(stack: Stack, fault: Fault, neighbours: number): Promise<FaultResult> {
  const { client } = stack;
  const next = createTexts(4);
  const texts = Array.from({ length: neighbours }, next);
  const bad = `${next()} ${fault.word}`;
  const { model, name } = fault;
  const killedBefore = await killedRuns(stack);
  const ids = await inLanes([bad, ...texts], (input) => client.submit({ model, input }));
  const [culprit, ...innocent] = await inLanes(
    ids,
    async (id): Promise<Outcome> => ({ id, job: await client.untilFinished(id) }),
  );
  const killed = (await killedRuns(stack)) - killedBefore;
  const together = await client.submit({ model, input: [...texts, bad] });
  const rows = rowErrors(await client.untilFinished(together));
  const alone = tally(innocent);
  const code = culprit?.job?.error?.code ?? culprit?.job?.status ?? 'lost';
  const innocentRows = rows.slice(0, -1).filter((error) => error !== null).length;
  return {
    figures: {
      [`${name}_ends_as`]: code,
      [`${name}_innocent_failed`]: alone.jobs - alone.succeeded + innocentRows,
    },
    promises: {
      [`the row that ${name} fails with ${fault.code}`]:
        code === fault.code && rows.at(-1) === fault.code,
      [`its neighbours succeed (${name})`]:
        alone.succeeded === neighbours && innocentRows === 0 && rows.length === neighbours + 1,
    },
    hungRunMs: killed === 0 ? 0 : (culprit?.job?.timings?.infer_ms ?? 0) / killed,
  };
}

/** Runs that were killed at their deadline so far. */
async function killedRuns({ workers: [worker] }: Stack): Promise<number> {
  if (!worker) throw new Error('there is no worker');
  return workerMetric(worker, 'headrace_engine_restarts_total', 'timed_out');
}

/** The code of each row of a job, null for an answer. */
function rowErrors(job: JobView | null): (string | null)[] {
  return job?.output?.map(({ error }) => error?.code ?? null) ?? [];
}
