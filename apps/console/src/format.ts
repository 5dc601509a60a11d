const plain = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export const NOTHING = '–';

/** `12,345` */
export function count(value: number | null | undefined): string {
  return value == null ? NOTHING : plain.format(value);
}

/** `9.4`, `312`, `12.3K` */
export function amount(value: number | null | undefined): string {
  if (value == null) return NOTHING;
  if (Math.abs(value) >= 10_000) return compact.format(value);
  return (Math.abs(value) < 100 ? tenths : plain).format(value);
}

/** @param share 0 to 1 */
export function percent(share: number | null | undefined): string {
  return share == null ? NOTHING : `${tenths.format(share * 100)} %`;
}

/** `0.4 ms`, `12 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min` */
export function duration(ms: number | null | undefined): string {
  if (ms == null) return NOTHING;
  if (ms < 1_000) return `${(ms < 10 ? tenths : plain).format(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${(s < 10 ? tenths : plain).format(s)} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(s % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

export function seconds(s: number | null | undefined): string {
  return s == null ? NOTHING : duration(s * 1000);
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];

export function bytes(value: number | null | undefined): string {
  if (value == null) return NOTHING;
  let rest = value;
  let unit = 0;
  while (rest >= 1_000 && unit < UNITS.length - 1) {
    rest /= 1_000;
    unit += 1;
  }
  return `${(rest < 10 && unit > 0 ? tenths : plain).format(rest)} ${UNITS[unit]}`;
}

const date = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

export function fullTime(unixS: number): string {
  return date.format(new Date(unixS * 1000));
}

/** `12 s ago`, `in 3 h 20 min` */
export function relative(unixS: number | null | undefined, nowMs: number): string {
  if (unixS == null) return NOTHING;
  const ms = nowMs - unixS * 1000;
  if (Math.abs(ms) < 1_500) return 'now';
  const rough = duration(Math.max(1_000, Math.floor(Math.abs(ms) / 1000) * 1000))
    .split(' ')
    .slice(0, 2);
  return ms > 0 ? `${rough.join(' ')} ago` : `in ${rough.join(' ')}`;
}
