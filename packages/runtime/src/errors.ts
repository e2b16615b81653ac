/** The error codes of this package: mistakes in declaring metrics, found when they are declared. */
import { defineErrors } from './mesh-error.ts';
import type { CodeOf } from './mesh-error.ts';

export const runtimeErrors = defineErrors('runtime', [
  {
    code: 'metric-invalid',
    meaning: 'a metric was declared with a name, label or boundary that the exposition formats do not allow',
    action: 'report it as a defect of this program, with the message',
  },
  {
    code: 'metric-conflict',
    meaning: 'a metric was declared twice with different types, labels, units or boundaries',
    action: 'report it as a defect of this program, with the message',
  },
]);

export type RuntimeErrorCode = CodeOf<typeof runtimeErrors>;
