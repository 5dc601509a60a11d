import type { PackedRows, RunValues } from './protocol.ts';

/** Runs rows inside the engine process. Throws what the runtime throws. */
export type Runner = (rows: PackedRows) => Promise<RunValues>;
