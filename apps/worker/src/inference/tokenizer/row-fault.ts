import { AppError, type ErrorCode } from '@headrace/shared/errors.ts';

/** What a row can do wrong at tokenization; anything else is ours, and its job is tried again. */
const ROW_FAULTS = new Set<ErrorCode>(['text_too_long', 'tokenizer_failed']);

export function isRowFault(error: unknown): error is AppError {
  return error instanceof AppError && ROW_FAULTS.has(error.code);
}
