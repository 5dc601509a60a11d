import type { InputFormat } from '@headrace/client';
import { useEffect, useState } from 'preact/hooks';
import { SelectField } from '../../elements/field.ts';
import { ErrorNotice, Notice } from '../../elements/notice.ts';
import { Loading, Page, Panel } from '../../elements/panel.ts';
import { shownName } from '../../elements/text.ts';
import { bytes } from '../../format.ts';
import { hrefOf } from '../../route.ts';
import { api } from '../../session/session.ts';
import { useResource } from '../../session/use-resource.ts';
import { h, html } from '../../ui.ts';
import { guessColumns } from '../reading/column-guess.ts';
import { type Preview, previewAs, readPreview } from '../reading/preview.ts';
import { ChoiceFields, type Choices } from './choices.ts';
import { DropZone } from './drop-zone.ts';
import { PreviewTable } from './preview-table.ts';
import { Start } from './start.ts';

let dropped: File | null = null;

/** Keeps a file that was dropped on another page for this one. */
export function keepDropped(file: File): void {
  dropped = file;
}

/** A file to a batch: what it holds, what is done with it, what it would take, and off it goes. */
export function NewBatch() {
  const [file, setFile] = useState<File | null>(dropped);
  const back = html`<a class="button" href=${hrefOf(['batches'])}>All batches</a>`;
  const choose = (given: File | null) => {
    dropped = given;
    setFile(given);
  };
  return h(Page, {
    title: 'New batch',
    lead: 'Each row of a file to a model; the answers come as a file again, in the same order.',
    actions: back,
    children:
      file === null
        ? h(DropZone, { onFile: choose })
        : h(FileForm, {
            file,
            onOther: () => choose(null),
            key: `${file.name} ${file.size} ${file.lastModified}`,
          }),
  });
}

const FORMATS: InputFormat[] = ['csv', 'tsv', 'jsonl', 'parquet', 'text'];

function FileForm({ file, onOther }: { file: File; onOther: () => void }) {
  const [preview, setPreview] = useState<Preview | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const [choices, setChoices] = useState<Choices | null>(null);
  const models = useResource({
    key: 'models',
    load: (signal) => api().models.list({ signal, maxRetries: 0 }),
  });
  const show = (reading: Promise<Preview>) => {
    reading.then((read) => {
      setPreview(read);
      setChoices((former) => ({ ...START, ...former, ...guessColumns(read), textPair: null }));
    }, setProblem);
  };
  useEffect(() => show(readPreview(file)), [file]);
  if (problem !== null) {
    return h(ErrorNotice, { error: problem, what: `${shownName(file.name)} could not be read` });
  }
  if (preview === null || choices === null) return h(Loading, { lines: 6 });
  const model =
    models.data?.find(({ id }) => id === choices.model) ??
    models.data?.find((each) => each.default) ??
    models.data?.[0];
  const packed = preview.compression === 'none' ? '' : `, ${preview.compression}`;
  return html`<div class="stack">
    ${h(Panel, {
      title: shownName(file.name),
      aside: html`<span>${bytes(file.size)}${packed} · </span>
        <button type="button" class="link" onClick=${onOther}>Another file</button>`,
      children: html`<div class="stack">
        ${preview.warning && h(Notice, { tone: 'warn', title: preview.warning })}
        <div class="fields">
          ${h(SelectField, {
            label: 'Format',
            value: preview.format,
            options: FORMATS.map((format) => ({ value: format, label: format })),
            onChange: (value) => {
              const format = FORMATS.find((known) => known === value);
              if (format !== undefined) show(previewAs(file, format));
            },
          })}
        </div>
        ${h(PreviewTable, { preview, chosen: choices })}
      </div>`,
    })}
    ${h(ErrorNotice, { error: models.error, what: 'The models could not be read' })}
    ${
      model !== undefined &&
      html`${h(Panel, {
        title: 'What is done with it',
        children: h(ChoiceFields, {
          ...{ preview, choices, model, models: models.data ?? [] },
          onChange: (change) => setChoices({ ...choices, ...change }),
        }),
      })}
      ${h(Start, { file, preview, choices, model })}`
    }
  </div>`;
}

const START: Omit<Choices, 'text' | 'id'> = {
  ...{ model: null, textPair: null, output: 'csv', join: true, priority: 'normal' },
};
