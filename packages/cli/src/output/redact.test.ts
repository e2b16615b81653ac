import { expect, test } from 'bun:test';
import { redactJson, redactText } from './redact.ts';

test('the value of a secret flag is taken out, in a line and word by word', () => {
  expect(redactText('node x.js --token abc -v --db-password="a b" --port 80', [])).toBe(
    'node x.js --token [removed] -v --db-password=[removed] --port 80',
  );
  expect(redactJson({ command: ['db', '--password', 'hunter2', '--port', '80'] }, [])).toEqual({
    command: ['db', '--password', '[removed]', '--port', '80'],
  });
});

test('a secret flag without a value leaves the flag behind it, and words are no flags', () => {
  expect(redactText('x --password --port 80', [])).toBe('x --password --port 80');
  expect(redactText('a token-like word, well-tokened words', [])).toBe(
    'a token-like word, well-tokened words',
  );
  expect(redactJson(['token', 'of thanks'], [])).toEqual(['token', 'of thanks']);
});
