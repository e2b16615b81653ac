/**
 * Paths into a document and places in a file. A path is the list of keys and indices from the top of one
 * object; its text form (`spec.http[0].route`) is what people read in problems and in the support table.
 */

export type PathStep = string | number;
export type Path = readonly PathStep[];

/** A place in a file, both counted from 1, columns in UTF-16 units as editors show them. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * Finds the place of a path in the text it was read from; the nearest enclosing place where the path itself is
 * absent (a missing field is reported where it should stand). `part` chooses between a field's name and its value.
 */
export type Locate = (path: Path, part?: 'key' | 'value') => Position | undefined;

const plainKey = /^[A-Za-z_$][\w$-]*$/;

/** `spec.http[0].match[1].headers["end-user.x"]`; the empty path is the empty string. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (plainKey.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}
