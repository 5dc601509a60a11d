import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

export interface ProcessEntry {
  pid: number;
  parent: number;
  command: string;
}

/** The process with this id and all that it has started, directly or not; zombies left out. */
export function processFamily(root: number): ProcessEntry[] {
  const all = listProcesses();
  const family = all.filter(({ pid }) => pid === root);
  for (const member of family) family.push(...all.filter(({ parent }) => parent === member.pid));
  return family;
}

/** Those that still run; a process id that another program has got since does not count. */
export function stillRunning(processes: ProcessEntry[]): ProcessEntry[] {
  const all = listProcesses();
  return processes.filter((one) =>
    all.some(({ pid, command }) => pid === one.pid && command === one.command),
  );
}

function listProcesses(): ProcessEntry[] {
  // Slim container images have no ps; macOS has no /proc.
  return existsSync('/proc/self/stat') ? fromProc() : fromPs();
}

function fromProc(): ProcessEntry[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    try {
      // The name in parentheses may hold anything, so what follows is read from its end.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [state = '', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z' || state === 'X') return [];
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return [{ pid, parent: Number(parent), command }];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}

function fromPs(): ProcessEntry[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,command=']).toString();
  return table.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+([^Z\s]\S*)\s+(.*)$/.exec(line);
    if (match === null) return [];
    const [, pid, parent, , command = ''] = match;
    return [{ pid: Number(pid), parent: Number(parent), command: command.trim() }];
  });
}
