import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os';

/** When, how and on what figures came about. */
export interface RunFacts {
  date: string;
  command: string;
  machine: string;
}

/** Call it at the start: how busy the machine is with other things is part of the figures. */
export function describeRun(rows: string | null): RunFacts {
  const command = rows === null ? 'npm run chaos' : `npm run chaos -- --rows ${rows}`;
  const date = new Date().toISOString().slice(0, 10);
  return { date, command, machine: describeMachine() };
}

function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const redis = /v=([\d.]+)/.exec(redisVersion())?.[1] ?? 'unknown';
  return [
    `${availableParallelism()} cores (${model}, load ${loadavg()[0]?.toFixed(1)} before)`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `${platform()} ${process.arch}`,
    `Node ${process.versions.node}`,
    `Redis ${redis}`,
  ].join(', ');
}

function redisVersion(): string {
  const binary = process.env.REDIS_SERVER || 'redis-server';
  return execFileSync(binary, ['--version'], { encoding: 'utf8' });
}
