import type { Model } from '@headrace/client';
import { CheckField, InputField, SelectField } from '../elements/field.ts';
import { h, html } from '../ui.ts';

export interface TryOptions {
  topK: string;
  rawScores: boolean;
  dimensions: string;
  overflow: string;
}

/** All labels: whoever tries a model wants to see what else it might have said. */
export function defaultOptions({ labels }: Model): TryOptions {
  return {
    topK: labels === null ? '' : `${Math.min(labels.length, 10)}`,
    ...{ rawScores: false, dimensions: '', overflow: 'truncate' },
  };
}

const OVERFLOWS = [
  { value: 'truncate', label: 'Cut it' },
  { value: 'error', label: 'Fail' },
  { value: 'chunk', label: 'Average over chunks' },
];

interface OptionFieldsProps {
  model: Model;
  options: TryOptions;
  onChange: (options: TryOptions) => void;
}

export function OptionFields({ model, options, onChange }: OptionFieldsProps) {
  const change = (part: Partial<TryOptions>) => onChange({ ...options, ...part });
  return html`<div class="fields">
    ${
      model.labels !== null &&
      h(InputField, {
        ...{ label: 'Labels to return', type: 'number', value: options.topK },
        onInput: (topK) => change({ topK }),
      })
    }
    ${
      model.dimensions !== null &&
      h(InputField, {
        ...{ label: 'Dimensions', type: 'number', value: options.dimensions },
        placeholder: `${model.dimensions}`,
        onInput: (dimensions) => change({ dimensions }),
      })
    }
    ${h(SelectField, {
      label: `Over ${model.max_tokens} tokens`,
      value: options.overflow,
      options: OVERFLOWS,
      onChange: (overflow) => change({ overflow }),
    })}
    ${
      model.labels !== null &&
      h(CheckField, {
        label: 'Raw scores',
        checked: options.rawScores,
        onChange: (rawScores) => change({ rawScores }),
      })
    }
  </div>`;
}

/** Only what differs from what the API does by itself. */
export function parametersOf(model: Model, options: TryOptions): Record<string, unknown> {
  const { topK, rawScores, dimensions, overflow } = options;
  return {
    ...(model.labels !== null && topK !== '' ? { top_k: Number(topK) } : {}),
    ...(model.labels !== null && rawScores ? { raw_scores: true } : {}),
    ...(model.dimensions !== null && dimensions !== '' ? { dimensions: Number(dimensions) } : {}),
    ...(overflow === 'truncate' ? {} : { overflow }),
  };
}
