import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { modelRef } from '@headrace/shared/manifests.ts';
import { startBenchProcess } from './bench-process.ts';
import { CPU_PARTS, measureHttp, warmUp } from './http-round.ts';
import { defaultModel, type Part } from './part.ts';
import { medianFigure, quotients } from './statistics.ts';
import { type ServiceEnv, startSystem } from './system.ts';

const SIZES = {
  full: { jobs: 30_000, rounds: 5, warmMs: 8_000, warmUpMs: 2_000, windowMs: 6_000 },
  quick: { jobs: 3_000, rounds: 2, warmMs: 1_000, warmUpMs: 500, windowMs: 1_500 },
};

/**
 * Everything but the model: one text a job over HTTP with `Prefer: wait`, 256 in flight, through a
 * worker whose engines answer zeros at once. Against it, on the same Redis, bare BullMQ: one process
 * adds N jobs with an id and a priority, 64 under way, then another completes them with a processor
 * that does nothing, 256 at once; the time is that of both, as where the target comes from.
 */
export const nullEngine: Part = async ({ quick, models, documents, say, lifecycle }) => {
  const { jobs, rounds, warmMs, ...times } = quick ? SIZES.quick : SIZES.full;
  const folder = defaultModel(models);
  const model = modelRef(folder.manifest);
  const system = await startSystem(folder, 'null', lifecycle);
  const bare = await startBareLoop(
    system.env,
    documents.map(({ text }) => ({ model, input: text })),
    lifecycle,
  );
  await bare(jobs);
  await warmUp(system, { model, documents, ms: warmMs });
  const measured = {
    bare: [] as BareLoop[],
    ours: [] as Awaited<ReturnType<typeof measureHttp>>[],
  };
  for (let round = 1; round <= rounds; round++) {
    measured.bare.push(await bare(jobs));
    measured.ours.push(await measureHttp(system, { model, documents, parameters: {}, ...times }));
    const [a, b] = [measured.bare.at(-1)?.jobsPerS ?? 0, measured.ours.at(-1)?.jobsPerS ?? 0];
    say(`null_engine ${round}/${rounds}: bare ${a.toFixed(0)}, ours ${b.toFixed(0)} jobs/s`);
  }
  const ours = measured.ours.map(({ jobsPerS }) => jobsPerS);
  const bareOf = (rate: keyof BareLoop) => measured.bare.map((loop) => loop[rate]);
  return [
    medianFigure('ratios.null_engine', '', quotients(ours, bareOf('jobsPerS'))),
    medianFigure('null_engine.bare_per_s', 'jobs/s', bareOf('jobsPerS')),
    medianFigure('null_engine.bare_add_per_s', 'jobs/s', bareOf('addsPerS')),
    medianFigure('null_engine.bare_complete_per_s', 'jobs/s', bareOf('completionsPerS')),
    medianFigure('null_engine.jobs_per_s', 'jobs/s', ours),
    ...CPU_PARTS.map((part) =>
      medianFigure(
        `null_engine.cpu_ms_per_job.${part}`,
        'ms',
        measured.ours.map(({ cpuMs }) => cpuMs[part]),
      ),
    ),
  ];
};

/** Jobs per second of the whole loop, and of its two halves. */
interface BareLoop {
  jobsPerS: number;
  addsPerS: number;
  completionsPerS: number;
}

/** @returns a function that runs the loop once with so many jobs */
async function startBareLoop(
  env: ServiceEnv,
  jobs: object[],
  lifecycle: Lifecycle,
): Promise<(count: number) => Promise<BareLoop>> {
  const worker = startBenchProcess('bare-worker', lifecycle);
  const producer = startBenchProcess('bare-producer', lifecycle);
  worker.send(env);
  producer.send({ env, jobs });
  await Promise.all([worker.next(), producer.next()]);
  return async (count) => {
    producer.send({ count });
    const addS = Number(await producer.next()) / 1000;
    worker.send({ count });
    const completeS = Number(await worker.next()) / 1000;
    return {
      jobsPerS: count / (addS + completeS),
      addsPerS: count / addS,
      completionsPerS: count / completeS,
    };
  };
}
