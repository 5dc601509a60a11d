import type { Batch, Model } from '@headrace/client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Button } from '../../elements/button.ts';
import { ErrorNotice } from '../../elements/notice.ts';
import { Panel } from '../../elements/panel.ts';
import { bytes, percent } from '../../format.ts';
import { goTo, hrefOf } from '../../route.ts';
import { api } from '../../session/session.ts';
import { useAction } from '../../session/use-action.ts';
import { h, html } from '../../ui.ts';
import type { Preview } from '../reading/preview.ts';
import { batchRequest, type Choices } from './choices.ts';
import { Estimate } from './estimate.ts';

interface StartProps {
  file: File;
  preview: Preview;
  choices: Choices;
  model: Model;
}

/** Uploads the file once, has it checked if that is wanted, and starts. */
export function Start({ file, preview, choices, model }: StartProps) {
  const [sent, setSent] = useState<number | null>(null);
  const [checked, setChecked] = useState<Batch | null>(null);
  const uploaded = useRef<string | null>(null);
  const asked = JSON.stringify([choices, model.id, preview.format]);
  // What was found holds for what was asked.
  useEffect(() => setChecked(null), [asked]);

  async function upload(signal: AbortSignal): Promise<string> {
    if (uploaded.current !== null) return uploaded.current;
    await expectReadable(file);
    const purpose = preview.endpoint === null ? 'user_data' : 'batch';
    const content = { content: file, filename: file.name, purpose } as const;
    try {
      const { id } = await api().files.upload({ ...content, onProgress: setSent, signal });
      uploaded.current = id;
      return id;
    } catch (error) {
      await expectReadable(file);
      throw error;
    } finally {
      setSent(null);
    }
  }
  const check = useAction<null>(async (_, signal) => {
    const fileId = await upload(signal);
    const request = batchRequest({ fileId, preview, choices, model });
    const { id } = await api().batches.create({ ...request, dry_run: true }, { signal });
    for await (const batch of api().batches.watch(id, { signal })) setChecked(batch);
  });
  const start = useAction<null>(async (_, signal) => {
    const fileId = await upload(signal);
    const request = batchRequest({ fileId, preview, choices, model });
    const { id } = await api().batches.create(request, { signal });
    goTo(hrefOf(['batches', id]));
  });
  const busy = check.running || start.running;
  const done = checked?.status === 'completed';
  return h(Panel, {
    title: 'Start',
    children: html`<div class="stack">
      ${sent !== null && h(UploadProgress, { sent, size: file.size })}
      ${checked !== null && h(Estimate, { batch: checked })}
      ${h(ErrorNotice, { error: check.error, what: 'It was not checked' })}
      ${h(ErrorNotice, { error: start.error, what: 'It was not started' })}
      <div class="row">
        ${h(Button, {
          kind: done ? 'plain' : 'primary',
          busy: check.running,
          disabled: busy,
          onClick: () => check.run(null),
          children: 'Check first',
        })}
        ${h(Button, {
          kind: done ? 'primary' : 'plain',
          busy: start.running,
          disabled: busy,
          onClick: () => start.run(null),
          children: 'Start',
        })}
        <span class="muted small-text">A check counts rows and tokens, and runs nothing.</span>
      </div>
    </div>`,
  });
}

/** A file that has changed on the disk cannot be read any more, and no upload of it succeeds. */
async function expectReadable(file: File): Promise<void> {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Error('The file was changed or removed since it was chosen. Choose it again.');
  }
}

function UploadProgress({ sent, size }: { sent: number; size: number }) {
  const share = size === 0 ? 1 : Math.min(1, sent / size);
  return html`<div class="stack tight" role="status">
    <span>Uploading: ${bytes(Math.min(sent, size))} of ${bytes(size)} (${percent(share)})</span>
    <span class="progress big" aria-hidden="true"><span style=${{ width: `${100 * share}%` }}></span></span>
  </div>`;
}
