import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';

/** What the figures were measured on. */
export interface Machine {
  cpu: string;
  cores: number;
  memory_gib: number;
  system: string;
  node: string;
  redis: string;
  onnxruntime: string;
  bullmq: string;
  /** Of the last minute, before the benchmark began: far from 0, others were at work. */
  load_before: number;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory_gib: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
    redis: redisVersion(),
    onnxruntime: versionOf('onnxruntime-node'),
    bullmq: versionOf('bullmq'),
    load_before: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

function redisVersion(): string {
  const binary = process.env.REDIS_SERVER || 'redis-server';
  return /v=(\S+)/.exec(execFileSync(binary, ['--version'], { encoding: 'utf8' }))?.[1] ?? '';
}

function versionOf(name: string): string {
  const entry = createRequire(import.meta.url).resolve(name);
  const folder = entry.slice(0, entry.lastIndexOf(`/${name}/`) + name.length + 2);
  return JSON.parse(readFileSync(`${folder}package.json`, 'utf8')).version;
}
