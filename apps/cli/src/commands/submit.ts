import type { JobRequest } from '@headrace/client';
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { jobText } from '../terminal/job-text.ts';
import { type Commands, priorityOption } from './command.ts';
import { addParameter } from './parameters.ts';
import { jobExitCode } from './wait.ts';

interface Options {
  model?: string;
  textPair?: string;
  param?: Record<string, unknown>;
  priority?: 'high' | 'normal' | 'low';
  webhook?: string;
  wait?: boolean;
}

export function addSubmit({ program, run }: Commands): void {
  program
    .command('submit')
    .description('Submit texts as one job; prints its id, or its result with --wait.')
    .argument('<text...>', 'texts, each a row of the job')
    .option('-m, --model <name>', "model: name or name@version (default: the server's)")
    .option('--text-pair <text>', 'the second text, to each of them')
    .option('--param <key=value>', "of the model's task, such as top_k=3; repeatable", addParameter)
    .addOption(priorityOption())
    .option('--webhook <url>', 'is told of the end by a signed POST')
    .option('-w, --wait', 'wait for the result')
    .action((texts: string[], options: Options, command: Command) =>
      run(command, async ({ client, terminal, interrupt }) => {
        const call = { signal: interrupt };
        const submitted = await client.jobs.submit(requestOf(texts, options), call);
        if (options.wait !== true) {
          await terminal.result(submitted, `${submitted.id}\n`);
          return EXIT.ok;
        }
        const job = await client.jobs.wait(submitted.id, call);
        await terminal.result(job, () => jobText(job));
        return jobExitCode(job);
      }),
    );
}

function requestOf(texts: string[], options: Options): JobRequest {
  const { model, textPair, param, priority, webhook } = options;
  return {
    ...(model === undefined ? {} : { model }),
    input: textPair === undefined ? texts : texts.map((text) => ({ text, text_pair: textPair })),
    ...(param === undefined ? {} : { parameters: param }),
    ...(priority === undefined ? {} : { priority }),
    ...(webhook === undefined ? {} : { webhook: { url: webhook } }),
  };
}
