import { createRandom } from '@sluice/runtime';
import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { createIdSource } from './request-id.ts';
import {
  continueTrace,
  createTraceContext,
  formatTraceparent,
  isValidTracestate,
  type TraceOptions,
} from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

function options(samplingPercent = 0): TraceOptions {
  const random = createRandom('trace-context');
  return { ids: createIdSource(random), samplingPercent, random: () => random.next() };
}

describe('continueTrace', () => {
  test('keeps the trace id, makes a span id and names the caller as parent', () => {
    const context = createTraceContext();
    continueTrace(context, `00-${TRACE}-${PARENT}-01`, 'vendor=value', options());
    expect(context).toMatchObject({
      traceId: TRACE,
      parentSpanId: PARENT,
      isSampled: true,
      tracestate: 'vendor=value',
    });
    expect(context.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(formatTraceparent(context)).toBe(`00-${TRACE}-${context.spanId}-01`);
  });

  test('keeps the decision not to sample, whatever the own percentage', () => {
    const context = createTraceContext();
    continueTrace(context, `00-${TRACE}-${PARENT}-00`, null, options(100));
    expect(context.isSampled).toBe(false);
  });

  test('passes the random flag on and drops flags it does not know', () => {
    const context = createTraceContext();
    continueTrace(context, `00-${TRACE}-${PARENT}-ff`, null, options());
    expect(formatTraceparent(context)).toEndWith('-03');
  });

  test.each([
    ['upper case', `00-${TRACE.toUpperCase()}-${PARENT}-01`],
    ['zero trace id', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['zero parent id', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['version ff', `ff-${TRACE}-${PARENT}-01`],
    ['version 00 with more fields', `00-${TRACE}-${PARENT}-01-extra`],
    ['short', `00-${TRACE}-${PARENT}`],
    ['two values joined', `00-${TRACE}-${PARENT}-01,00-${TRACE}-${PARENT}-01`],
    ['spaces', ` 00-${TRACE}-${PARENT}-01`],
    ['empty', ''],
  ])('restarts the trace without tracestate on %s', (_, value) => {
    const context = createTraceContext();
    continueTrace(context, value, 'vendor=value', options());
    expect(context.traceId).not.toBe(TRACE);
    expect(context.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(context).toMatchObject({ parentSpanId: '', tracestate: '' });
  });

  test('a later version with more fields is understood and answered as version 00', () => {
    const context = createTraceContext();
    continueTrace(context, `cc-${TRACE}-${PARENT}-01-what-the-future-holds`, null, options());
    expect(formatTraceparent(context)).toBe(`00-${TRACE}-${context.spanId}-01`);
  });

  test('samples the configured share of traces that start here', () => {
    const draws = options(25);
    const context = createTraceContext();
    let sampled = 0;
    for (let i = 0; i < 2000; i += 1) {
      continueTrace(context, null, null, draws);
      if (context.isSampled) sampled += 1;
    }
    expect(sampled).toBeGreaterThan(400);
    expect(sampled).toBeLessThan(600);
  });

  test('any header value leaves a context that can be sent', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (traceparent, tracestate) => {
        const context = createTraceContext();
        continueTrace(context, traceparent, tracestate, options(50));
        expect(formatTraceparent(context)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$/);
      }),
    );
  });
});

describe('tracestate', () => {
  test.each(['a=1', 'a=1,b=2', 'a=1, b=2 ,\tc=3', 'fw529a3039@dt=FfAAAA', 'a=1,,b=2'])(
    'accepts %s',
    (value) => {
      expect(isValidTracestate(value)).toBe(true);
    },
  );

  test.each(['', 'a', 'A=1', 'a=1,a=2', 'a=1=2', `a=${'x'.repeat(257)}`, 'a=\u00e9'])(
    'refuses %p',
    (value) => {
      expect(isValidTracestate(value)).toBe(false);
    },
  );

  test('refuses more than 32 members', () => {
    const members = Array.from({ length: 33 }, (_, i) => `k${i}=v`);
    expect(isValidTracestate(members.join(','))).toBe(false);
    expect(isValidTracestate(members.slice(1).join(','))).toBe(true);
  });
});
