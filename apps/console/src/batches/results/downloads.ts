import type { Batch } from '@headrace/client';
import { useState } from 'preact/hooks';
import { Button } from '../../elements/button.ts';
import { ErrorNotice } from '../../elements/notice.ts';
import { Panel } from '../../elements/panel.ts';
import { percent } from '../../format.ts';
import { useAction } from '../../session/use-action.ts';
import { h, html } from '../../ui.ts';
import { AnswerColumns, AnswerFields } from './answer-columns.ts';
import { saveFile, type TextChange } from './save-file.ts';

interface Wanted {
  fileId: string;
  name: string;
  change?: () => TextChange;
}

/** The files that a batch has come to. */
export function Downloads({ batch }: { batch: Batch }) {
  const [share, setShare] = useState<number | null>(null);
  const save = useAction<Wanted>(async ({ fileId, name, change }, signal) => {
    try {
      await saveFile(fileId, { name, signal, onProgress: setShare, change: change?.() });
    } finally {
      setShare(null);
    }
  });
  const files = filesOf(batch);
  if (files.length === 0) return null;
  return h(Panel, {
    title: 'Download',
    children: html`<div class="row">
        ${files.map(({ label, ...wanted }, i) =>
          h(Button, {
            key: label,
            kind: i === 0 ? 'primary' : 'plain',
            onClick: () => save.run(wanted),
            busy: save.running,
            children: label,
          }),
        )}
        <span role="status" class="muted">${share !== null && `${percent(share)} fetched`}</span>
      </div>
      ${h(ErrorNotice, { error: save.error, what: 'It could not be downloaded' })}`,
  });
}

function filesOf(batch: Batch): (Wanted & { label: string })[] {
  const { id, output, output_file_id, error_file_id } = batch;
  const format = output?.format ?? 'jsonl';
  const files: (Wanted & { label: string })[] = [];
  if (output_file_id !== null) {
    const file = { fileId: output_file_id, name: `${id}.${format}` };
    files.push({ ...file, label: output?.join ? "Results with the file's columns" : 'Results' });
    const change = changeOf(batch);
    if (change !== null) {
      files.push({ ...file, name: `${id}.answers.${format}`, label: 'Answers alone', change });
    }
  }
  if (error_file_id !== null) {
    files.push({ fileId: error_file_id, name: `${id}.errors.jsonl`, label: 'Rows that failed' });
  }
  return files;
}

/** How the input's columns are left out; null where they are not there, or cannot be here. */
function changeOf({ output, documents }: Batch): (() => TextChange) | null {
  if (output?.join !== true || output.format === 'parquet') return null;
  const id = documents?.id ?? null;
  return () => (output.format === 'csv' ? new AnswerColumns(id) : new AnswerFields(id));
}
