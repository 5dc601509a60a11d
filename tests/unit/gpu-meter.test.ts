import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { createLogger } from '@headrace/shared/logger.ts';
import { createMetrics } from '@headrace/shared/metrics.ts';
import { createGpuTick, parseGpus } from '../../apps/worker/src/gpu-meter.ts';

const folder = mkdtempSync(join(tmpdir(), 'headrace-gpu-'));
after(() => rmSync(folder, { recursive: true }));

/** A program in place of the driver's. */
function programThat(name: string, does: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${does}\n`);
  chmodSync(path, 0o755);
  return path;
}

function meter(program: string, timeoutMs = 5_000) {
  const metrics = createMetrics();
  const log = createLogger({ service: 'worker', level: 'silent' });
  const tick = createGpuTick({ metrics, log, program, timeoutMs });
  const values = async () => {
    const lines = (await metrics.registry.metrics()).split('\n');
    return lines.filter((line) => line.startsWith('headrace_gpu_'));
  };
  return { metrics, tick, values };
}

describe('what nvidia-smi prints', () => {
  test('is a GPU a line; what it does not support is unknown', () => {
    const csv =
      '0, GPU-2f1b, 37, 1024, 81559\n1, GPU-77aa, [N/A], [Not Supported], 81559\n\nWARN\n';
    const totalBytes = 81_559 * 2 ** 20;
    assert.deepEqual(parseGpus(csv), [
      { gpu: '0', uuid: 'GPU-2f1b', utilization: 0.37, usedBytes: 2 ** 30, totalBytes },
      { gpu: '1', uuid: 'GPU-77aa', utilization: null, usedBytes: null, totalBytes },
    ]);
  });
});

describe('the measurement of GPUs', () => {
  test('asks for what it reads, and shows it', async () => {
    const print = 'test "$2" = --format=csv,noheader,nounits && echo "0, GPU-2f1b, 50, 1, 2"';
    const { metrics, tick, values } = meter(programThat('smi', print));
    await tick();
    assert.deepEqual(await values(), [
      'headrace_gpu_utilization_ratio{gpu="0",uuid="GPU-2f1b"} 0.5',
      'headrace_gpu_memory_used_bytes{gpu="0",uuid="GPU-2f1b"} 1048576',
      'headrace_gpu_memory_total_bytes{gpu="0",uuid="GPU-2f1b"} 2097152',
    ]);
    metrics.stop();
  });

  test('shows nothing any more when the driver fails or does not answer', async () => {
    const once = `test -e ${folder}/asked && exec sleep 60; touch ${folder}/asked`;
    const program = programThat('hangs', `${once}; echo "0, GPU-2f1b, 50, 1, 2"`);
    const { metrics, tick, values } = meter(program, 100);
    await tick().catch(() => undefined);
    await assert.rejects(tick());
    assert.deepEqual(await values(), []);
    metrics.stop();
  });

  test('does nothing where there is no such program', async () => {
    const { metrics, tick, values } = meter(join(folder, 'absent'));
    await tick();
    programThat('absent', 'echo "0, GPU-2f1b, 50, 1, 2"');
    await tick();
    assert.deepEqual(await values(), []);
    metrics.stop();
  });
});
