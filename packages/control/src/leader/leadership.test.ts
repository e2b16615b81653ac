import { expect, test } from 'bun:test';
import { LeaderDuties, soleLeadership, type LeaderDuty } from './leadership.ts';

function noting(): { events: string[]; duty: (name: string) => LeaderDuty } {
  const events: string[] = [];
  return {
    events,
    duty: (name) => ({
      name,
      begin() {
        events.push(`begin ${name}`);
        return () => events.push(`end ${name}`);
      },
    }),
  };
}

test('a follower begins nothing until it leads, and ends in reverse when it leads no longer', () => {
  const { events, duty } = noting();
  const duties = new LeaderDuties(false);
  duties.take(duty('expiry'));
  duties.take(duty('status'));
  expect(events).toEqual([]);
  duties.lead(true);
  duties.lead(true);
  duties.lead(false);
  expect(events).toEqual(['begin expiry', 'begin status', 'end status', 'end expiry']);
  duties.lead(true);
  expect(events.slice(4)).toEqual(['begin expiry', 'begin status']);
});

test('a duty that was laid down stays down', () => {
  const { events, duty } = noting();
  const duties = new LeaderDuties(true);
  const layDown = duties.take(duty('rotation'));
  layDown();
  layDown();
  duties.lead(false);
  duties.lead(true);
  expect(events).toEqual(['begin rotation', 'end rotation']);
});

test('the only control plane of a machine leads from the start', () => {
  const { events, duty } = noting();
  const leadership = soleLeadership();
  leadership.take(duty('expiry'));
  expect([leadership.isLeader, events]).toEqual([true, ['begin expiry']]);
});
