import { useId } from 'preact/hooks';
import { type Children, h, html } from '../ui.ts';

interface FieldProps {
  label: string;
  hint?: Children;
  error?: string | null;
  /** Gets the id that the label is for. */
  children: (id: string) => Children;
}

export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${children(id)}
    ${hint && html`<p class="hint">${hint}</p>`}
    ${error && html`<p class="hint bad" role="alert">${error}</p>`}
  </div>`;
}

export interface Option {
  value: string;
  label: string;
}

interface SelectFieldProps {
  label: string;
  value: string;
  options: Option[];
  onChange: (value: string) => void;
  hint?: Children;
}

export function SelectField({ label, value, options, onChange, hint }: SelectFieldProps) {
  const children = (id: string) => html`<select
    id=${id}
    value=${value}
    onChange=${(event: Event) => onChange(fieldValue(event))}
  >
    ${options.map(
      (option) => html`<option
        key=${option.value}
        value=${option.value}
        selected=${option.value === value}
      >
        ${option.label}
      </option>`,
    )}
  </select>`;
  return h(Field, { label, hint, children });
}

interface InputFieldProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  type?: string;
  placeholder?: string;
  hint?: Children;
  required?: boolean;
  autocomplete?: string;
}

export function InputField(props: InputFieldProps) {
  const { label, value, onInput, type = 'text', placeholder, hint } = props;
  const children = (id: string) => html`<input
    id=${id}
    type=${type}
    value=${value}
    placeholder=${placeholder}
    required=${props.required}
    autocomplete=${props.autocomplete ?? 'off'}
    spellcheck="false"
    dir="auto"
    onInput=${(event: Event) => onInput(fieldValue(event))}
  />`;
  return h(Field, { label, hint, children });
}

interface CheckFieldProps {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
}

export function CheckField({ label, checked, onChange }: CheckFieldProps) {
  return html`<label class="check">
    <input
      type="checkbox"
      checked=${checked}
      onChange=${(event: Event) => {
        if (event.target instanceof HTMLInputElement) onChange(event.target.checked);
      }}
    />
    ${label}
  </label>`;
}

/** What an input, a text area or a select says. */
export function fieldValue({ target }: Event): string {
  const isField =
    target instanceof HTMLInputElement ||
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement;
  return isField ? target.value : '';
}
