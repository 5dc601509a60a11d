import { Command, CommanderError } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { addCommands } from './commands/index.ts';
import { EXIT, EXIT_CODES_HELP, type ExitCode } from './exit-codes.ts';
import { explain } from './failure.ts';
import { type CliDeps, type CommonOptions, terminalOf, withSession } from './session.ts';

const ENVIRONMENT_HELP = `
Environment:
  HEADRACE_URL      the server, where --url does not name one
  HEADRACE_API_KEY  a key of the server, where it asks for one`;

/** The command line, without a process: what is written goes to the streams of `deps`. */
export function createCli(deps: CliDeps) {
  return {
    /** @param args without the program's own name; throws what is a defect of ours */
    async run(args: readonly string[]): Promise<ExitCode> {
      let exitCode: ExitCode = EXIT.ok;
      const program = createProgram(deps);
      addCommands({
        program,
        async run(command, act) {
          exitCode = await withSession(command.optsWithGlobals<CommonOptions>(), deps, act);
        },
      });
      try {
        await program.parseAsync(args, { from: 'user' });
        return exitCode;
      } catch (error) {
        return exitCodeOf(error, deps, program.opts<CommonOptions>());
      }
    },
  };
}

function createProgram({ stdout, stderr }: CliDeps): Command {
  return new Command('headrace')
    .description('Score files and texts with the models of a Headrace server.')
    .version(packageJson.version)
    .option('--url <url>', 'the server (default: http://127.0.0.1:8000)')
    .option('--api-key <key>', 'a key of the server; others on this machine see it in ps')
    .option('--local', 'a server of its own, on this machine, for this command')
    .option('--json', 'JSON for programs: one value, or a line for each of a list')
    .option('-q, --quiet', 'no progress and no advice')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
    })
    .addHelpText('after', `${ENVIRONMENT_HELP}\n${EXIT_CODES_HELP}`)
    .showHelpAfterError('(--help shows how it is used)')
    .exitOverride();
}

function exitCodeOf(error: unknown, deps: CliDeps, options: CommonOptions): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const terminal = terminalOf(options, deps);
  terminal.progress.clear();
  if (error instanceof Error && error.name === 'AbortError' && deps.interrupt.aborted) {
    terminal.say('Interrupted.');
    return EXIT.interrupted;
  }
  const explanation = explain(error);
  if (explanation === null) throw error;
  terminal.fail(explanation);
  return explanation.exitCode;
}
