import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ZodError } from 'zod';
import { AppError } from '../../packages/shared/src/errors.ts';
import type { Manifest } from '../../packages/shared/src/manifests.ts';
import { bindTask, TASKS, type TaskName } from '../../packages/shared/src/tasks/index.ts';

/** What one model of a task must do. */
export interface TaskCases {
  pooling: 'none' | 'mean' | 'cls' | 'max';
  /** Parameters of the right shape that this model cannot serve, and the path that is named. */
  refused: { says: string; parameters: object; param: string }[];
  /** Parameters of a wrong shape, and the field at fault. */
  malformed: { says: string; parameters: object; field: string }[];
  /** What the engine's numbers of one encoding become. */
  answers: {
    says: string;
    parameters?: object;
    raw: number[];
    /** What may be averaged over the chunks of a row; checked to 1e-6. */
    activated?: number[];
    output?: unknown;
    /** For an output that is checked in its own way. */
    check?: (output: Record<string, unknown>) => void;
  }[];
}

/** What every task owes to those who know it by its manifest alone. */
export function taskSuite(name: TaskName, manifest: Manifest, cases: TaskCases): void {
  describe(`${name} with ${manifest.name}`, () => {
    const task = bindTask(manifest);

    test('is the task of its manifest', () => {
      assert.equal(manifest.task, name);
      assert.equal(task.name, name);
      assert.equal(task.pooling(), cases.pooling);
    });

    test('takes no parameters at all, and its own answer to them again', () => {
      const parameters = task.parse({});
      assert.equal(parameters.overflow, 'truncate');
      assert.deepEqual(task.parse(JSON.parse(JSON.stringify(parameters))), parameters);
    });

    test('knows the three ways with a text that is too long, and no other', () => {
      for (const overflow of ['truncate', 'error', 'chunk']) {
        assert.equal(task.parse({ overflow }).overflow, overflow);
      }
      assert.throws(() => task.parse({ overflow: 'drop' }), namesField('overflow'));
    });

    test('refuses a parameter that it does not know', () => {
      assert.throws(
        () => task.parse({ temperature: 1 }),
        (error) => {
          assert.ok(error instanceof ZodError);
          const [issue] = error.issues;
          assert.ok(issue?.code === 'unrecognized_keys');
          assert.deepEqual(issue.keys, ['temperature']);
          return true;
        },
      );
    });

    for (const { says, parameters, field } of cases.malformed) {
      test(`refuses ${says}`, () => {
        assert.throws(() => task.parse(parameters), namesField(field));
      });
    }

    for (const { says, parameters, param } of cases.refused) {
      test(`refuses ${says}`, () => {
        assert.throws(
          () => task.parse(parameters),
          (error) => {
            assert.ok(error instanceof AppError);
            assert.deepEqual([error.code, error.param], ['invalid_request', param]);
            assert.ok(error.message.includes(param));
            return true;
          },
        );
      });
    }

    for (const { says, parameters = {}, raw, activated, output, check } of cases.answers) {
      test(`gives ${says}`, () => {
        const bound = task.parse(parameters);
        const numbers = Float32Array.from(raw);
        const found = task.activate(numbers, bound);
        assert.deepEqual(numbers, Float32Array.from(raw), 'the engine’s numbers are left alone');
        if (activated !== undefined) assertNear(Array.from(found), activated);
        const decoded = task.decode(found, bound);
        if (output !== undefined) assertNear(decoded, output);
        check?.(decoded);
        assert.deepEqual(
          TASKS[name].output.parse(decoded),
          decoded,
          'it is what the task declares',
        );
        assert.deepEqual(JSON.parse(JSON.stringify(decoded)), decoded, 'it survives as JSON');
        const cells = task.cells(decoded, bound);
        assert.equal(cells.length, task.columns(bound).length, 'a cell for each column');
        assert.ok(cells.every((cell) => cell !== undefined && cell !== null));
      });
    }
  });
}

function namesField(field: string) {
  return (error: unknown) => {
    assert.ok(error instanceof ZodError);
    assert.deepEqual(
      error.issues.map((issue) => issue.path.join('.')),
      [field],
    );
    return true;
  };
}

/** Deep equality with numbers compared to 1e-6, which is what float32 keeps of them. */
function assertNear(found: unknown, expected: unknown, path = 'output'): void {
  if (typeof expected === 'number' && typeof found === 'number') {
    assert.ok(Math.abs(found - expected) <= 1e-6, `${path} is ${found}, not ${expected}`);
    return;
  }
  if (typeof expected !== 'object' || expected === null) {
    assert.deepEqual(found, expected, path);
    return;
  }
  assert.ok(typeof found === 'object' && found !== null, path);
  assert.deepEqual(Object.keys(found), Object.keys(expected), path);
  const values = new Map<string, unknown>(Object.entries(found));
  for (const [key, value] of Object.entries(expected)) {
    assertNear(values.get(key), value, `${path}.${key}`);
  }
}
