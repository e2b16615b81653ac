#!/usr/bin/env node
/** `sluice`: finds Bun and runs the command line with it. */
import { join } from 'node:path';
import { projectRoot } from './find-bun.mjs';
import { runBun } from './bun.mjs';

await runBun([join(projectRoot, 'packages/cli/src/main.ts'), ...process.argv.slice(2)]);
