import { join, relative } from 'node:path';
import { ROOT } from '../setup/paths.mjs';

/**
 * What `npm start` prints when everything is ready.
 * @param {{ url: string, readyS: number, home: string }} facts
 */
export function screen({ url, readyS, home }) {
  const logs = relative(ROOT, join(home, 'logs'));
  const console = ['0', 'false', 'off'].includes(process.env.HEADRACE_CONSOLE ?? '')
    ? ''
    : `\n  console  ${url}/`;
  return `
Headrace is running (pid ${process.pid}, ready in ${readyS.toFixed(1)} s).

  address  ${url}${console}
  docs     ${url}/docs
  logs     ${logs.startsWith('..') ? join(home, 'logs') : logs}

Try it:

  curl -s ${url}/predict -H 'content-type: application/json' \\
    -d '{"text":"The room was lovely and the staff could not have been kinder."}'

  curl -s ${url}/v1/jobs -H 'content-type: application/json' -H 'Prefer: wait=10' \\
    -d '{"model":"minilm","input":"A sentence to turn into 384 numbers."}'

Ctrl-C stops it.`;
}
