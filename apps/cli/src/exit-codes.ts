/** What the exit code says. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  rowsFailed: 3,
  unreachable: 4,
  paused: 5,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES_HELP = `
Exit codes:
  0    all is well
  1    it failed, or ended before all rows were run
  2    the command makes no sense as it is given
  3    it is done, but some rows failed
  4    the server cannot be reached
  5    the batch was paused with Ctrl-C; the command to go on is printed
  130  Ctrl-C, with nothing to pause or for the second time`;
