/** The value below which a share `p` (0 to 1) of the values lies; 0 of none. */
export function percentile(values: number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(p * sorted.length) - 1)] ?? sorted[0] ?? 0;
}

export function largest(values: Iterable<number>): number {
  let max = 0;
  for (const value of values) max = Math.max(max, value);
  return max;
}

export function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** Milliseconds as seconds with two decimals. */
export function inSeconds(ms: number): number {
  return Math.round(ms / 10) / 100;
}

export function rounded(value: number, decimals = 1): number {
  return Number(value.toFixed(decimals));
}
