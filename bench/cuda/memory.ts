import { execFileSync } from 'node:child_process';

/** Of the first GPU, by all processes; 0 where no driver tells. */
export function usedMemoryMib(): number {
  const question = ['--query-gpu=memory.used', '--format=csv,noheader,nounits', '--id=0'];
  try {
    return Number(execFileSync('nvidia-smi', question, { encoding: 'utf8' }));
  } catch {
    return 0;
  }
}
