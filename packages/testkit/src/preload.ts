/** For bunfig's `[test] preload`: ends what test files forgot to end, after the last of them. */
import { afterAll } from 'bun:test';
import { cleanUp } from './cleanup.ts';

afterAll(cleanUp);
