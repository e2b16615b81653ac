import { expect, test } from 'bun:test';
import { conditionSections, findingLines } from './condition-sections.ts';

const condition = (type: string, status: string, message = ''): object => ({
  type,
  status,
  reason: type,
  message,
});
const known = { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'valid' };

test('a resource that speaks for itself has one section', () => {
  expect(conditionSections({ status: { conditions: [] } }, [known])).toEqual([
    { title: 'Conditions', lines: ['Accepted       True     Accepted: valid'] },
  ]);
  expect(conditionSections({}, [])).toEqual([{ title: 'Conditions', lines: [] }]);
});

test('conditions of listeners are apart from those of their Gateway', () => {
  const status = {
    conditions: [condition('Accepted', 'True')],
    listeners: [{ name: 'http', conditions: [condition('Accepted', 'False', 'no')] }],
  };
  expect(conditionSections({ status }, [known, known])).toEqual([
    { title: 'Conditions', lines: ['Accepted       True     Accepted'] },
    { title: 'Conditions of listener http', lines: ['Accepted       False    Accepted: no'] },
  ]);
});

test('each parent of a route is named with what it says', () => {
  const parent = (parentRef: object, status: string): object => ({
    parentRef,
    conditions: [condition('Accepted', status)],
  });
  const status = {
    parents: [
      parent({ kind: 'Service', name: 'a', port: 80 }, 'True'),
      parent({ kind: 'Gateway', namespace: 'edge', name: 'g', sectionName: 'http' }, 'False'),
    ],
  };
  expect(conditionSections({ status }, []).slice(1)).toEqual([
    { title: 'Conditions at Service a, port 80', lines: ['Accepted       True     Accepted'] },
    { title: 'Conditions at Gateway edge/g, listener http', lines: ['Accepted       False    Accepted'] },
  ]);
});

test('findings are those that are no problems already', () => {
  const message = (code: string, level: string): object => ({
    type: { name: code, code },
    level,
    message: 'spec.http[0]: may repeat a POST',
  });
  const status = { validationMessages: [message('SL9004', 'WARNING'), message('unknown-field', 'ERROR')] };
  expect(findingLines({ status }, [{ code: 'unknown-field' }])).toEqual([
    'warning [SL9004] spec.http[0]: may repeat a POST',
  ]);
  expect(findingLines({}, [])).toEqual([]);
});

test('a status of any shape breaks nothing', () => {
  for (const status of [
    null,
    'x',
    [1],
    { listeners: 'x', parents: [null, 3], conditions: {}, validationMessages: [0] },
  ])
    expect(() => [conditionSections({ status }, []), findingLines({ status }, [])]).not.toThrow();
});
