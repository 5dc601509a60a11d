import { readdirSync, readFileSync } from 'node:fs';

/** The kernel counts in hundredths of a second, whatever the hardware does. */
const TICK_MS = 10;
/** Positions after the name of the process, see proc(5). */
const USER = 11;
const SYSTEM = 12;
/** Of the first line of /proc/stat. */
const IDLE = 3;
const IO_WAIT = 4;

/** Processor time that a process has used, all threads; 0 where there is no /proc. */
export function processCpuMs(pid: number): number {
  return cpuMsOf(`/proc/${pid}/stat`);
}

/** Of the main thread alone. */
export function mainThreadCpuMs(pid: number): number {
  return cpuMsOf(`/proc/${pid}/task/${pid}/stat`);
}

/** Time that the processors of the machine were not idle, whoever used them. */
export function machineCpuMs(): number {
  const counts = (read('/proc/stat').split('\n')[0] ?? '').split(/\s+/).slice(1, 9).map(Number);
  const busy = counts.filter((_, i) => i !== IDLE && i !== IO_WAIT);
  return busy.reduce((a, b) => a + b, 0) * TICK_MS;
}

/** Processes that `pid` has started, of any of its threads. */
export function childPids(pid: number): number[] {
  return threadsOf(pid).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function cpuMsOf(path: string): number {
  const stat = read(path);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[USER] ?? 0) + Number(fields[SYSTEM] ?? 0)) * TICK_MS;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
