interface CsvOptions {
  delimiter: ',' | '\t';
  most: number;
  /** The text is all of the file, so that its last record needs no end. */
  whole: boolean;
}

/** The first records of CSV (RFC 4180), as many as are whole in the text. */
export function csvRecords(text: string, { delimiter, most, whole }: CsvOptions): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let field = '';
  let quoted = false;
  const endField = () => {
    record.push(field);
    field = '';
  };
  const endRecord = () => {
    endField();
    if (record.length > 1 || record[0] !== '') records.push(record);
    record = [];
  };
  for (let i = 0; i < text.length && records.length < most; i += 1) {
    const character = text[i] ?? '';
    if (quoted) {
      if (character !== '"') field += character;
      else if (text[i + 1] === '"') {
        field += '"';
        i += 1;
      } else quoted = false;
    } else if (character === '"' && field === '') quoted = true;
    else if (character === delimiter) endField();
    else if (character === '\n') {
      if (field.endsWith('\r')) field = field.slice(0, -1);
      endRecord();
    } else field += character;
  }
  if (whole && records.length < most && (field !== '' || record.length > 0)) endRecord();
  return records;
}
