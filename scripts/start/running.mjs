import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Notes for a second `npm start` where this one answers.
 * @param {string} home
 * @param {string} url
 */
export function recordRunning(home, url) {
  writeFileSync(fileIn(home), JSON.stringify({ pid: process.pid, url }));
}

/**
 * @param {string} home
 * @param {number} pid who holds the lock
 */
export function describeRunning(home, pid) {
  const url = readUrl(home, pid);
  if (url === null) return `Headrace is starting or stopping already (pid ${pid}).`;
  return [
    `Headrace is running already (pid ${pid}).`,
    `  address  ${url}`,
    `  docs     ${url}/docs`,
    `Stop it with Ctrl-C in its terminal, or with: kill ${pid}`,
  ].join('\n');
}

/**
 * @param {string} home
 * @param {number} pid
 * @returns {string | null} null when the note is of an earlier start
 */
function readUrl(home, pid) {
  try {
    const note = JSON.parse(readFileSync(fileIn(home), 'utf8'));
    return note.pid === pid ? note.url : null;
  } catch {
    return null;
  }
}

/** @param {string} home */
function fileIn(home) {
  return join(home, 'running.json');
}
