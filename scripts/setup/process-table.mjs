import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/**
 * Whether `pid` is a living process whose command line names `script`: a pid alone proves nothing
 * after a reboot. Where no command line can be read, the pid has to do.
 * @param {number} pid
 * @param {string} script file name, such as `start.mjs`
 */
export function isRunning(pid, script) {
  if (!exists(pid)) return false;
  const command = commandLine(pid);
  return command === null || command.includes(script);
}

/** @param {number} pid */
function exists(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * The command line; empty for a zombie, null when it cannot be read.
 * @param {number} pid
 */
function commandLine(pid) {
  try {
    if (existsSync('/proc/self/cmdline')) return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return execFileSync('ps', ['-p', String(pid), '-o', 'command='], { encoding: 'utf8' });
  } catch {
    return null;
  }
}
