/**
 * The one YAML parser that decides: files, request bodies and sluice.yaml all come through here. Built on the
 * `yaml` library's own stages, so that limits apply between them and each document of a file stands for itself:
 * a broken one is one problem, the others still come out. JSON is read as the YAML it is.
 */
import { Composer, LineCounter, Parser, type CST, type Document, type Node } from 'yaml';
import type { Origin } from '../object.ts';
import type { Locate, Path, Position } from '../position.ts';
import type { Problem } from '../problem.ts';
import { convert } from './convert.ts';
import { defaultYamlLimits, type YamlLimits } from './limits.ts';
import { locator } from './locate.ts';
import { measureToken } from './measure.ts';
import { splitDocuments } from './split.ts';

export interface ParsedDocument {
  /** Always a mapping; JSON values only. */
  readonly value: Record<string, unknown>;
  readonly file: string;
  /** Where the document, or the item of a list, begins. */
  readonly line: number;
  readonly column: number;
  readonly locate: Locate;
  readonly origin: Extract<Origin, { source: 'folder' }>;
}

export interface ParsedYaml {
  readonly documents: readonly ParsedDocument[];
  readonly problems: readonly Problem[];
}

/** Reads all documents of a text; objects of a `List` come out one by one. Never throws on any text. */
export function parseYaml(text: string, file: string, limits: Partial<YamlLimits> = {}): ParsedYaml {
  const reading = new Reading(file, { ...defaultYamlLimits, ...limits });
  reading.read(text);
  return { documents: reading.documents, problems: reading.problems };
}

class Reading {
  readonly documents: ParsedDocument[] = [];
  readonly problems: Problem[] = [];
  readonly #file: string;
  readonly #limits: YamlLimits;
  /** Line starts of the chunk being read, and the lines of the file before it. */
  #lines = new LineCounter();
  #linesBefore = 0;

  constructor(file: string, limits: YamlLimits) {
    this.#file = file;
    this.#limits = limits;
  }

  read(text: string): void {
    if (text.length > this.#limits.maxLength) {
      this.#report('too-large', `the text is longer than ${this.#limits.maxLength} characters`, 0);
      return;
    }
    const nul = text.indexOf('\0');
    if (nul >= 0) {
      const line = text.slice(0, nul).split('\n').length;
      this.problems.push(this.#problem('syntax', 'the text contains a NUL character', line, 1));
      return;
    }
    for (const chunk of splitDocuments(text)) {
      if (
        this.documents.length >= this.#limits.maxDocuments ||
        this.problems.length >= this.#limits.maxDocuments
      ) {
        const message = `more than ${this.#limits.maxDocuments} documents`;
        this.problems.push(this.#problem('too-many-documents', message, chunk.linesBefore + 1, 1));
        return;
      }
      this.#lines = new LineCounter();
      this.#linesBefore = chunk.linesBefore;
      for (const document of this.#compose(chunk.text)) this.#take(document);
    }
  }

  #compose(text: string): Iterable<Document.Parsed> {
    const composer = new Composer({
      version: '1.2',
      schema: 'core',
      prettyErrors: false,
      stringKeys: true,
      // Repeated keys are found in convert.ts: the library compares each key with each other one.
      uniqueKeys: false,
      logLevel: 'silent',
      lineCounter: this.#lines,
    });
    const tokens: CST.Token[] = [];
    for (const token of new Parser(this.#lines.addNewLine).parse(text)) {
      const excess = token.type === 'document' ? measureToken(token, this.#limits) : undefined;
      if (excess === undefined) tokens.push(token);
      else this.#report('too-large', `the document is ${excess.message}`, excess.offset);
    }
    return composer.compose(tokens, false, text.length);
  }

  #take(document: Document.Parsed): void {
    const first = document.errors[0];
    if (first !== undefined) {
      this.#report('syntax', plainMessage(first.message), first.pos[0]);
      return;
    }
    const root = document.contents as Node | null;
    if (root === null) return;
    const { value, problems, targets } = convert(root, this.#limits);
    for (const problem of problems) this.#report(problem.code, problem.message, problem.offset);
    for (const warning of document.warnings) {
      this.#report('unknown-tag', plainMessage(warning.message), warning.pos[0], 'warning');
    }
    if (problems.length > 0 || value === null) return;
    const positionOf = this.#positions();
    this.#emit(value, (prefix) => locator(root, targets, positionOf, prefix), []);
  }

  /** Gives out an object, or the objects of a list. */
  #emit(value: unknown, locateFrom: (prefix: Path) => Locate, prefix: Path): void {
    const place = locateFrom(prefix)([], 'value') ?? { line: 1, column: 1 };
    if (!isMapping(value)) {
      const what = Array.isArray(value) ? 'a list' : `a ${typeof value}`;
      this.problems.push(
        this.#problem('not-an-object', `expected an object, found ${what}`, place.line, place.column),
      );
      return;
    }
    const items = listItems(value);
    if (items !== undefined) {
      for (const [index, item] of items.entries()) {
        if (this.problems.at(-1)?.code === 'too-many-documents') return;
        this.#emit(item, locateFrom, [...prefix, 'items', index]);
      }
      return;
    }
    if (this.documents.length >= this.#limits.maxDocuments) {
      this.problems.push(
        this.#problem(
          'too-many-documents',
          `more than ${this.#limits.maxDocuments} documents`,
          place.line,
          place.column,
        ),
      );
      return;
    }
    this.documents.push({
      value,
      file: this.#file,
      ...place,
      locate: locateFrom(prefix),
      origin: { source: 'folder', file: this.#file, ...place },
    });
  }

  #report(code: string, message: string, offset: number, severity: Problem['severity'] = 'error'): void {
    const { line, column } = this.#positions()(offset);
    this.problems.push(this.#problem(code, message, line, column, severity));
  }

  /** Places of offsets in the chunk being read; stays valid after the next chunk has begun. */
  #positions(): (offset: number) => Position {
    const lines = this.#lines;
    const linesBefore = this.#linesBefore;
    return (offset) => {
      const { line, col } = lines.linePos(offset);
      return { line: linesBefore + Math.max(1, line), column: Math.max(1, col) };
    };
  }

  #problem(
    code: string,
    message: string,
    line: number,
    column: number,
    severity: Problem['severity'] = 'error',
  ): Problem {
    return { code, severity, message, path: '', file: this.#file, line, column };
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Items of `kind: List` or `kind: XList`; those of a typed list may leave out what the list says for them. */
function listItems(value: Record<string, unknown>): unknown[] | undefined {
  const { apiVersion, kind, items } = value;
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items)) return undefined;
  const itemKind = kind.slice(0, -'List'.length);
  if (itemKind === '') return items;
  return items.map((item) => (isMapping(item) ? { apiVersion, kind: itemKind, ...item } : item));
}

/** The library's messages end with the place and a picture of the line, which problems carry themselves. */
function plainMessage(message: string): string {
  const firstLine = message.split('\n')[0] ?? '';
  return firstLine.replace(/ at line \d+, column \d+:?$/, '').replace(/^./, (first) => first.toLowerCase());
}
