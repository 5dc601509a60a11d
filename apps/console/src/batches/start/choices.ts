import type { BatchRequest, Model, OutputFormat, Priority } from '@headrace/client';
import { CheckField, InputField, SelectField } from '../../elements/field.ts';
import { shownName } from '../../elements/text.ts';
import { h, html } from '../../ui.ts';
import type { Preview } from '../reading/preview.ts';

/** What is done with a file. */
export interface Choices {
  /** Null: the default. */
  model: string | null;
  text: string;
  textPair: string | null;
  id: string | null;
  output: OutputFormat;
  join: boolean;
  priority: Priority;
}

interface ChoiceFieldsProps {
  preview: Preview;
  choices: Choices;
  model: Model;
  models: Model[];
  onChange: (change: Partial<Choices>) => void;
}

const OUTPUTS: OutputFormat[] = ['csv', 'jsonl', 'parquet'];
const PRIORITIES: Priority[] = ['high', 'normal', 'low'];

export function ChoiceFields({ preview, choices, model, models, onChange }: ChoiceFieldsProps) {
  const priority = h(SelectField, {
    label: 'Priority',
    value: choices.priority,
    options: PRIORITIES.map((value) => ({ value, label: value })),
    onChange: (value) => {
      const known = PRIORITIES.find((each) => each === value);
      if (known !== undefined) onChange({ priority: known });
    },
  });
  if (preview.endpoint !== null) {
    return html`<div class="stack">
      <p>Its lines are requests to <code>${preview.endpoint}</code>: each says for itself what is done.</p>
      <div class="fields">${priority}</div>
    </div>`;
  }
  return html`<div class="stack">
    <div class="fields">
      ${h(SelectField, {
        label: 'Model',
        value: model.id,
        options: models.map(({ id }) => ({ value: id, label: id })),
        onChange: (id) => onChange({ model: id }),
      })}
      ${preview.format !== 'text' && h(ColumnFields, { preview, choices, pairs: model.pairs, onChange })}
      ${h(SelectField, {
        label: 'Answers as',
        value: choices.output,
        options: OUTPUTS.map((value) => ({ value, label: value })),
        onChange: (value) => {
          const known = OUTPUTS.find((each) => each === value);
          if (known !== undefined) onChange({ output: known });
        },
      })}
      ${priority}
    </div>
    ${h(CheckField, {
      label: "The file's own columns beside the answers",
      checked: choices.join,
      onChange: (join) => onChange({ join }),
    })}
  </div>`;
}

interface ColumnFieldsProps extends Pick<ChoiceFieldsProps, 'preview' | 'choices' | 'onChange'> {
  pairs: boolean;
}

function ColumnFields({ preview: { columns }, choices, pairs, onChange }: ColumnFieldsProps) {
  if (columns === null) {
    return h(InputField, {
      label: 'Text column',
      value: choices.text,
      onInput: (text: string) => onChange({ text }),
    });
  }
  const names = columns.map((name) => ({ value: name, label: shownName(name) }));
  const none = [{ value: '', label: 'None' }, ...names];
  return html`${h(SelectField, {
    label: 'Text column',
    value: choices.text,
    options: names,
    onChange: (text) => onChange({ text }),
  })}
  ${
    pairs &&
    h(SelectField, {
      label: 'Second text column',
      value: choices.textPair ?? '',
      options: none,
      onChange: (name) => onChange({ textPair: name === '' ? null : name }),
    })
  }
  ${h(SelectField, {
    label: 'Id column',
    value: choices.id ?? '',
    options: none,
    onChange: (name) => onChange({ id: name === '' ? null : name }),
  })}`;
}

interface ToRequest {
  fileId: string;
  preview: Preview;
  choices: Choices;
  model: Model;
}

export function batchRequest({ fileId, preview, choices, model }: ToRequest): BatchRequest {
  const { endpoint, format } = preview;
  const { text, textPair, id, output, join, priority } = choices;
  const common = { input_file_id: fileId, priority };
  if (endpoint !== null) return { ...common, endpoint };
  const columns = format === 'text' ? {} : { text, text_pair: model.pairs ? textPair : null, id };
  return {
    ...common,
    model: model.id,
    documents: { format, ...columns },
    output: { format: output, join },
  };
}
