import { useRef, useState } from 'preact/hooks';
import { html } from '../../ui.ts';

interface DropZoneProps {
  onFile: (file: File) => void;
}

/** Takes a file that is dropped on it, or chosen. */
export function DropZone({ onFile }: DropZoneProps) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const [file] = event.dataTransfer?.files ?? [];
    if (file !== undefined) onFile(file);
  };
  const drag = (event: DragEvent) => {
    event.preventDefault();
    setOver(true);
  };
  const change = () => {
    const [file] = input.current?.files ?? [];
    if (file !== undefined) onFile(file);
  };
  return html`<div
    class=${`drop ${over ? 'over' : ''}`}
    onDragOver=${drag}
    onDragLeave=${() => setOver(false)}
    onDrop=${drop}
  >
    <p class="drop-title">Drop a file to have it scored</p>
    <p class="muted">CSV, TSV, JSONL, Parquet or text, one row each; also packed with gzip or zstd.</p>
    <input ref=${input} type="file" class="hidden-text" tabindex="-1" aria-hidden="true" onChange=${change} />
    <button type="button" class="button primary" onClick=${() => input.current?.click()}>
      Choose a file
    </button>
  </div>`;
}
