/**
 * Takes the input's columns out of a table, piece by piece: the answer's stand last, and the id
 * beside them is kept. Records are cut where they are, so that nothing in them changes.
 */
export class AnswerColumns {
  #kept: number[] | null = null;
  #record: string[] = [];
  #field = '';
  #quoted = false;
  readonly #id: string | null;

  /** @param id the column with the ids, if there is one */
  constructor(id: string | null) {
    this.#id = id;
  }

  /** @returns what is whole of the records so far */
  push(text: string): string {
    const out: string[] = [];
    for (const character of text) {
      if (character === '"') this.#quoted = !this.#quoted;
      if (this.#quoted || (character !== ',' && character !== '\n')) this.#field += character;
      else if (character === ',') this.#endField();
      else out.push(this.#endRecord());
    }
    return out.join('');
  }

  end(): string {
    return this.#field === '' && this.#record.length === 0 ? '' : this.#endRecord();
  }

  #endField(): void {
    this.#record.push(this.#field);
    this.#field = '';
  }

  #endRecord(): string {
    this.#endField();
    const record = this.#record;
    this.#record = [];
    this.#kept ??= keptColumns(record, this.#id);
    return `${this.#kept.map((at) => record[at] ?? '').join(',')}\n`;
  }
}

/** The same of lines of JSON. */
export class AnswerFields {
  #rest = '';
  readonly #id: string | null;

  constructor(id: string | null) {
    this.#id = id;
  }

  push(text: string): string {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.map((line) => this.#line(line)).join('');
  }

  end(): string {
    return this.#rest === '' ? '' : this.#line(this.#rest);
  }

  #line(line: string): string {
    const fields = Object.entries(JSON.parse(line));
    const kept = keptColumns(
      fields.map(([name]) => name),
      this.#id,
    );
    return `${JSON.stringify(Object.fromEntries(kept.flatMap((at) => fields.slice(at, at + 1))))}\n`;
  }
}

/** Label and score, or one list; whether it was cut, and why it failed. */
function keptColumns(names: string[], id: string | null): number[] {
  const bare = names.map((name) =>
    name
      .replace(/^"(.*)"\r?$/, '$1')
      .replace(/^headrace_/, '')
      .trim(),
  );
  const own = bare.at(-3) === 'score' && bare.at(-4) === 'label' ? 4 : 3;
  const first = Math.max(0, names.length - own);
  const idAt = id === null ? -1 : bare.indexOf(id.replace(/^headrace_/, ''));
  const answers = Array.from({ length: names.length - first }, (_, i) => first + i);
  return idAt === -1 || idAt >= first ? answers : [idAt, ...answers];
}
