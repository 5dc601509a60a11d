import { type Command, InvalidArgumentError, Option } from 'commander';
import { usage } from '../failure.ts';
import type { Act } from '../session.ts';

/** What a command is added to. */
export interface Commands {
  program: Command;
  /** Acts with what the options of the command say, once its arguments are known to be right. */
  run(command: Command, act: Act): Promise<void>;
}

/** A whole number from 1 to `most`. */
export function upTo(most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= 1 && number <= most) return number;
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
  };
}

export function priorityOption(): Option {
  return new Option('--priority <class>', 'before or after other work').choices([
    'high',
    'normal',
    'low',
  ]);
}

/** Whether an id is that of a job or of a batch. */
export function kindOf(id: string): 'job' | 'batch' {
  if (id.startsWith('job_')) return 'job';
  if (id.startsWith('batch_')) return 'batch';
  throw usage(`${id}: is neither the id of a job (job_…) nor that of a batch (batch_…)`);
}
