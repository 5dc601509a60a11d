import { parseRecord } from './service-process.mjs';

const SHOWN_LEVELS = ['warn', 'error', 'fatal'];

/**
 * @typedef {object} Terminal
 * @property {(text: string) => void} say
 * @property {(service: string, line: string) => void} log a line of a service's log: shown when it
 *   is a warning or worse, or no record at all, such as the trace of a crash
 */

/**
 * @param {{ showAll: boolean }} options `showAll` shows every line of every log, as it is
 * @returns {Terminal}
 */
export function createTerminal({ showAll }) {
  // A closed terminal must not end us before the parts are stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return {
    say: (text) => console.log(text),
    log: (service, line) => {
      if (showAll) return console.log(line);
      const record = parseRecord(line);
      if (record === null) return console.error(`${service}: ${printable(line)}`);
      if (SHOWN_LEVELS.includes(String(record.level))) console.error(format(service, record));
    },
  };
}

/**
 * @param {string} service
 * @param {Record<string, unknown>} record
 */
function format(service, { level, msg, event, err }) {
  const cause = err !== null && typeof err === 'object' && 'message' in err ? err.message : null;
  const text = [msg ?? event, cause].filter((part) => part !== null && part !== undefined);
  return `${service} ${level}: ${printable(text.join(': '))}`;
}

/** @param {string} text a log may hold what a stranger sent: no control characters */
function printable(text) {
  return text.replace(/\p{Cc}/gu, ' ');
}
