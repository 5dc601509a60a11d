import { join } from 'node:path';
import type { Activity } from '@headrace/shared/activity.ts';
import type { ErrorCode } from '@headrace/shared/errors.ts';
import type { RowOutput } from '@headrace/shared/jobs.ts';
import type { Logger } from '@headrace/shared/logger.ts';
import { type ModelFolder, modelRef } from '@headrace/shared/manifests.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import { type BoundTask, bindTask } from '@headrace/shared/tasks/index.ts';
import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import type { ActivityMeter } from './activity-meter.ts';
import { createBatchTrace } from './batch-trace.ts';
import { Batcher, type BatchReport } from './batcher.ts';
import { EnginePool } from './engine/engine-pool.ts';
import type { RestartReason } from './engine/engine-seat.ts';
import type { EngineSpec } from './engine/protocol.ts';
import { warmUp } from './engine/warm-up.ts';
import { engineSpecOf, nullEngineSpecOf } from './engine-spec.ts';
import { type VerifiedModel, verifyModel } from './models.ts';
import { Pipeline } from './pipeline.ts';
import { PROVIDERS, type ProviderName } from './providers/index.ts';
import { type Speed, SpeedMeter } from './speed-meter.ts';
import type { TokenizerPool } from './tokenizer/tokenizer-pool.ts';

export interface RuntimeSettings {
  engine: 'onnx' | 'null';
  /** Of each null engine; 0: no limit. */
  nullCellsPerS: number;
  provider: ProviderName;
  deviceId: number;
  engines: number;
  threads: number;
  niceness: number;
  tokenBudget: number;
  overheadCells: number;
  maxQueueDelayMs: number;
  /** 0: derived at warm-up. */
  runTimeoutMs: number;
}

interface RuntimeDeps {
  folder: ModelFolder;
  variant: string;
  settings: RuntimeSettings;
  tokenizers: TokenizerPool;
  metrics: Metrics;
  activity: ActivityMeter;
  tracing?: Tracing | undefined;
  log: Logger;
}

/** A graph of a few hundred megabytes loads within it, several at once, from a slow disk. */
const START_TIMEOUT_MS = 120_000;
const SHORTEST_RUN_TIMEOUT_MS = 2_000;
/** Other processes of the machine may slow a run down by so much before it counts as hung. */
const RUN_TIMEOUT_FACTOR = 20;
const LATE_CHECK_MS = 250;
/** Counted from 0 on, so that the first restart is an increase. */
const RESTART_REASONS: RestartReason[] = ['crashed', 'killed', 'timed_out'];
/** By which a row fails; each is counted from 0, so that the first one is an increase. */
const ROW_ERRORS: ErrorCode[] = [
  ...(['text_too_long', 'empty_text', 'tokenizer_failed', 'row_crashed_engine'] as const),
  ...(['row_timed_out', 'non_finite_output', 'out_of_memory'] as const),
];

/** Everything of one model in a worker, from its files to its pipeline. */
export class ModelRuntime {
  readonly ref: string;
  readonly task: BoundTask;
  readonly #deps: RuntimeDeps;
  readonly #speed = new SpeedMeter();
  #pool: EnginePool | null = null;
  #batcher: Batcher | null = null;
  #lateCheck: NodeJS.Timeout | null = null;
  #warmTokensPerSecond: number | null = null;
  /** Cells of the smallest run that the device had no memory for. */
  #refusedCells: number | null = null;

  constructor(deps: RuntimeDeps) {
    this.#deps = deps;
    this.ref = modelRef(deps.folder.manifest);
    this.task = bindTask(deps.folder.manifest);
  }

  /** What results name: the variant of the manifest, or `null` for the null engine. */
  get variant(): string {
    return this.#deps.settings.engine === 'null' ? 'null' : this.#deps.variant;
  }

  /** False while every engine is down. */
  get healthy(): boolean {
    return this.#pool?.healthy ?? false;
  }

  /** What was done since the start, and with how many engines. */
  get activity(): Activity {
    const all = this.#deps.settings.engines;
    return this.#deps.activity.read({ all, ready: this.#pool?.readyEngines ?? 0 });
  }

  /** Of all engines together: what they did lately or, if nothing, at warm-up; null before. */
  get tokensPerSecond(): number | null {
    return this.speed.tokensPerSecond ?? this.#warmTokensPerSecond;
  }

  /** Of all engines together. */
  get speed(): Speed {
    const { tokensPerSecond, rowsPerSecond, paddingRatio } = this.#speed.read();
    const { engines } = this.#deps.settings;
    const ofAll = (speed: number | null) => (speed === null ? null : speed * engines);
    return {
      tokensPerSecond: ofAll(tokensPerSecond),
      rowsPerSecond: ofAll(rowsPerSecond),
      paddingRatio,
    };
  }

  /**
   * Verifies the files, loads tokenizer and engines, and proves them with the golden rows.
   * @throws ModelProblem, or an Error that names the model, when it must not be served
   */
  async start(): Promise<Pipeline> {
    const { folder, settings, tokenizers, variant } = this.#deps;
    const model = await verifyModel(folder, variant);
    const pool = this.#createPool(model);
    this.#pool = pool;
    const { manifest } = folder;
    await Promise.all([
      tokenizers.loadModel(this.ref, {
        path: join(folder.dir, 'tokenizer.json'),
        maxTokens: manifest.max_tokens,
        wantsTypeIds: manifest.inputs.includes('token_type_ids'),
      }),
      pool.start(),
    ]);
    const warm = await warmUp(pool, model, {
      tokenBudget: settings.tokenBudget,
      encode: async (text, text_pair) => {
        const row = await tokenizers.tokenize(this.ref, { text, text_pair }, 'truncate');
        return row.encodings[0]?.ids ?? new Int32Array();
      },
    });
    this.#warmTokensPerSecond = warm.tokensPerSecond;
    this.#batcher = this.#createBatcher(pool, warm.largestMs);
    if (this.#refusedCells !== null) this.#batcher.lowerBudget(this.#refusedCells);
    return this.#createPipeline(this.#batcher);
  }

  /** Kills the engines; what they run has no result. Idempotent. */
  async stop(): Promise<void> {
    if (this.#lateCheck !== null) clearInterval(this.#lateCheck);
    this.#batcher?.stop();
    await this.#pool?.stop();
  }

  #createPool(model: VerifiedModel): EnginePool {
    const { settings, metrics, activity, log, folder, variant } = this.#deps;
    const { engine_restarts, rows, rows_truncated, rows_failed } = metrics.counters;
    for (const counter of [rows, rows_truncated]) counter.inc({ model: this.ref }, 0);
    for (const reason of RESTART_REASONS) engine_restarts.inc({ model: this.ref, reason }, 0);
    for (const code of ROW_ERRORS) rows_failed.inc({ model: this.ref, code }, 0);
    return new EnginePool({
      spec: this.#specOf(model),
      engines: settings.engines,
      niceness: settings.niceness,
      startTimeoutMs: START_TIMEOUT_MS,
      log,
      beforeRestart: () => verifyModel(folder, variant),
      onRestart: (reason) => {
        engine_restarts.inc({ model: this.ref, reason });
        activity.addRestart();
      },
      onOutOfMemory: (cells) => this.#lowerBudget(cells),
    });
  }

  #specOf(model: VerifiedModel): EngineSpec {
    const { engine, nullCellsPerS, provider, deviceId, threads } = this.#deps.settings;
    if (engine === 'null') return nullEngineSpecOf(model.folder.manifest, nullCellsPerS);
    return engineSpecOf(model, PROVIDERS[provider], { threads, deviceId });
  }

  #createBatcher(pool: EnginePool, largestMs: number): Batcher {
    const { tokenBudget, overheadCells, maxQueueDelayMs, runTimeoutMs } = this.#deps.settings;
    const batcher = new Batcher({
      runner: pool,
      tokenBudget,
      overheadCells,
      maxQueueDelayMs,
      runTimeoutMs:
        runTimeoutMs || Math.max(SHORTEST_RUN_TIMEOUT_MS, RUN_TIMEOUT_FACTOR * largestMs),
      onBatch: (report) => this.#measure(report),
      trace: createBatchTrace(this.#deps.tracing, this.ref),
    });
    this.#lateCheck = setInterval(() => batcher.failLate(performance.now()), LATE_CHECK_MS);
    return batcher;
  }

  /** The device may refuse a run of the warm-up already, before there is a batcher. */
  #lowerBudget(cells: number): void {
    this.#refusedCells = Math.min(cells, this.#refusedCells ?? cells);
    this.#batcher?.lowerBudget(cells);
  }

  #createPipeline(batcher: Batcher): Pipeline {
    const { tokenizers, settings } = this.#deps;
    const { tokenBudget, overheadCells } = settings;
    return new Pipeline({
      tokenize: (row, overflow) => tokenizers.tokenize(this.ref, row, overflow),
      tokenizeAll: (rows) => tokenizers.tokenizeAll(this.ref, rows),
      batcher,
      limits: { tokenBudget, overheadCells },
      task: this.task,
      onRows: (rows) => this.#count(rows),
    });
  }

  #count(rows: readonly RowOutput[]): void {
    const { rows_truncated, rows_failed } = this.#deps.metrics.counters;
    const model = this.ref;
    for (const { truncated, error } of rows) {
      if (truncated) rows_truncated.inc({ model });
      if (error !== undefined) rows_failed.inc({ model, code: error.code });
    }
  }

  #measure(report: BatchReport): void {
    const { counters, histograms } = this.#deps.metrics;
    const model = this.ref;
    this.#speed.add(report);
    this.#deps.activity.addBatch(report);
    counters.rows.inc({ model }, report.rows);
    counters.tokens.inc({ model }, report.tokens);
    counters.cells.inc({ model, kind: 'real' }, report.tokens);
    counters.cells.inc({ model, kind: 'padded' }, report.cells - report.tokens);
    histograms.batch_rows.observe({ model }, report.rows);
    histograms.batch_infer_seconds.observe({ model }, report.inferMs / 1000);
  }
}
