import { modelRef } from '@headrace/shared/manifests.ts';
import { samplePart } from './documents.ts';
import { type EncodedDocument, encodeDocuments } from './encode.ts';
import { CPU_PARTS, type HttpRound, measureHttp, warmUp } from './http-round.ts';
import { type BenchContext, type Figure, findModel, type Part } from './part.ts';
import { bestBudget, type RawRound, startRawCeiling } from './raw-ceiling.ts';
import { medianFigure, quotients, sum } from './statistics.ts';
import { startSystem } from './system.ts';

const SIZES = {
  full: {
    documents: 2_000,
    trial: 600,
    rounds: 5,
    warmMs: 40_000,
    warmUpMs: 4_000,
    windowMs: 15_000,
  },
  quick: { documents: 300, trial: 100, rounds: 1, warmMs: 1_000, warmUpMs: 1_000, windowMs: 3_000 },
};

/**
 * Documents a second over HTTP against the raw ceiling, one after the other in each round. Both
 * take the same documents on the same cores; the client, the API and Redis share them. The
 * services have been at full load for as long as `warmMs` before, as in service.
 */
export function saturationOf(name: 'minilm' | 'sentiment'): Part {
  return async (context) => {
    const folder = findModel(context.models, name);
    if (folder === undefined) {
      context.say(`http_${name}: skipped, there is no folder models/${name}`);
      return [];
    }
    const sizes = context.quick ? SIZES.quick : SIZES.full;
    const rows = await encodeDocuments(folder, samplePart(context.documents, sizes.documents));
    const raw = await startRawCeiling(folder, context.lifecycle);
    const system = await startSystem(folder, 'onnx', context.lifecycle);
    const trial = idsOf(samplePart(rows, sizes.trial));
    const budget = await bestBudget(raw, trial, Math.min(2, sizes.rounds));
    context.say(`http_${name}: best raw budget ${budget} cells`);
    const task = { model: modelRef(folder.manifest), ...sizes, documents: rows };
    await warmUp(system, { ...task, ms: sizes.warmMs });
    const measured: Measured = { raw: [], http: [], base64: [] };
    for (let round = 1; round <= sizes.rounds; round++) {
      measured.raw.push(await raw.measure(idsOf(rows), budget));
      measured.http.push(await measureHttp(system, { ...task, parameters: {} }));
      if (folder.manifest.task === 'embeddings') {
        const parameters = { encoding_format: 'base64' };
        measured.base64.push(await measureHttp(system, { ...task, parameters }));
      }
      sayRound(context, `http_${name} ${round}/${sizes.rounds}`, measured);
    }
    return [...figuresOf(name, measured), one(`http_${name}.raw_budget_cells`, 'cells', budget)];
  };
}

interface Measured {
  raw: RawRound[];
  http: HttpRound[];
  base64: HttpRound[];
}

function idsOf(rows: readonly EncodedDocument[]): Int32Array[] {
  return rows.map(({ ids }) => ids);
}

function sayRound({ say }: BenchContext, label: string, { raw, http, base64 }: Measured): void {
  const [ceiling, reached, packed] = [raw.at(-1), http.at(-1), base64.at(-1)];
  if (ceiling === undefined || reached === undefined) return;
  const ratio = reached.documentsPerS / ceiling.documentsPerS;
  const more = packed === undefined ? '' : `, base64 ${packed.documentsPerS.toFixed(1)}`;
  const speeds = `raw ${ceiling.documentsPerS.toFixed(1)}, http ${reached.documentsPerS.toFixed(1)}`;
  const strangers = `${(100 * reached.strangers).toFixed(0)} % of the processors used by others`;
  say(`${label}: ${speeds}${more} documents/s, ${ratio.toFixed(3)}, ${strangers}`);
}

function figuresOf(name: string, { raw, http, base64 }: Measured): Figure[] {
  const speed = (rounds: { documentsPerS: number }[]) => rounds.map((each) => each.documentsPerS);
  const cpu = CPU_PARTS.map((part) =>
    medianFigure(
      `http_${name}.cpu_ms_per_job.${part}`,
      'ms',
      http.map(({ cpuMs }) => cpuMs[part]),
    ),
  );
  const rawCpu = raw.map(({ cpuMsPerDocument }) => cpuMsPerDocument);
  // What the ratio would be if processor time were all that counts: others on the machine, who
  // hit the many small turns of the services harder than one long run, blur it less.
  const httpCpu = http.map(({ cpuMs }) => sum(CPU_PARTS.map((part) => cpuMs[part])));
  const packed = [
    medianFigure(`http_${name}.base64_documents_per_s`, 'documents/s', speed(base64)),
    medianFigure(`http_${name}.base64_ratio`, '', quotients(speed(base64), speed(raw))),
  ];
  return [
    medianFigure(`ratios.http_${name}`, '', quotients(speed(http), speed(raw))),
    medianFigure(`http_${name}.raw_documents_per_s`, 'documents/s', speed(raw)),
    medianFigure(`http_${name}.documents_per_s`, 'documents/s', speed(http)),
    ...(base64.length > 0 ? packed : []),
    medianFigure(
      `http_${name}.padding_ratio`,
      '',
      http.map(({ paddingRatio }) => paddingRatio),
    ),
    medianFigure(`http_${name}.cpu_ratio`, '', quotients(rawCpu, httpCpu)),
    medianFigure(`http_${name}.raw_cpu_ms_per_document`, 'ms', rawCpu),
    ...cpu,
    medianFigure(
      `http_${name}.cpu_share_of_others`,
      '',
      http.map(({ strangers }) => strangers),
    ),
  ];
}

function one(name: string, unit: string, value: number): Figure {
  return { name, unit, value, rounds: [value] };
}
