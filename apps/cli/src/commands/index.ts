import { addBatch } from './batch.ts';
import { addBatches } from './batches.ts';
import { addCancel } from './cancel.ts';
import type { Commands } from './command.ts';
import { addGet } from './get.ts';
import { addJobs } from './jobs.ts';
import { addKeys } from './keys.ts';
import { addModels } from './models.ts';
import { addPause } from './pause.ts';
import { addResults } from './results.ts';
import { addResume } from './resume.ts';
import { addRetry } from './retry.ts';
import { addScore } from './score.ts';
import { addSubmit } from './submit.ts';
import { addWait } from './wait.ts';

/** Every command, in the order of the help. */
export function addCommands(commands: Commands): void {
  const adders = [
    ...[addScore, addBatches, addBatch, addResults, addPause, addResume],
    ...[addSubmit, addGet, addJobs, addWait, addRetry, addCancel, addModels, addKeys],
  ];
  for (const add of adders) add(commands);
}
