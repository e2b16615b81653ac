import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { decodeLatin1, latin1Bytes, toByteString, writeDecimal } from './bytes.ts';
import { HeaderList, MAX_EDIT_BYTES, MAX_LIST_ENTRIES } from './header-list.ts';
import { H, findNameId, internName, lookupNameId, nameOf } from './names.ts';

function listOf(...fields: ReadonlyArray<readonly [string, string]>): HeaderList {
  const list = new HeaderList();
  for (const [name, value] of fields) {
    // Each field in a buffer of its own: entries are not tied to one chunk.
    const buf = latin1Bytes(`${name}: ${value}\r\n`);
    list.push(
      lookupNameId(buf, 0, name.length),
      buf,
      0,
      name.length,
      name.length + 2,
      buf.length - 2,
      buf.length,
    );
  }
  return list;
}
function fieldsOf(list: HeaderList): string[] {
  const fields: string[] = [];
  list.forEach((name, value) => fields.push(`${name}=${value}`));
  return fields;
}

describe('interned names', () => {
  test('are found in any case, and nothing else is', () => {
    for (const [name, id] of Object.entries(H)) {
      const text = nameOf(id);
      for (const spelled of [text, text.toUpperCase()])
        expect(lookupNameId(latin1Bytes(spelled), 0, text.length)).toBe(id);
      expect(findNameId(text)).toBe(id);
      expect(id, name).toBeGreaterThan(0);
    }
    for (const other of ['', 'hos', 'hosts', 'hXst', 'h st', 'content-lengtH ', 'x-never-registered']) {
      expect(lookupNameId(latin1Bytes(other), 0, other.length)).toBe(0);
    }
  });
  test('the fields that frame a message come first: parsers skip all ids above them', () => {
    const framing = [
      H.host,
      H.contentLength,
      H.transferEncoding,
      H.connection,
      H.te,
      H.trailer,
      H.upgrade,
      H.expect,
      H.keepAlive,
      H.proxyConnection,
    ];
    expect(framing).toEqual(framing.map((_, i) => i + 1));
  });
  test('registering twice gives one id; what is no lower-case token gives none', () => {
    const id = internName('x-team');
    expect(internName('x-team')).toBe(id);
    expect(nameOf(id)).toBe('x-team');
    for (const bad of ['', 'X-Team', 'a b', 'é']) expect(internName(bad)).toBe(0);
  });
});

describe('HeaderList', () => {
  test('reads by id and by name, first and all', () => {
    const list = listOf(['Accept', 'a'], ['X-Odd', '1'], ['ACCEPT', 'b']);
    expect([
      list.get(H.accept),
      list.getByName('accept'),
      list.getByName('x-odd'),
      list.get(H.host),
      list.getByName('x-none'),
    ]).toEqual(['a', 'a', '1', undefined, undefined]);
    expect(list.getAll(H.accept)).toEqual(['a', 'b']);
    expect([list.joined(H.accept), list.joined('x-odd'), list.joined(H.host)]).toEqual([
      'a,b',
      '1',
      undefined,
    ]);
    expect([
      list.has(H.accept),
      list.has(H.host),
      list.valueEquals(H.accept, 'a'),
      list.valueEquals(H.accept, 'A'),
    ]).toEqual([true, false, true, false]);
    expect([list.get(0), list.isEdited, list.count]).toEqual([undefined, false, 3]);
  });
  test('a name registered after the list was filled is found all the same', () => {
    const list = listOf(['X-Late', 'v']);
    expect(list.nameIdAt(0)).toBe(0);
    const id = internName('x-late');
    expect([list.get(id), list.getByName('x-late'), list.has(id)]).toEqual(['v', 'v', true]);
    expect(list.remove(id)).toBe(1);
  });
  test('set keeps place and case, and leaves one field of the name', () => {
    const list = listOf(['A', '1'], ['Accept', 'a'], ['B', '2'], ['accept', 'b']);
    expect(list.set(H.accept, 'new')).toBe(true);
    expect(fieldsOf(list)).toEqual(['A=1', 'Accept=new', 'B=2']);
    expect(list.set('X-New', 'n')).toBe(true);
    expect(fieldsOf(list).at(-1)).toBe('X-New=n');
    expect(list.isEdited).toBe(true);
  });
  test('refuses what could break a head', () => {
    const list = listOf(['A', '1']);
    for (const bad of ['a\r', 'a\nb', 'a\0', '\x7f', 'Ā']) {
      expect([list.set('a', bad), list.append('a', bad), list.setAt(0, bad)]).toEqual([false, false, false]);
    }
    for (const bad of ['', 'a b', 'a:', 'é', 'a\r\n'])
      expect([list.append(bad, 'v'), list.set(bad, 'v')]).toEqual([false, false]);
    expect([list.append(0, 'v'), fieldsOf(list)]).toEqual([false, ['A=1']]);
  });
  test('has caps', () => {
    const list = new HeaderList();
    for (let i = 0; i < MAX_LIST_ENTRIES; i++) expect(list.append('a', '')).toBe(true);
    expect(list.append('a', '')).toBe(false);
    list.reset();
    expect(list.set('a', 'x'.repeat(MAX_EDIT_BYTES))).toBe(false);
  });
  test('a copy does not depend on the original', () => {
    const list = listOf(['A', '1'], ['Accept', 'x']);
    list.set('b', '2');
    const copy = new HeaderList();
    list.copyTo(copy);
    const before = fieldsOf(list);
    list.reset();
    expect(fieldsOf(copy)).toEqual(before);
    expect([copy.get(H.accept), copy.isEdited, copy.byteSize]).toEqual(['x', true, 6 + 11 + 6]);
  });
  test('UTF-8 text travels as a byte string', () => {
    const list = new HeaderList();
    list.append('a', toByteString('é'));
    expect(decodeLatin1(list.bufferAt(0), list.valueStartAt(0), list.valueEndAt(0))).toBe('\xc3\xa9');
  });
  test('behaves as a plain list of pairs under any sequence of edits', () => {
    const names = ['host', 'accept', 'x-a', 'x-b'];
    const edit = fc.tuple(
      fc.constantFrom('push', 'append', 'set', 'remove'),
      fc.constantFrom(...names),
      fc.constantFrom('', '1', 'long value '.repeat(9)),
    );
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 40 }), (edits) => {
        const list = new HeaderList();
        let model: [string, string][] = [];
        for (const [kind, name, value] of edits) {
          const first = model.findIndex(([n]) => n === name);
          if (kind === 'remove') {
            expect(list.remove(name)).toBe(model.filter(([n]) => n === name).length);
            model = model.filter(([n]) => n !== name);
          } else if (kind === 'set' && first >= 0) {
            list.set(name, value);
            model = model.filter(([n], i) => n !== name || i === first);
            model[first] = [name, value];
          } else {
            const buf = latin1Bytes(name + value);
            if (kind === 'push')
              list.push(lookupNameId(buf, 0, name.length), buf, 0, name.length, name.length, buf.length);
            else expect(kind === 'set' ? list.set(name, value) : list.append(name, value)).toBe(true);
            model.push([name, value]);
          }
          expect(fieldsOf(list)).toEqual(model.map(([n, v]) => `${n}=${v}`));
          expect(list.byteSize).toBe(model.reduce((sum, [n, v]) => sum + n.length + v.length + 4, 0));
        }
      }),
      { numRuns: 200, seed: 1 },
    );
  });
});

test('decimals are written as JavaScript writes them', () => {
  const out = new Uint8Array(32);
  for (const n of [0, 9, 10, 99, 12345, Number.MAX_SAFE_INTEGER])
    expect(decodeLatin1(out, 3, writeDecimal(out, 3, n))).toBe(String(n));
});
