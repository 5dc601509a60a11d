/** How long after another flow was seen a model counts as shared. */
const REMEMBERED_MS = 60_000;
/**
 * How long a run may take while flows share a model: a row that comes in its midst waits for its end
 * and for its own run. The shorter, the sooner; the longer, the more rows share the cost of a run.
 */
const SHARED_RUN_MS = 8;
/** The weight of the newest run in what is known of the speed. */
const NEWEST = 0.1;

/**
 * Whether several flows, a tenant's jobs of one class each, ask for a model, and how large a tensor
 * batch may be then.
 */
export class Sharing {
  #flow: string | null = null;
  #untilMs = Number.NEGATIVE_INFINITY;
  #cellsPerMs: number | null = null;

  isShared(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  see(flow: string, nowMs: number): void {
    if (flow === this.#flow) return;
    if (this.#flow !== null) this.#untilMs = nowMs + REMEMBERED_MS;
    this.#flow = flow;
  }

  learn(cells: number, inferMs: number): void {
    if (inferMs <= 0) return;
    const speed = cells / inferMs;
    const known = this.#cellsPerMs ?? speed;
    this.#cellsPerMs = known + NEWEST * (speed - known);
  }

  /** Padded cells of a run, at most `budget`. */
  budget(budget: number, nowMs: number): number {
    if (this.#cellsPerMs === null || !this.isShared(nowMs)) return budget;
    return Math.max(1, Math.min(budget, Math.floor(this.#cellsPerMs * SHARED_RUN_MS)));
  }
}
